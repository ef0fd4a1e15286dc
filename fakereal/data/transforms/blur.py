"""Blurring the images of a batch, each by its own sigma."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian_blur(images: Tensor, sigma: Tensor, most: float) -> Tensor:
    """Images uint8 (B, 3, H, W) blurred by `sigma` (B,) pixels, float32 of 0 to `most`; reflected beyond the border.

    Cut at three times `most`. Sums in a fixed order: a convolution's rounding would depend on the size of the batch.
    """
    radius = min(math.ceil(3 * most), min(images.shape[-2:]) - 1)
    places = torch.arange(radius + 1, dtype=torch.float32, device=sigma.device)
    taps = (-0.5 * (places / sigma.clamp(min=0.01)[:, None]).square()).exp()
    taps = taps / (2 * taps.sum(1, keepdim=True) - taps[:, :1])
    middle, *beside = taps.to(images.device).T[..., None, None, None]
    pixels = images.to(torch.float32, memory_format=torch.contiguous_format)
    for axis in (-2, -1):
        length = pixels.shape[axis]
        wide = F.pad(pixels, (radius, radius, 0, 0) if axis == -1 else (0, 0, radius, radius), mode="reflect")
        pixels = middle * pixels
        for step, weight in enumerate(beside, start=1):
            pairs = wide.narrow(axis, radius - step, length) + wide.narrow(axis, radius + step, length)
            pixels += weight * pairs
    return pixels.round_().clamp_(0, 255).to(torch.uint8)
