"""What best.ckpt makes of the validation images, gathered while it is validated."""

from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from fakereal.data.datamodule import ImageDataModule
from fakereal.models.distance.head_inputs import HeadInputs
from fakereal.models.distance.reference import LIMIT, Reference, fit_reference, pixel_statistics
from fakereal.models.ranks import of_all_ranks


class ValidationFeatures(Callback):
    """Features and pixel statistics of LIMIT of the `images` of validation, evenly taken, of all devices together."""

    def __init__(self, images: int, inputs: HeadInputs):
        self.inputs = inputs
        self.step, self.count = -(-images // LIMIT), 0
        self.features: list[torch.Tensor] = []
        self.pixels: list[torch.Tensor] = []

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

    def reference(self, data: ImageDataModule) -> Reference:
        """Of the images seen and of the sizes of the train files; to be called on all ranks."""
        ranks = of_all_ranks((self.features, self.pixels))
        both = ([part for parts in column for part in parts] for column in zip(*ranks, strict=True))
        seen = [torch.cat(parts) if parts else torch.zeros(0, 1) for parts in both]
        return fit_reference(*data.file_sizes("train"), *seen)
