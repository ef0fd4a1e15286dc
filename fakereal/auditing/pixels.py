"""What an audit asks of pixels, in one pass: perceptual hashes, colours, power spectra."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fakereal.data.image_set import ImageSet
from fakereal.data.passes import one_pass
from fakereal.data.pixel_statistics import colour_moments, cosines, power_spectrum, to_grey

FLAT = 2.0  # grey levels of standard deviation, below which a hash would be one of noise


@dataclass
class Pixels:
    """Facts of N images, in their order.

    hashes: uint64 (N,), perceptual; flat: bool (N,), images too even to have one; mean, std: float32 (N, 3) of
    red, green and blue, in [0, 1]; spectrum: float32 (N, size // 2), log10 of the power at 1, 2, ... cycles an image.
    """

    hashes: np.ndarray
    flat: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    spectrum: np.ndarray


def pixel_facts(images: ImageSet, advance: Callable[[int], None] = lambda done: None) -> Pixels:
    """Reads all pixels once, in batches; `advance` is told how many images each had."""
    rows, parts = [], []
    for some, facts in one_pass(images, lambda _, pixels: _facts(pixels)):
        rows.append(some)
        parts.append(facts)
        advance(len(some))
    back = np.argsort(np.concatenate(rows))
    return Pixels(*(np.concatenate(column)[back] for column in zip(*parts, strict=True)))


def _facts(pixels: np.ndarray) -> tuple[np.ndarray, ...]:
    grey = to_grey(pixels)
    flat = grey.std((1, 2)) < FLAT
    return perceptual_hashes(grey), flat, *colour_moments(pixels), power_spectrum(grey)


def perceptual_hashes(grey: np.ndarray) -> np.ndarray:
    """uint64 (B,): of 8 x 8 low frequencies, which are above their median (pHash: Zauner 2010).

    grey: (B, S, S), S at least 9. The cosine transform is that of the whole image: low frequencies are a smoothed one.
    """
    low = cosines(grey, 9)[:, 1:, 1:].reshape(len(grey), 64)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]
