"""What happens to an image between its maker and the detector: corruptions in five severities.

The grid of corruption x severity, and the order of size of blur and noise, are those of Hendrycks & Dietterich
("Benchmarking neural network robustness to common corruptions and perturbations", ICLR 2019; CIFAR-10-C for
32 px); crop, darker, WebP, screenshot and social are added because images that are shared meet them (for
Facebook: Moltisanti et al., "Image manipulation on Facebook for forensics evidence", ICIAP 2015).

Corruptions act on images as they are stored (`data.size`): a blur of one pixel takes less from larger ones.
A corrupted image is a function of its pixels, corruption, severity, seed and index, bit for bit, in whatever
batch it stands: the codecs see one image at a time, resizing is in integers, other sums have a fixed order.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fakereal.data.draws import uniforms
from fakereal.data.transforms.blur import gaussian_blur
from fakereal.data.transforms.codecs import reencode


def jpeg(images: Tensor, quality: int) -> Tensor:
    """Saved as JPEG, 4:2:0. An image that came from such a JPEG of the same quality changes little."""
    return reencode(images, quality, "JPEG")


def webp(images: Tensor, quality: int) -> Tensor:
    """Saved as lossy WebP."""
    return reencode(images, quality, "WEBP")


def blur(images: Tensor, sigma: float) -> Tensor:
    """Sigma in pixels, as augmentation blurs."""
    return gaussian_blur(images, torch.full((len(images),), sigma), most=sigma)


def noise(images: Tensor, deviation: float, seed: int, index: Tensor) -> Tensor:
    """Independent noise in each channel; `deviation` of 255. An image has the same noise, scaled, at every severity.

    Normal to its tails, unlike augmentation's, which has to be fast.
    """
    draws = uniforms(seed, 0, index, images[0].numel()).double() + 2**-25  # in (0, 1)
    return _uint8(images + deviation * torch.special.ndtri(draws).view(images.shape))


def down_up(images: Tensor, factor: float) -> Tensor:
    """Shrunk by the factor and enlarged again, bilinear."""
    return _resize(_resize(images, *(side / factor for side in images.shape[-2:])), *images.shape[-2:])


def crop(images: Tensor, share: float) -> Tensor:
    """The centre, of this share of each side, enlarged to the image's size."""
    height, width = images.shape[-2:]
    h, w = (max(1, round(share * side)) for side in (height, width))
    top, left = (height - h) // 2, (width - w) // 2
    return _resize(images[..., top : top + h, left : left + w], height, width)


def exposure(images: Tensor, factor: float) -> Tensor:
    """All values times the factor, cut at white."""
    return _uint8(images.float() * factor)


def screenshot(images: Tensor, strength: tuple[float, float, float, int | None]) -> Tensor:
    """Shown enlarged by a display with its own gamma and white, saved as JPEG or PNG, and shrunk again.

    `strength` is (zoom, gamma, warmth, quality): red is multiplied by 1 + warmth, blue by 1 - warmth; PNG, quality
    None, loses nothing.
    """
    zoom, gamma, warmth, quality = strength
    shown = _resize(images, *(zoom * side for side in images.shape[-2:]))
    gains = torch.tensor([1 + warmth, 1, 1 - warmth], dtype=torch.float64)[:, None]
    levels = (torch.arange(256, dtype=torch.float64) / 255) ** gamma * 255
    shown = _uint8(gains * levels).take(shown.long() + 256 * torch.arange(3)[:, None, None])
    return _resize(shown if quality is None else jpeg(shown, quality), *images.shape[-2:])


def social(images: Tensor, strength: tuple[int, float, int]) -> Tensor:
    """Saved as JPEG, shrunk by the network that it is shared in and saved again; then enlarged to the old size.

    `strength` is (first quality, factor, second quality). The blocks of the two JPEGs do not coincide.
    """
    first, factor, second = strength
    small = _resize(jpeg(images, first), *(side / factor for side in images.shape[-2:]))
    return _resize(jpeg(small, second), *images.shape[-2:])


class Corruption(NamedTuple):
    """A function of (images, strength) or, with `draws`, of (images, strength, seed, index), and five strengths."""

    apply: Callable[..., Tensor]
    strengths: tuple[Any, ...]
    axis: str  # what the strengths are
    text: Callable[[Any], str]  # a strength as short text
    draws: bool = False


def _screenshot_text(strength: tuple[float, float, float, int | None]) -> str:
    return f"{strength[0]:g}x " + ("PNG" if strength[3] is None else f"q{strength[3]}")


DISPLAYS = (
    (2.6, 1.05, 0.01, None),
    (2.2, 1.1, 0.02, 90),
    (1.8, 1.15, 0.03, 80),
    (1.4, 1.2, 0.04, 65),
    (1.15, 1.3, 0.05, 50),
)
NETWORKS = ((95, 1.1, 85), (90, 1.25, 80), (85, 1.5, 70), (75, 1.75, 60), (60, 2.25, 40))
CORRUPTIONS = {
    "jpeg": Corruption(jpeg, (90, 75, 50, 30, 10), "quality", str),
    "webp": Corruption(webp, (90, 75, 50, 30, 10), "quality", str),
    "gaussian_blur": Corruption(blur, (0.4, 0.6, 0.8, 1.0, 1.5), "sigma, pixels", str),
    "gaussian_noise": Corruption(noise, (4, 8, 12, 18, 25), "deviation of 255", str, draws=True),
    "down_up": Corruption(down_up, (1.25, 1.5, 2, 3, 4), "factor", str),
    # Even numbers of a 32 px side, so that the centre is one: 30, 28, 24, 20, 16.
    "crop": Corruption(crop, (15 / 16, 7 / 8, 3 / 4, 5 / 8, 1 / 2), "side kept", "{:.0%}".format),
    "darker": Corruption(exposure, (0.9, 0.8, 0.65, 0.5, 0.35), "factor", str),
    "brighter": Corruption(exposure, (1.1, 1.25, 1.5, 1.75, 2.0), "factor", str),
    "screenshot": Corruption(screenshot, DISPLAYS, "zoom, file", _screenshot_text),
    "social": Corruption(social, NETWORKS, "file, factor, file", "q{0[0]} /{0[1]} q{0[2]}".format),
}
SEVERITIES = (1, 2, 3, 4, 5)
CLEAN = "clean"


def corrupt(images: Tensor, name: str, severity: int, *, seed: int, index: Tensor) -> Tensor:
    """Images uint8 (B, 3, H, W), RGB, on the CPU, corrupted; the very images at severity 0.

    `index` (B,), integers, says which images they are: with `seed` it draws their noise.
    """
    if severity == 0:
        return images
    corruption = CORRUPTIONS[name]
    strength = corruption.strengths[severity - 1]
    return corruption.apply(images, strength, *((seed, index) if corruption.draws else ()))


def _resize(images: Tensor, height: float, width: float) -> Tensor:
    """Bilinear, antialiased where it shrinks; the sides are rounded. On uint8 torch computes in integers."""
    size = max(1, round(height)), max(1, round(width))
    return F.interpolate(images, size, mode="bilinear", antialias=True)


def _uint8(pixels: Tensor) -> Tensor:
    return pixels.round().clamp_(0, 255).to(torch.uint8)
