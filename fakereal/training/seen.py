"""Of the validation images: which were trained on before, and what best.ckpt makes of them."""

import logging
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from fakereal.data.datamodule import ImageDataModule
from fakereal.data.split import fingerprints
from fakereal.models.distance.head_inputs import HeadInputs
from fakereal.models.distance.reference import LIMIT, Reference, fit_reference, pixel_statistics
from fakereal.models.ranks import of_all_ranks

log = logging.getLogger(__name__)


class TrainedBefore(Callback):
    """Says of how many images the weights of `init_from` were trained on: they make a validation too good."""

    def __init__(self) -> None:
        self.count = 0

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if pl_module.trained_before is None or self.count:
            return
        data = trainer.datamodule
        own = fingerprints(data.images.table[data.splits["val"].rows])
        self.count = int(np.isin(own, pl_module.trained_before.numpy()).any(1).sum())
        if self.count and trainer.is_global_zero:
            log.warning(
                "%s of the %s validation images were trained or validated on by the checkpoint of init_from=: figures "
                "on validation, and what is chosen by them, are too good", f"{self.count:,}", f"{len(own):,}",
            )  # fmt: skip


class ValidationFeatures(Callback):
    """Features and pixel statistics of LIMIT of the images of validation, evenly taken, of all devices together."""

    def __init__(self, inputs: HeadInputs):
        self.inputs = inputs
        self.step, self.count = 1, 0
        self.features: list[torch.Tensor] = []
        self.pixels: list[torch.Tensor] = []

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        self.step = -(-len(trainer.datamodule.splits["val"]) // LIMIT)

    def on_validation_batch_start(self, *_: Any) -> None:
        self.inputs.forget()

    def on_validation_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        features, real = self.inputs.take(), batch["weight"] > 0
        if features is None:
            return
        chosen = slice(-self.count % self.step, None, self.step)
        self.count += int(real.sum())
        self.features.append(features[real][chosen].float().cpu())
        self.pixels.append(pixel_statistics(batch["image"][real][chosen]))

    def reference(self, data: ImageDataModule, split: str) -> Reference:
        """Of the images seen and of the sizes of a split's files; to be called on all ranks."""
        ranks = of_all_ranks((self.features, self.pixels))
        both = ([part for parts in column for part in parts] for column in zip(*ranks, strict=True))
        seen = [torch.cat(parts) if parts else torch.zeros(0, 1) for parts in both]
        return fit_reference(*data.file_sizes(split), *seen)
