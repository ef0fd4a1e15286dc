"""The LightningModule: a backbone with one logit, its preprocessing, loss, metrics and checkpoint contents."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import lightning as L
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor
from torchmetrics import CatMetric

from fakereal import CLASSES
from fakereal.config.schema import refuse_wrong_values
from fakereal.data.known import refuse_taken_name
from fakereal.evaluation.metrics import binary_metrics, training_metrics
from fakereal.models.backbones import create_backbone, eval_frozen_modules, set_frozen
from fakereal.models.backbones.names import published_arguments
from fakereal.models.backbones.small_maps import use_matrix_products
from fakereal.models.backbones.stem import Stem
from fakereal.models.compiled import compile_network
from fakereal.models.epoch_figures import EpochFigures, Seen
from fakereal.models.frozen import FrozenFeatures, frozen_features
from fakereal.models.preprocessing import IMAGENET, Normalization, preprocess
from fakereal.models.schedulers import scheduled
from fakereal.runtime.errors import UserError

CHECKPOINT_FORMAT = 1
Rate = Annotated[float, Field(ge=0, lt=1)]


class Classifier(L.LightningModule):
    """Tells FAKE (1) from REAL (0): uint8 images in, the log-odds of FAKE out.

    `image_size` resizes on the device (None: the images' own size). `normalization` takes the figures that
    the backbone's weights were trained with, ImageNet's, the train split's own, or those given. `freeze`
    keeps all but the head fixed, for good ("backbone") or for the first N epochs. `pos_weight` weighs FAKE
    in the loss; "balanced" makes both classes weigh the same. `tta` (test-time augmentation) "flip" answers
    with the mean logit of an image and its mirror, in validation and wherever the classifier is used; its
    training stays as it is. `optimizer` is called with the parameters, `scheduler` with the optimizer and, where it
    takes them, `total_steps`; it is stepped after each optimizer step, a ReduceLROnPlateau after each validation by
    its loss (with `mode: max` by its accuracy). Neither is needed where nothing is trained.

    Batches are dicts of `image` (B, 3, H, W), `label` (B,) of 0 and 1 and `weight` (B,), the share of each in the loss,
    in sum 1.
    """

    def __init__(
        self,
        backbone: str,
        *,
        pretrained: bool = False,
        weights: str | None = None,
        backbone_kwargs: dict[str, Any] | None = None,
        stem: Stem = "default",
        image_size: Annotated[int, Field(ge=8, le=4096)] | None = None,
        drop_rate: Rate = 0.0,
        drop_path_rate: Rate = 0.0,
        freeze: Literal["none", "backbone"] | Annotated[int, Field(ge=1)] = "none",
        normalization: Literal["backbone", "imagenet", "dataset"] | Normalization = "imagenet",
        label_smoothing: Rate = 0.0,
        pos_weight: Annotated[float, Field(gt=0)] | Literal["balanced"] | None = None,
        tta: Literal["none", "flip"] = "none",
        channels_last: bool = True,
        compile: bool = False,
        optimizer: Callable | None = None,
        scheduler: Callable | None = None,
    ):
        refuse_wrong_values(Classifier, locals())
        super().__init__()
        # Neither weights nor pretrained: a checkpoint loads without a network and without other files.
        self.save_hyperparameters(ignore=["optimizer", "scheduler", "pretrained", "weights", "compile"])
        options = dict(drop_rate=drop_rate, drop_path_rate=drop_path_rate, stem=stem, image_size=image_size)
        self.backbone = create_backbone(
            backbone, pretrained=pretrained, weights=weights, kwargs=backbone_kwargs, **options
        )
        if backbone.startswith(("hf-hub:", "local-dir:")):  # a checkpoint loads without a hub; timm says what it is
            self.hparams.backbone = self.backbone.pretrained_cfg["architecture"]
            self.hparams.backbone_kwargs = {**published_arguments(backbone), **(backbone_kwargs or {})}
        if channels_last:
            self.backbone.to(memory_format=torch.channels_last)
        self.optimizer, self.scheduler, self.compile_backbone = optimizer, scheduler, compile
        self.threshold, self.temperature = 0.5, 1.0
        self.register_buffer("mean", torch.zeros(1, 3, 1, 1))
        self.register_buffer("std", torch.ones(1, 3, 1, 1))
        self.register_buffer("pos_weight", torch.ones(()) * (pos_weight if isinstance(pos_weight, float | int) else 1))
        if normalization != "dataset":
            self.normalize_by(self._known_normalization(normalization))
        self.training_figures = EpochFigures(training_metrics().clone(prefix="train/"))
        self.validation_figures = EpochFigures(binary_metrics(self.threshold).clone(prefix="val/"))
        self.val_logits, self.val_labels = (CatMetric(nan_strategy="disable") for _ in range(2))
        self.resumed: list[dict[str, Any]] | None = None  # the figures of a part of an epoch
        self.planned: dict[str, Any] = {}  # the state of a schedule that is resumed
        self.frozen: FrozenFeatures | None = None  # while it is trained
        self.trained_before: Tensor | None = None  # fingerprints of the images that the weights were trained on before

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_current_fx_name":  # Lightning's note of the hook that runs, forty times a step
            self.__dict__[name] = value  # torch would look each time whether it is a parameter
        else:
            super().__setattr__(name, value)

    def _known_normalization(self, normalization: str | Normalization) -> Normalization:
        if normalization == "imagenet":
            return IMAGENET
        if normalization == "backbone":
            pretrained = self.backbone.pretrained_cfg
            return {"mean": list(pretrained["mean"]), "std": list(pretrained["std"])}
        return normalization

    def normalize_by(self, figures: Normalization) -> None:
        """Sets mean and std, each of three channels of pixels in [0, 1]; kept in the hyperparameters."""
        for name in ("mean", "std"):
            if len(figures[name]) != 3 or (name == "std" and min(figures[name]) <= 0):
                raise UserError(f"model.normalization.{name} must be three numbers, got {figures[name]}.")
            getattr(self, name).copy_(torch.tensor(figures[name]).view(1, 3, 1, 1))
        self.hparams.normalization = {name: list(map(float, figures[name])) for name in ("mean", "std")}

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,), the log-odds of FAKE, of uint8 images (B, 3, H, W) of any size; TypeError for other numbers."""
        return self.backbone(self.prepared(images)).squeeze(1).float()

    def prepared(self, images: Tensor) -> Tensor:
        """What the backbone sees of uint8 images (B, 3, H, W): float32, resized and normalised."""
        options = self.hparams
        if options.normalization == "dataset":  # not set yet
            raise UserError('normalization="dataset": call normalize_by with the figures of channel_statistics first.')
        return preprocess(images, self.mean, self.std, options.image_size, options.channels_last)

    def answer(self, images: Tensor) -> Tensor:
        """Logits (B,) as they are evaluated: of the images, or with `tta` averaged with those of their mirrors."""
        if self.hparams.tta == "none":
            return self(images)
        return (self(images) + self(images.flip(-1))) / 2

    def probabilities(self, images: Tensor) -> Tensor:
        """Calibrated probability (B,) of FAKE of uint8 images (B, 3, H, W)."""
        return torch.sigmoid(self.answer(images) / self.temperature)

    def setup(self, stage: str) -> None:
        if stage != "fit":
            return
        if self.trainer.datamodule is None:
            raise UserError("A checkpoint records its images: give fit(..., datamodule=...), no loaders.")
        refuse_taken_name(self.trainer.datamodule)
        set_frozen(self.backbone, self.hparams.freeze == "backbone")  # before DDP looks at what has a gradient
        if self.hparams.normalization == "dataset":
            mean, std = self.trainer.datamodule.channel_statistics()
            self.normalize_by({"mean": mean, "std": std})
        if self.hparams.pos_weight == "balanced":
            share = float(self.trainer.datamodule.rows_of("train").labels.mean())
            self.pos_weight.fill_((1 - share) / share)
            self.hparams.pos_weight = self.pos_weight.item()
        use_matrix_products(self.backbone)
        if self.compile_backbone:
            compile_network(self.backbone, self.trainer.precision, self.trainer.datamodule.batch_size)

    def on_fit_start(self) -> None:
        self.frozen = frozen_features(self, self.trainer)

    def on_train_end(self) -> None:
        self.frozen = None  # figures of best.ckpt are those of the whole network

    def on_train_start(self) -> None:
        self.training_figures.begin(self.resumed, self.trainer.global_rank, self.trainer.world_size, self.device)
        self.resumed = None
        self._freeze()  # an epoch that is resumed halfway has no on_train_epoch_start

    def on_train_epoch_start(self) -> None:
        self._freeze()

    def _freeze(self) -> None:
        freeze = self.hparams.freeze
        frozen = freeze == "backbone" or (isinstance(freeze, int) and self.current_epoch < freeze)
        set_frozen(self.backbone, frozen)
        self.train()

    def train(self, mode: bool = True) -> "Classifier":
        """As of any module; but what is frozen stays in evaluation mode, batch norm's statistics included."""
        super().train(mode)
        if mode:
            eval_frozen_modules(self.backbone)
        return self

    def _step(self, batch: dict[str, Tensor], stage: str) -> tuple[Tensor, Seen]:
        """Loss (the weighted sum over the batch), and what the figures are made of."""
        if self.frozen:
            logits = self.frozen.logits("train" if stage == "fit" else stage, batch)
        else:
            logits = (self if stage == "fit" else self.answer)(batch["image"])
        label, weight = batch["label"], batch["weight"]
        smoothing = self.hparams.label_smoothing if stage == "fit" else 0.0
        target = label * (1 - smoothing) + smoothing / 2 if smoothing else label
        pos_weight = self.pos_weight if stage == "fit" and self.hparams.pos_weight is not None else None
        losses = F.binary_cross_entropy_with_logits(logits, target, pos_weight=pos_weight, reduction="none")
        return (losses * weight).sum(), Seen(losses.detach(), logits.detach(), label, weight)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        loss, seen = self._step(batch, "fit")
        self.training_figures.collect(seen, last=self.trainer.is_last_batch)
        if (self.global_step + 1) % self.trainer.log_every_n_steps == 0:  # else Lightning takes it, and drops it
            self.log("train/loss_step", loss.detach())
        if self.trainer.is_last_batch:
            self._log_epoch("train/loss", self.training_figures)
        if (accumulate := self.trainer.accumulate_grad_batches) > 1:
            batches = self.trainer.train_dataloader.sampler
            loss = loss * batches.part_of_step(batch_idx, accumulate, self.trainer.num_training_batches)
        return loss

    def on_train_epoch_end(self) -> None:
        if not self.trainer.is_last_batch:  # it was cut short, by EarlyStopping within it or by a limit of time
            self.training_figures.close()
            self._log_epoch("train/loss", self.training_figures)

    def _log_epoch(self, loss: str, figures: EpochFigures) -> None:
        self.log(loss, figures.loss, on_step=False, on_epoch=True)
        self.log_dict(figures.metrics, on_step=False, on_epoch=True)

    def on_validation_epoch_start(self) -> None:
        self.val_logits.reset()
        self.val_labels.reset()

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        seen = self._step(batch, "val")[1]
        logits, label = self.validation_figures.count(seen, padded=self.trainer.world_size > 1)
        self.val_logits.update(logits)
        self.val_labels.update(label)
        self._log_epoch("val/loss", self.validation_figures)

    def on_validation_epoch_end(self) -> None:
        self.validated()  # gathered now, while they lie on the devices that gather; kept until the next validation

    def validated(self) -> tuple[Tensor, Tensor]:
        """Logits (N,) and labels (N,) of the last validation, of all devices."""
        return self.val_logits.compute().cpu(), self.val_labels.compute().cpu()

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Probabilities (B,), of which a callback makes figures: `fakereal.evaluation.evaluation.Evaluation`."""
        return self.probabilities(batch["image"])

    def configure_optimizers(self) -> Any:
        if self.optimizer is None:
            raise UserError("Training needs an optimizer, such as torch.optim.AdamW: give Classifier(optimizer=...).")
        optimizer = self.optimizer(self.parameters())
        if self.scheduler is None:
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = scheduled(self.scheduler, optimizer, steps, self.planned, self.trainer)
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        ours = checkpoint["fakereal"]
        if self._trainer is None:  # Lightning's load_from_checkpoint, not a training that goes on
            self.threshold, self.temperature = ours["threshold"], ours["temperature"]
        else:
            self.trainer.datamodule.refuse_others(ours["data"], within_epoch="so_far" in ours)
        self.resumed, self.trained_before = ours.get("so_far"), ours.get("trained_before")
        self.planned = (checkpoint.get("lr_schedulers") or [{}])[0]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if (data := self.trainer.datamodule) is None:
            raise UserError("A checkpoint records its images: give the Trainer a datamodule.")
        checkpoint["fakereal"] = {
            "format": CHECKPOINT_FORMAT,
            "classes": list(CLASSES),
            "threshold": self.threshold,
            "temperature": self.temperature,
            "data": {"class": type(data).__name__, **data.settings, "images": data.images.digest},
        }
        if self.trained_before is not None:
            checkpoint["fakereal"]["trained_before"] = self.trained_before
        begun = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        if begun and not self.trainer.is_last_batch:
            checkpoint["fakereal"]["so_far"] = self.training_figures.so_far()
        checkpoint["hyper_parameters"] = plain(self.hparams)


def plain(value: Any) -> Any:
    """Dicts, lists and scalars only: what torch.load(weights_only=True) admits."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
