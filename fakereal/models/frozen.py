"""The features of a frozen backbone, computed once: from epoch to epoch only the last layer changes."""

import hashlib
import logging
import time
from typing import TYPE_CHECKING

import lightning as L
import torch
from torch import Tensor

from fakereal.data.loader import EpochBatches, Split
from fakereal.models.backbones.layers import classifiers
from fakereal.runtime.progress import share_done

if TYPE_CHECKING:
    from fakereal.models.classifier import Classifier

log = logging.getLogger(__name__)
LIMIT = 4 * 2**30  # bytes
_kept: tuple[tuple, dict[str, Tensor]] | None = None  # of the training before in this process: of what, and features


class FrozenFeatures:
    """What the last layer is given of each image of train and val, and of its mirror where that may be shown.

    `features`: for each split (N, views, ...), on the classifier's device. `seconds`: what they took.
    """

    def __init__(self, classifier: "Classifier"):
        self.classifier, self.head = classifier, classifiers(classifier.backbone)[0]
        self.features: dict[str, Tensor] = {}
        self.seconds = 0.0
        self.done = self.total = 0  # images

    def logits(self, split: str, batch: dict[str, Tensor]) -> Tensor:
        """Logits (B,) of a batch: in training of the view of each image, in validation the mean over all."""
        index, held = batch["index"], self.features[split]
        if split == "train":
            return self._answer(held[index, batch["mirrored"].long()] if "mirrored" in batch else held[index, 0])
        return torch.stack([self._answer(held[index, view]) for view in range(held.shape[1])]).mean(0)

    def _answer(self, features: Tensor) -> Tensor:
        return self.head(features).view(len(features)).float()

    def compute(self, splits: dict[str, tuple[Split, int]], batch_size: int) -> str:
        """Of each split so many views, 1 or 2; why they are of no use, or empty."""
        began, self.total = time.perf_counter(), sum(views * len(split) for split, views in splits.values())
        self.classifier.backbone.eval()
        with share_done("Features of the frozen backbone", self) as advance:
            for name, (split, views) in splits.items():
                start = 0
                for share in EpochBatches(len(split), batch_size, shuffle=False):
                    pixels = split[share]["image"].to(self.classifier.device)
                    for view in range(views):
                        features = self._of(pixels.flip(-1) if view else pixels, checked=not start)
                        if features is None:
                            return "its last layer alone does not make its answer"
                        if (size := self.total * features[0].nbytes) > (limit := _limit(features.device)):
                            return f"they take {size / 2**30:.1f} GiB, more than {limit / 2**30:.1f}"
                        if name not in self.features:
                            self.features[name] = features.new_empty((len(split), views, *features.shape[1:]))
                        self.features[name][start : start + len(features), view] = features
                        self.done += len(features)
                        advance(len(features))
                    start += len(pixels)
        self.seconds = time.perf_counter() - began
        return ""

    def _of(self, pixels: Tensor, checked: bool) -> Tensor | None:
        """Of images (B, 3, H, W) what the last layer is given (B, ...); `checked`: None where this is not all."""
        seen: list[Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda head, inputs: seen.append(inputs[0]))
        try:
            with torch.compiler.set_stance("force_eager"):  # a compiled graph would pass over the hook
                expected = self.classifier(pixels)
        finally:
            hook.remove()
        if checked:
            whole = len(seen) == 1 and len(seen[0]) == self.head(seen[0]).numel() == len(pixels)
            if not whole or not torch.allclose(self._answer(seen[0]), expected, rtol=1e-3, atol=1e-3):
                return None
        return seen[0]


def _limit(device: torch.device) -> int:
    return min(LIMIT, torch.cuda.mem_get_info(device)[0] // 4) if device.type == "cuda" else LIMIT


def frozen_features(classifier: "Classifier", trainer: L.Trainer) -> FrozenFeatures | None:
    """Of a training that would compute the same in each epoch; None where it is another, or they are too many.

    They are kept for the next training of the process, a sweep's or a search's, if that asks for the same.
    """
    global _kept
    kept, _kept = _kept, None
    if not _repeats(classifier, trainer):
        return None
    data = trainer.datamodule
    splits = {"train": (data.rows_of("train"), 1 + data.augment.only_mirrors)}
    splits["val"] = (data.rows_of("val"), 1 + (classifier.hparams.tta == "flip"))
    found, asked = FrozenFeatures(classifier), _asked(classifier, trainer, splits)
    if kept and kept[0] == asked:
        found.features = kept[1]
        log.info("The backbone is frozen: its answers are those that it gave in the training before")
    else:
        kept = None  # its memory is free
        modes = [(module, module.training) for module in classifier.modules()]
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            unfit = found.compute(splits, data.batch_size)
        for module, training in modes:
            module.training = training
        if unfit:
            log.info("The answers of the frozen backbone are not kept: %s", unfit)
            return None
        log.info("The backbone is frozen: it answered once for all epochs, in %.0f s", found.seconds)
    _kept = asked, found.features
    return found


def _repeats(classifier: "Classifier", trainer: L.Trainer) -> bool:
    """Whether the last layer would be given the same in each epoch, of all images, by one layer, on one device."""
    options, augment = classifier.hparams, trainer.datamodule.augment
    limits = trainer.limit_train_batches, trainer.limit_val_batches  # integers are numbers of batches
    whole = trainer.world_size == 1 and all(isinstance(limit, float) and limit == 1 for limit in limits)
    if options.freeze != "backbone" or not whole or len(classifiers(classifier.backbone)) > 1:
        return False
    if options.drop_rate or (augment.active and not augment.only_mirrors):
        log.info(
            "model.freeze=backbone: the backbone has to answer anew each epoch, as images or features are altered at "
            "random. With data/augment=flip or none and model.drop_rate=0 it answers once, for all epochs"
        )
        return False
    return not 0 <= trainer.max_epochs <= augment.only_mirrors  # a single epoch shows only one view of each


def _asked(classifier: "Classifier", trainer: L.Trainer, splits: dict[str, tuple[Split, int]]) -> tuple:
    """All that the features depend on: the next training of a process (a sweep's) may ask for the same."""
    backbone, weights = classifier.backbone, hashlib.blake2b()
    [head] = (name for name, module in backbone.named_modules() if module is classifiers(backbone)[0])
    frozen = {name: value for name, value in backbone.state_dict().items() if not name.startswith(f"{head}.")}
    for name, value in {"mean": classifier.mean, "std": classifier.std, **frozen}.items():
        weights.update(name.encode() + value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    options = classifier.hparams
    network = str(options.backbone), repr(options.backbone_kwargs), options.stem, options.image_size, weights.digest()
    rows = [(name, views, split.rows.tobytes()) for name, (split, views) in splits.items()]
    return network, trainer.datamodule.images.digest, rows, trainer.precision, classifier.device
