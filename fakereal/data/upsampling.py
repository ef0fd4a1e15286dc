"""A decoder that leaves in an image the periodic traces of up-sampling, as image generators do."""

import numpy as np

STAGES = 2  # of stride 2: traces of periods 2 and 4 pixels


def resynthesise(images: np.ndarray, unevenness: np.ndarray, detail: np.ndarray) -> np.ndarray:
    """Float images (B, H, W, C), of any H and W, encoded to a latent pyramid and decoded: the same shape.

    The encoder halves an image `STAGES` times and keeps, at each stage, what bilinear up-sampling of the half
    cannot predict (a Laplacian pyramid: Burt & Adelson 1983; as a generator's latent: Denton et al. 2015).
    The decoder goes back by transposed convolutions of stride 2, whose even and odd outputs are scaled by
    1 + u and 1 - u, u = `unevenness` (B, 2, C) along rows and along columns. This is the uneven overlap behind
    checkerboards (Odena et al. 2016); it repeats the spectrum at multiples of H/4 and W/4 (Zhang et al. 2019).
    Of the finest detail the decoder reproduces only a share, `detail` (B,) from 0 to 1: high frequencies come
    out too weak, as they do of generators (Durall et al. 2020).

    Each channel of an image keeps its mean. With no unevenness and a detail of 1 the image is as it was.
    """
    height, width = images.shape[1:3]
    stride = 2**STAGES
    padding = ((0, 0), (0, -height % stride), (0, -width % stride), (0, 0))
    rows, columns = (unevenness[:, axis, None, None].astype(images.dtype) for axis in (0, 1))
    share = detail[:, None, None, None].astype(images.dtype)
    decoded = _reconstruct(np.pad(images, padding, mode="edge"), rows, columns, STAGES, share)
    decoded = decoded[:, :height, :width]
    return decoded + (images.mean((1, 2), keepdims=True) - decoded.mean((1, 2), keepdims=True))


def _reconstruct(
    images: np.ndarray, rows: np.ndarray, columns: np.ndarray, stages: int, detail: np.ndarray | float = 1.0
) -> np.ndarray:
    if stages == 0:
        return images
    latent = downsample(images)
    residual = images - upsample(upsample(latent, 1), 2)
    latent = _reconstruct(latent, rows, columns, stages - 1)
    return upsample(upsample(latent, 1, rows), 2, columns) + detail * residual


def upsample(images: np.ndarray, axis: int, unevenness: np.ndarray | float = 0.0) -> np.ndarray:
    """Images (B, H, W, C) doubled along `axis`, 1 for H or 2 for W, by a transposed convolution of stride 2.

    The kernel is bilinear, (1, 3, 3, 1) / 4, but its even outputs are scaled by 1 + unevenness and its odd
    ones by 1 - unevenness, which broadcasts against `images`. Borders are replicated.
    """
    last = images.shape[axis] - 1
    indices = np.arange(last + 1)
    before, after = (images.take((indices + step).clip(0, last), axis) for step in (-1, 1))
    even = (0.75 * images + 0.25 * before) * (1 + unevenness)
    odd = (0.75 * images + 0.25 * after) * (1 - unevenness)
    doubled = tuple(2 * length if i == axis else length for i, length in enumerate(images.shape))
    return np.stack((even, odd), axis + 1).reshape(doubled)


def downsample(images: np.ndarray) -> np.ndarray:
    """Means (B, H/2, W/2, C) of 2 x 2 pixels of images (B, H, W, C) of even H and W."""
    rows = images[:, ::2] + images[:, 1::2]  # slices: several times as fast as a reshape and a mean
    return (rows[:, :, ::2] + rows[:, :, 1::2]) / 4
