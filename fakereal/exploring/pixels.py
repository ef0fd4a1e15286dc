"""Means over the pixels of each class, in one pass that holds a batch at a time."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fakereal import CLASSES
from fakereal.data.image_set import ImageSet
from fakereal.data.passes import one_pass
from fakereal.data.pixel_statistics import to_grey


@dataclass
class Mean:
    """Of `count` images of S x S pixels.

    image: float64 (S, S, 3) in [0, 1]; spectrum: float64 (S, S), power of the grey images without their means (the
    squared transform over the number of pixels), zero frequency in the middle; channel_mean, channel_std: (3,) over
    all pixels, in [0, 1].
    """

    count: int
    image: np.ndarray
    spectrum: np.ndarray
    channel_mean: np.ndarray
    channel_std: np.ndarray


def class_means(images: ImageSet, label: np.ndarray, advance: Callable[[int], None]) -> dict[str, Mean]:
    """By class; a class without images has none. `advance` is told how many images each batch had.

    Sums are added in the order of the batches, so that they are always the same.
    """
    total = {name: _Sums() for name in CLASSES}

    def sums_of(rows: np.ndarray, pixels: np.ndarray) -> dict[str, _Sums]:
        return {name: _Sums.of(pixels[label[rows] == number]) for number, name in enumerate(CLASSES)}

    for rows, sums in one_pass(images, sums_of):
        for name in CLASSES:
            total[name].add(sums[name])
        advance(len(rows))
    return {name: found.mean() for name, found in total.items() if found.count}


@dataclass
class _Sums:
    count: int = 0
    image: np.ndarray | float = 0.0
    squares: np.ndarray | float = 0.0
    power: np.ndarray | float = 0.0

    @classmethod
    def of(cls, pixels: np.ndarray) -> "_Sums":
        """Of uint8 (B, S, S, 3); B may be 0."""
        from scipy.fft import fft2

        grey = to_grey(pixels) / np.float32(255 * (pixels.shape[1] or 1))
        grey -= grey.mean((1, 2), keepdims=True)
        return cls(
            count=len(pixels),
            image=pixels.sum(0, dtype=np.float64) / 255,
            squares=np.square(pixels, dtype=np.float32).sum((0, 1, 2), dtype=np.float64) / 255**2,
            power=(np.abs(fft2(grey)) ** 2).sum(0, dtype=np.float64),
        )

    def add(self, other: "_Sums") -> None:
        self.count += other.count
        self.image = self.image + other.image
        self.squares = self.squares + other.squares
        self.power = self.power + other.power

    def mean(self) -> Mean:
        image = self.image / self.count
        channel_mean = image.mean((0, 1))
        variance = self.squares / (self.count * image.shape[0] ** 2) - channel_mean**2
        spectrum = np.fft.fftshift(self.power / self.count)
        return Mean(self.count, image, spectrum, channel_mean, np.sqrt(variance.clip(0)))
