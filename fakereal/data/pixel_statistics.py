"""Figures of a batch of images: grey values, colours, frequencies."""

import functools

import numpy as np

GREY = np.array((0.299, 0.587, 0.114), dtype=np.float32)  # ITU-R BT.601
FLOOR = 1e-6  # of power, about that of rounding to 8 bits


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """Float32 (B, H, W), 0 to 255, of uint8 (B, H, W, 3)."""
    return pixels.astype(np.float32) @ GREY


def colour_moments(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each colour, float32 (B, 3) in [0, 1], of uint8 (B, H, W, 3)."""
    count = pixels.shape[1] * pixels.shape[2]
    values = pixels.reshape(*pixels.shape[:2], -1).astype(np.uint32)
    mean = _colour_sums(values) / count
    values *= values
    variance = _colour_sums(values) / count - mean**2
    return (mean / 255).astype(np.float32), (np.sqrt(variance) / 255).astype(np.float32)


def _colour_sums(values: np.ndarray) -> np.ndarray:
    """Sums (B, 3) of uint32 (B, H, 3 W), exact for squares of bytes in up to 66,000 rows.

    Whole rows first: over every third value numpy takes several times as long.
    """
    columns = values.sum(1, dtype=np.uint32)
    return columns.reshape(len(values), -1, 3).sum(1, dtype=np.uint64)


def cosines(grey: np.ndarray, count: int) -> np.ndarray:
    """The lowest `count` x `count` coefficients (B, count, count) of the orthonormal cosine transform (DCT-II)."""
    basis = _cosine_basis(grey.shape[-1], count)
    return basis @ grey @ basis.T


@functools.cache
def _cosine_basis(size: int, count: int) -> np.ndarray:
    from scipy.fft import dct

    return dct(np.eye(size, dtype=np.float32), axis=0, norm="ortho")[:count]


def power_spectrum(grey: np.ndarray) -> np.ndarray:
    """Azimuthally averaged log10 power (B, S // 2) of grey images (B, S, S) (Durall et al. 2020).

    The mean is left out: what is compared is texture, not brightness.
    """
    import torch
    from scipy.fft import rfft2

    size = grey.shape[-1]
    power = np.abs(rfft2(grey / np.float32(255 * size))) ** 2
    # By torch: the threads of numpy's BLAS go on spinning after a product, and a network asked next (`predict`, `test`)
    # shares the cores with them: its answer took 100 ms instead of 36.
    rings = torch.from_numpy(power.reshape(len(grey), -1)) @ torch.from_numpy(_rings(size))
    return np.log10(rings.numpy() + FLOOR).astype(np.float32)


@functools.cache
def _rings(size: int) -> np.ndarray:
    """Weights (S * (S // 2 + 1), S // 2) that average the half plane of a real transform over circles."""
    rows, columns = np.meshgrid(np.fft.fftfreq(size, 1 / size), np.arange(size // 2 + 1), indexing="ij")
    radius = np.rint(np.hypot(rows, columns)).astype(int).ravel()
    # The other half plane mirrors all columns but the first and, where the size is even, the last.
    twice = np.where((columns == 0) | (2 * columns == size), 1, 2).ravel()
    weights = (radius[:, None] == np.arange(1, size // 2 + 1)) * twice[:, None]
    return (weights / weights.sum(0)).astype(np.float32)
