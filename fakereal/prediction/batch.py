"""Image files in batches."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from fakereal.data.store.decode import BadImage, Decoded
from fakereal.data.store.entries import Entry


@dataclass(frozen=True)
class Batch:
    """Files with their images, and of those that could be read the pixels, uint8 (N, 3, S, S), in the same order."""

    files: list[tuple[Entry, Decoded | BadImage]]
    pixels: Tensor

    @classmethod
    def of(cls, files: list[tuple[Entry, Decoded | BadImage]]) -> "Batch":
        """Stacks the pixels."""
        good = [image.pixels for _, image in files if isinstance(image, Decoded)]
        pixels = np.stack(good) if good else np.empty((0, 1, 1, 3), np.uint8)
        return cls(files, torch.from_numpy(pixels).permute(0, 3, 1, 2))

    @property
    def images(self) -> list[Decoded]:
        """Those that could be read."""
        return [image for _, image in self.files if isinstance(image, Decoded)]


def batches(images: Iterable[tuple[Entry, Decoded | BadImage]], size: int) -> Iterator[Batch]:
    """The images, so many at a time."""
    images = iter(images)
    while files := list(islice(images, size)):
        yield Batch.of(files)
