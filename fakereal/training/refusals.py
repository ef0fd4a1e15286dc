"""Trainings that cannot go well, refused before they begin."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_object
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy, Strategy
from omegaconf import DictConfig, OmegaConf
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fakereal.config.words import values_of
from fakereal.data.known import refuse_no_images
from fakereal.models.backbones.layers import classifiers
from fakereal.models.backbones.weights import read_weights
from fakereal.models.classifier import Classifier
from fakereal.models.ensemble import PREPROCESSING
from fakereal.runs.settings import shown
from fakereal.runtime.errors import UserError
from fakereal.sweeps.jobs import in_sweep
from fakereal.training.checkpoints import BestCheckpoint

log = logging.getLogger(__name__)
SEVERAL = re.compile(r"(data/augment|data|model|optimizer|scheduler|trainer)=\[\s*([^,\]]+?)\s*,")


def refuse(cfg: DictConfig) -> None:
    """UserError where the configuration alone tells that a training cannot go well."""
    refuse_no_images(cfg.data)
    _refuse_clipped_fused(cfg)
    _refuse_never_validated(cfg)
    _refuse_switches(cfg.trainer)
    _refuse_whole(cfg)
    given = values_of(HydraConfig.get().overrides.hydra)
    if in_sweep() and "hydra.run.dir" in given and "hydra.sweep.dir" not in given:
        raise UserError("This is a sweep, with a folder for each job: give hydra.sweep.dir=DIR, not hydra.run.dir=DIR.")
    if cfg.sweep and not in_sweep():
        raise UserError(f"sweep={cfg.sweep} names a sweep's directory: add --multirun, or give hydra.run.dir=DIR.")


def refuse_several_choices() -> None:
    """Of most groups all choices list all keys: Hydra would merge them to the last one."""
    for word in HydraConfig.get().overrides.task:
        if found := SEVERAL.match(word):
            group = found[1]
            instead = (
                "data/augment=degrade data.augment.rotation=15" if group == "data/augment" else f"{group}={found[2]}"
            )
            raise UserError(f"{word}: only the last of these would count. Give one, with further keys: {instead}")


def _refuse_whole(cfg: DictConfig) -> None:
    """Parameters are there only when the training begins."""
    for key in ("optimizer", "scheduler"):
        target = get_object(cfg[key]._target_)
        if isinstance(target, type) and issubclass(target, Optimizer | LRScheduler) and not cfg[key].get("_partial_"):
            raise UserError(f"{key}._target_={cfg[key]._target_} is called later: add {key}._partial_=true.")


def _refuse_clipped_fused(cfg: DictConfig) -> None:
    """Under autocast Lightning raises at the first step; in fp32 it clips for fused optimizers too."""
    precision = str(cfg.trainer.precision)
    mixed = "mixed" in precision or precision in ("16", "bf16")
    if cfg.optimizer.get("fused") and cfg.trainer.gradient_clip_val and mixed:
        raise UserError(
            f"optimizer.fused=true: under trainer.precision={cfg.trainer.precision} gradients cannot be clipped "
            f"(trainer.gradient_clip_val={cfg.trainer.gradient_clip_val}). Remove optimizer.fused, or clip nothing."
        )


def refuse_fewer_epochs(checkpoint: Mapping[str, Any], max_epochs: int) -> None:
    """A training goes on from where it was; Lightning would say so in a traceback."""
    done = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    if 0 <= max_epochs < done:
        raise UserError(
            f"trainer.max_epochs={max_epochs}: the training to resume has already had {done} epochs. Give as many as "
            "it was started with, or start a new training with init_from=CKPT."
        )


def refuse_without_best(callbacks: Sequence[Callback]) -> None:
    """metrics.json holds the figures of best.ckpt."""
    if not any(isinstance(callback, BestCheckpoint) for callback in callbacks):
        raise UserError(
            "callbacks.checkpoint is required: metrics.json holds the figures of best.ckpt. It is part of `default`: "
            "'callbacks=[default,ema]'."
        )


def compare_reading(cfg: DictConfig, start: Mapping[str, Any]) -> None:
    """Warns where images are made small in other ways than for the training that gives the weights.

    UserError where these are then not trained: `start` is their checkpoint.
    """
    images, options = start["fakereal"]["data"], start["hyper_parameters"]
    theirs = {f"data.{key}": images[key] for key in PREPROCESSING} | {
        f"model.{key}": options[key] for key in ("image_size", "tta") if key in options
    }
    own = {key: OmegaConf.select(cfg, key) for key in theirs}
    other = {key: value for key, value in theirs.items() if own[key] != value}
    if not other:
        return
    said, here = (" ".join(f"{key}={shown(part[key])}" for key in other) for part in (theirs, own))
    if cfg.trainer.max_epochs or set(other) == {"model.tta"}:
        log.warning("init_from=%s was trained with %s; here: %s", cfg.init_from, said, here)
    else:
        raise UserError(
            f"init_from={cfg.init_from} was trained with {said}, and with trainer.max_epochs=0 its weights stay as "
            f"they are: give {said} (not {here})."
        )


def refuse_random_head(classifier: Classifier, weights: str | None, pretrained: bool) -> None:
    """Of what is not trained here, the classifier must have been elsewhere: its weights are in the file given."""
    tensors = read_weights(weights).values() if weights else ()
    own = [parameter for head in classifiers(classifier.backbone) for parameter in head.parameters()]
    if classifier.hparams.normalization == "dataset":
        raise UserError("trainer.max_epochs=0: give model.normalization as the weights were trained with.")
    published = pretrained and not weights and classifier.backbone.pretrained_cfg.get("num_classes") == 1
    if not published and not all(any(torch.equal(part, other.to(part)) for other in tensors) for part in own):
        raise UserError(
            "trainer.max_epochs=0 measures and calibrates a network as it is, and this one's last layer would be "
            "random. Give init_from=CKPT, or model.weights=FILE with a last layer of one logit, or train it."
        )


def _refuse_never_validated(cfg: DictConfig) -> None:
    """Nor is there a best.ckpt where no epoch is validated."""
    every, epochs = cfg.trainer.check_val_every_n_epoch, cfg.trainer.max_epochs
    if every > epochs > 0:
        raise UserError(
            f"No epoch would be validated (trainer.check_val_every_n_epoch={every}, trainer.max_epochs={epochs}), so "
            "there would be no best.ckpt. Lower the first or raise trainer.max_epochs."
        )


# Lightning's, and what does here what they are for.
SWITCHES = {
    "fast_dev_run": "it writes no checkpoint. trainer=debug tries three batches",
    "overfit_batches": "it would redistribute the images. trainer.limit_train_batches=2 trains on two batches of each "
    "epoch",
    "barebones": "it writes neither logs nor checkpoints. `python -m fakereal.benchmark` measures speed",
}


def _refuse_switches(trainer: DictConfig) -> None:
    """What Lightning offers to look at code, and what leaves no run behind."""
    for name, instead in SWITCHES.items():
        if trainer.get(name):
            raise UserError(f"trainer.{name}={trainer[name]} is not supported here: {instead}.")
    if (steps := trainer.get("max_steps", -1)) != -1:
        raise UserError(
            f"trainer.max_steps={steps}: an epoch that ends halfway cannot be resumed exactly. Give "
            "trainer.max_epochs, and for shorter epochs trainer.limit_train_batches."
        )
    if trainer.get("enable_checkpointing") is False:
        raise UserError("trainer.enable_checkpointing=False: a training writes best.ckpt. Remove it.")


def on_several_devices(cfg: DictConfig) -> bool:
    """Whether the training may have more than one rank; `auto` counts as several, `[3]` is one."""
    devices = cfg.trainer.devices
    one = len(devices) == 1 if OmegaConf.is_list(devices) else devices in (1, "1")
    return not one or cfg.trainer.num_nodes > 1


def refuse_thawing_in_ddp(freeze: object, strategy: Strategy) -> None:
    """DDP looks at the start which parameters have a gradient, also where it has one rank."""
    if isinstance(freeze, int) and not isinstance(strategy, SingleDeviceStrategy):
        raise UserError(
            f"model.freeze={freeze} (an epoch count) works on one device only (trainer.devices=1 "
            "trainer.strategy=auto): DDP fixes at the start which weights it averages. Or train with "
            "model.freeze=backbone first, then continue with init_from=CKPT."
        )


def refuse_sync_batchnorm_on_cpu(trainer: DictConfig, strategy: Strategy) -> None:
    """torch has it for GPUs alone, and raises when DDP begins."""
    if trainer.get("sync_batchnorm") and isinstance(strategy, DDPStrategy) and strategy.root_device.type == "cpu":
        raise UserError(
            "trainer.sync_batchnorm=true works only on GPUs. Remove it: without it, batch norm sees the images of "
            "one rank."
        )
