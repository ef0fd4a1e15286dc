"""Two classes that need no download: dead-leaves images, and such images after an up-sampling decoder."""

from typing import Annotated

import numpy as np
from pydantic import Field

from fakereal.data.upsampling import downsample, resynthesise
from fakereal.runtime.errors import UserError

LEAVES = 90  # cover a point 3 times on average: 4% of the ground shows through
RADII = (0.06, 0.6)  # in units of the image's side
CHUNK_PIXELS = 2**16  # drawn together: 64 images of 32 px, whose labels fit into the cache; images depend on it

# How hard the classes are to tell apart: after 3 epochs of 5,400 images of 32 px a LeNet-5 is right on 98% of
# others (96-100% over 15 seeds), the mean colour on 50%. UNEVENNESS and LOSS belong to a strength of 1.
STRENGTH = (0.2, 1.0)  # of the decoder's traces, uniform: some images are hard
UNEVENNESS = 0.06  # 8 levels of a grey of 128
LOSS = 0.25  # the share of the finest detail that goes missing
NOISE = 0.015  # of the sensor, for both classes: its largest standard deviation, in units of white
# Signs of the unevenness by rows and by columns, in R, G and B: the eye sees a tint less than a grey grid.
SIGNS = np.array([[1, -1, 1], [-1, 1, 1]], np.float32)


def synthetic_images(
    count: Annotated[int, Field(ge=1)],
    size: Annotated[int, Field(ge=16)] = 32,
    seed: Annotated[int, Field(ge=0)] = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (count, size, size, 3) RGB and labels uint8 (count,), in turn REAL (0) and FAKE (1).

    A REAL image is a dead-leaves image (Lee, Mumford & Huang 2001) with sensor noise. A FAKE image is another
    one, encoded and decoded by `resynthesise`, which keeps its mean colour. Image i depends on `size`, `seed`
    and i alone: of two counts, the smaller gives a prefix of the larger.
    """
    for key, value, least in (("count", count, 1), ("size", size, 16), ("seed", seed, 0)):
        if value < least:
            raise UserError(f"`{key}` of the synthetic images must be at least {least}, got {value}.")
    chunk = max(2, CHUNK_PIXELS // size**2 // 2 * 2)
    images = np.empty((count, size, size, 3), np.uint8)
    for start in range(0, count, chunk):
        # The last chunk is drawn in full, then cut: an image must not depend on the count.
        drawn = _draw_chunk(np.random.default_rng((seed, start)), chunk, size)
        images[start : start + chunk] = drawn[: count - start]
    return images, (np.arange(count) % 2).astype(np.uint8)


def _draw_chunk(rng: np.random.Generator, batch: int, size: int) -> np.ndarray:
    """Images uint8 (batch, size, size, 3), in turn REAL and FAKE, of an even batch."""
    top = paint_leaves(*place_leaves(rng, batch), 2 * size)  # twice the size, against aliasing
    images = shade_leaves(rng, top)
    noise = NOISE * rng.random((batch, 1, 1, 1), np.float32)
    images += noise * rng.standard_normal(images.shape, np.float32)
    weakest, strongest = STRENGTH
    strength = weakest + (strongest - weakest) * rng.random(batch // 2, np.float32)
    unevenness = UNEVENNESS * strength[:, None, None] * SIGNS
    images[1::2] = resynthesise(images[1::2], unevenness, detail=1 - LOSS * strength)
    return (255 * images).round().clip(0, 255).astype(np.uint8)


def place_leaves(rng: np.random.Generator, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y and radius, each float64 (LEAVES, batch), of leaves within reach of an image of side 1.

    Radii have density r^-3, by which the image looks alike at all scales. A leaf of radius r can meet the
    image from a square of side 1 + 2r, so that among those in reach the density is r^-3 (1 + 2r)^2.
    """
    radii = np.geomspace(*RADII, 1000)
    cumulative = np.cumsum(radii**-2 * (1 + 2 * radii) ** 2)  # one r less: the radii are spaced in proportion
    radius = np.interp(rng.random((LEAVES, batch)) * cumulative[-1], cumulative, radii)
    x, y = rng.random((2, LEAVES, batch)) * (1 + 2 * radius) - radius
    return x, y, radius


def paint_leaves(x: np.ndarray, y: np.ndarray, radius: np.ndarray, size: int) -> np.ndarray:
    """Index of the topmost disc, unsigned (size, size, B), where of discs (K, B) a later one hides an earlier.

    A pixel belongs to a disc if its centre does; 0 is the first disc and the ground. The k-th discs of all
    images are painted at once, as an interval of rows in each column, in the smallest integers that do:
    half a nanosecond a pixel.
    """
    dtype = np.min_scalar_type(max(size, len(x)))
    x, y, radius = (size * array.astype(np.float32) for array in (x, y, radius))
    rows = np.arange(size, dtype=dtype)[:, None, None]
    centres = np.arange(size, dtype=np.float32)[:, None] + 0.5
    top = np.zeros((size, size, x.shape[1]), dtype)
    label, inside = np.empty_like(top), np.empty(top.shape, bool)
    for k in range(1, len(x)):
        half = np.sqrt(np.maximum(radius[k] ** 2 - (centres - x[k]) ** 2, 0))
        start, stop = ((y[k] + 0.5 + end).clip(0, size).astype(dtype) for end in (-half, half))
        np.subtract(rows, start, out=label)  # above the start it wraps around to a large number
        np.less(label, stop - start, out=inside)
        np.multiply(inside.view(np.uint8), dtype.type(k), out=label)
        np.maximum(top, label, out=top)
    return top


def shade_leaves(rng: np.random.Generator, top: np.ndarray) -> np.ndarray:
    """Float32 images (B, S/2, S/2, 3) about [0, 1] of leaf indices (S, S, B), averaged over 2 x 2.

    The log-odds of a leaf's colour are the sum of a tone of the image, a brightness and a weaker tint of the
    leaf. On this lies a linear shading.
    """
    size, _, batch = top.shape
    tone = 0.3 * rng.standard_normal((batch, 1, 1), np.float32)
    tone = tone + 0.2 * rng.standard_normal((batch, 1, 3), np.float32)
    brightness = 0.65 * rng.standard_normal((batch, LEAVES, 1), np.float32)
    tint = 0.2 * rng.standard_normal((batch, LEAVES, 3), np.float32)
    colour = 1 / (1 + np.exp(-tone - brightness - tint))
    slope = 0.2 * rng.standard_normal((batch, LEAVES, 2), np.float32)
    leaves = np.concatenate((colour, slope), -1).reshape(batch * LEAVES, 5)
    indices = top.transpose(2, 0, 1) + LEAVES * np.arange(batch)[:, None, None]
    pixels = downsample(leaves.take(indices, axis=0))
    position = np.linspace(-0.5, 0.5, size // 2, dtype=np.float32)
    shading = pixels[..., 3] * position[:, None] + pixels[..., 4] * position
    return pixels[..., :3] + shading[..., None]
