"""Augmentation of a whole batch on its device, each sample with draws of its own (`fakereal.data.draws`).

torchvision's v2 transforms draw once for a whole batch. Here a sample comes out the same, bit for bit, in
whatever batch it stands.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from fakereal.config.schema import refuse_wrong_values
from fakereal.data.transforms import color, geometry
from fakereal.data.transforms.blur import gaussian_blur
from fakereal.data.transforms.codecs import reencode
from fakereal.data.transforms.jpeg import reencoded
from fakereal.data.transforms.noise import gaussian_noise
from fakereal.runtime.errors import UserError

# One column of draws per random decision, at its place whether it is used or not: switching one augmentation
# on leaves the draws of the others alone. New ones go to the end.
COLUMNS = (
    *("flip", "pad_top", "pad_left", "angle"),
    *("crop_area", "crop_ratio", "crop_top", "crop_left"),
    *("brightness", "contrast", "saturation", "hue"),
    *("erase", "erase_area", "erase_ratio", "erase_top", "erase_left"),
    *("erase_red", "erase_green", "erase_blue"),
    *("blur", "blur_sigma", "jpeg", "jpeg_quality"),
    *("noise", "noise_sigma", "noise_key"),
)
ERASING_RATIO = (0.3, 3.3)


def _ascending(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError("[low, high] with low <= high")
    return limits


Probability = Annotated[float, Field(ge=0, le=1)]
Strength = Annotated[float, Field(ge=0)]
_Share = Annotated[float, Field(gt=0, le=1)]
Scale = Annotated[tuple[_Share, _Share], AfterValidator(_ascending)]
_Positive = Annotated[float, Field(gt=0)]
Ratio = Annotated[tuple[_Positive, _Positive], AfterValidator(_ascending)]
Sigma = Annotated[tuple[Strength, Strength], AfterValidator(_ascending)]
_Quality = Annotated[int, Field(ge=1, le=100)]
Quality = Annotated[tuple[_Quality, _Quality], AfterValidator(_ascending)]


class Augment(nn.Module):
    """Random augmentation of image batches. All are off by default; they are applied in the order given here.

    Args:
        horizontal_flip: probability to mirror.
        crop_padding: pixels of reflection added on each side before a random crop back to the size.
        rotation: degrees; the angle is uniform in [-rotation, rotation], the surroundings are a reflection.
        resized_crop_scale: range of the share of the area that a random window keeps, before it is resized to
            the image's size (bilinear, in one resampling with the rotation). None: off.
        resized_crop_ratio: range of the window's width / height, that of the image counting as 1; log-uniform,
            moved to the nearest that fits.
        brightness, contrast, saturation: as torchvision's ColorJitter, but always in this order: the factor
            is uniform in [max(0, 1 - strength), 1 + strength].
        hue: likewise; the hue shifts by uniform [-hue, hue] turns of the colour circle.
        blur: probability to blur as by a lens, or as shrinking and enlarging do (Wang et al., "CNN-generated images are
            surprisingly easy to spot... for now", CVPR 2020).
        blur_sigma: range of the Gaussian's standard deviation, in pixels; uniform.
        noise: probability that all values get Gaussian noise of their own (as sensors' and prints' is).
        noise_sigma: range of its standard deviation, of 255; uniform.
        jpeg: probability to be saved as JPEG and opened again, with libjpeg's own result (Wang et al., likewise).
        jpeg_quality: range of the quality, 1 to 100; uniform over its integers.
        erasing: probability to cover a rectangle with one random colour (Zhong et al., "Random erasing data
            augmentation", 2017); its width / height is as above, in [0.3, 3.3].
        erasing_scale: range of the share of the area that the rectangle covers.
    """

    count = len(COLUMNS)  # draws per sample

    def __init__(
        self,
        horizontal_flip: Probability = 0.0,
        crop_padding: Annotated[int, Field(ge=0)] = 0,
        rotation: Annotated[float, Field(ge=0, le=180)] = 0.0,
        resized_crop_scale: Scale | None = None,
        resized_crop_ratio: Ratio = (3 / 4, 4 / 3),
        brightness: Strength = 0.0,
        contrast: Strength = 0.0,
        saturation: Strength = 0.0,
        hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0,
        blur: Probability = 0.0,
        blur_sigma: Sigma = (0.0, 3.0),
        noise: Probability = 0.0,
        noise_sigma: Sigma = (0.0, 15.0),
        jpeg: Probability = 0.0,
        jpeg_quality: Quality = (30, 100),
        erasing: Probability = 0.0,
        erasing_scale: Scale = (0.02, 0.33),
    ) -> None:
        refuse_wrong_values(Augment, locals())
        super().__init__()
        self.horizontal_flip, self.crop_padding, self.rotation = horizontal_flip, crop_padding, rotation
        self.resized_crop_scale, self.resized_crop_ratio = resized_crop_scale, resized_crop_ratio
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue
        self.blur, self.blur_sigma, self.noise, self.noise_sigma = blur, blur_sigma, noise, noise_sigma
        self.jpeg, self.jpeg_quality = jpeg, jpeg_quality
        self.erasing, self.erasing_scale = erasing, erasing_scale
        self._moves = horizontal_flip > 0 or crop_padding > 0
        self._warps = rotation > 0 or resized_crop_scale is not None
        self._jitters = max(brightness, contrast, saturation, hue) > 0

    @property
    def active(self) -> bool:
        """Whether any augmentation is on."""
        some = max(self.blur, self.noise, self.jpeg, self.erasing)
        return self._moves or self._warps or self._jitters or some > 0

    @property
    def only_mirrors(self) -> bool:
        """Whether `horizontal_flip` is on, and nothing else."""
        others = self.crop_padding, self._warps, self._jitters, self.blur, self.noise, self.jpeg, self.erasing
        return self.horizontal_flip > 0 and not any(others)

    def mirrored(self, draws: Tensor) -> Tensor:
        """Which images (B,) are mirrored, by their draws (B, count)."""
        return draws[:, COLUMNS.index("flip")] < self.horizontal_flip

    def forward(self, images: Tensor, draws: Tensor) -> Tensor:
        """Images uint8 (B, 3, H, W), augmented, in their memory format; the very images when nothing is on.

        `draws` are float32 (B, count) in [0, 1), on any device; on the CPU they make the same parameters to the
        last bit for images on any other. Raises UserError where the padding is too large for the images.
        """
        if not self.active:
            return images
        memory_format = torch.contiguous_format
        if images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous():
            memory_format = torch.channels_last
        u = dict(zip(COLUMNS, draws.unbind(1), strict=True))
        if self._moves:
            images = self._move(images, u)
        if self._warps or self._jitters:
            pixels = images.to(torch.float32, memory_format=torch.contiguous_format)
            pixels = self._warp(pixels, u) if self._warps else pixels
            pixels = self._jitter(pixels, u)
            images = pixels.round_().to(torch.uint8, memory_format=memory_format)
        if self.blur > 0:
            images = self._blur(images, u)
        if self.noise > 0:
            images = self._noise(images, u)
        if self.jpeg > 0:
            images = self._reencode(images, u)
        if self.erasing > 0:
            images = self._erase(images, u)
        return images.contiguous(memory_format=memory_format)

    def _move(self, images: Tensor, u: dict[str, Tensor]) -> Tensor:
        height, width = images.shape[-2:]
        padding = self.crop_padding
        if padding >= min(height, width):
            raise UserError(
                f"`data.augment.crop_padding` must be smaller than the images, got {padding} for images of "
                f"{height} x {width} pixels; lower it."
            )
        # The largest draw times (2 * padding + 1) can round up to that: hence the clamp.
        top, left = (
            (u[name] * (2 * padding + 1)).floor().clamp(max=2 * padding) - padding for name in ("pad_top", "pad_left")
        )
        flip = u["flip"] < self.horizontal_flip
        return geometry.crop_and_flip(images, *torch.stack([top, left, flip]).to(images.device, torch.int64))

    def _warp(self, pixels: Tensor, u: dict[str, Tensor]) -> Tensor:
        aspect = pixels.shape[-2] / pixels.shape[-1]
        angle = (2 * u["angle"] - 1) * math.radians(self.rotation)
        top = left = torch.zeros_like(angle)
        height = width = torch.ones_like(angle)
        if self.resized_crop_scale is not None:
            top, left, height, width = _window(u, "crop", self.resized_crop_scale, self.resized_crop_ratio)
        # Out of the window, then rotated about the image's centre; coordinates are -1 to 1 from edge to edge.
        x, y, cos, sin = 2 * left + width - 1, 2 * top + height - 1, angle.cos(), angle.sin()
        matrix = [cos * width, -sin * aspect * height, cos * x - sin * aspect * y]
        matrix += [sin / aspect * width, cos * height, sin / aspect * x + cos * y]
        return geometry.resample(pixels, torch.stack(matrix).view(2, 3, -1).to(pixels.device))

    def _jitter(self, pixels: Tensor, u: dict[str, Tensor]) -> Tensor:
        for name in ("brightness", "contrast", "saturation", "hue"):
            strength = getattr(self, name)
            low, high = (-strength, strength) if name == "hue" else (max(0.0, 1 - strength), 1 + strength)
            if strength > 0:
                factor = _between(u[name], low, high).to(pixels.device)
                pixels = getattr(color, f"adjust_{name}_")(pixels, factor[:, None, None])
        return pixels

    def _blur(self, images: Tensor, u: dict[str, Tensor]) -> Tensor:
        sigma = _between(u["blur_sigma"], *self.blur_sigma)
        return _of_some(u["blur"] < self.blur, partial(gaussian_blur, most=self.blur_sigma[1]), images, sigma)

    def _noise(self, images: Tensor, u: dict[str, Tensor]) -> Tensor:
        sigma, key = _between(u["noise_sigma"], *self.noise_sigma), (u["noise_key"] * 2**24).to(torch.int32)
        return _of_some(u["noise"] < self.noise, gaussian_noise, images, sigma, key)

    def _reencode(self, images: Tensor, u: dict[str, Tensor]) -> Tensor:
        low, high = self.jpeg_quality
        # The largest draw times the number of qualities can round up to that.
        quality = (low + u["jpeg_quality"] * (high - low + 1)).floor().clamp(max=high)
        # The same pixels; on a CPU by the codec itself, in a tenth of the time for 224 px.
        save = partial(reencode, format="JPEG") if images.device.type == "cpu" else reencoded
        return _of_some(u["jpeg"] < self.jpeg, save, images, quality)

    def _erase(self, images: Tensor, u: dict[str, Tensor]) -> Tensor:
        top, left, height, width = _window(u, "erase", self.erasing_scale, ERASING_RATIO)
        height = torch.where(u["erase"] < self.erasing, height, 0)
        box = torch.stack([top, left, top + height, left + width]).to(images.device)
        fill = torch.stack([u["erase_red"], u["erase_green"], u["erase_blue"]]) * 256
        return geometry.cover(images, box, fill.to(images.device, torch.uint8))


def _of_some(chosen: Tensor, change: Callable[..., Tensor], images: Tensor, *parameters: Tensor) -> Tensor:
    """`change(images, *parameters)`, each (B,), of those images (B,) that are chosen, and the others as they are."""
    if images.device.type != "cpu":  # which would be waited for if it were asked how many
        changed = change(images, *(parameter.to(images.device) for parameter in parameters))
        return torch.where(chosen.to(images.device)[:, None, None, None], changed, images)
    rows = chosen.nonzero().flatten()
    if not len(rows):
        return images
    return images.index_copy(0, rows, change(images[rows], *(parameter[rows] for parameter in parameters)))


def _between(u: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * u


def _window(u: dict[str, Tensor], name: str, scale: Scale, ratio: Ratio) -> tuple[Tensor, ...]:
    """Top, left, height and width of random windows, as shares of the image's height and width."""
    area = _between(u[f"{name}_area"], *scale)
    ratio = _between(u[f"{name}_ratio"], math.log(ratio[0]), math.log(ratio[1])).exp()
    width = (area * ratio).sqrt().clamp(max=1)
    width = torch.maximum(width, area)  # else the height would be more than 1
    height = area / width
    return u[f"{name}_top"] * (1 - height), u[f"{name}_left"] * (1 - width), height, width
