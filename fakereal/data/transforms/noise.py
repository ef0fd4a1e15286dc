"""Noise on the images of a batch, each with its own strength and its own draws."""

import torch
from torch import Tensor

GOLDEN = 0x9E3779B9 - 2**32  # 2**32 / golden ratio, as int32: multiples of it are spread evenly
# Of the sum of four bytes, each uniform in 0..255.
MEAN, DEVIATION = 510, (4 * (256**2 - 1) / 12) ** 0.5


def gaussian_noise(images: Tensor, sigma: Tensor, key: Tensor) -> Tensor:
    """Images uint8 (B, 3, H, W) with independent noise in each value, of standard deviation `sigma` (B,), float32.

    `key` (B,), integers in [0, 2**24), draws it: an image has the same noise in any batch and on any device. Each value
    has the sum of the four bytes of a hash, which is nearly normal and at most 3.5 deviations from its mean.
    """
    count = images[0].numel()
    place = torch.arange(count, dtype=torch.int32, device=images.device) * GOLDEN
    bits = _mix_(_mix_(key.to(images.device, torch.int32, copy=True))[:, None] + place)
    pairs = (bits & 0x00FF00FF).add_((bits >> 8).bitwise_and_(0x00FF00FF))  # two sums of two bytes each
    total = (pairs & 0xFFFF).add_(pairs >> 16)
    noise = total.sub_(MEAN).to(torch.float32).mul_((sigma / DEVIATION).to(images.device)[:, None]).round_()
    return noise.view(images.shape).add_(images).clamp_(0, 255).to(torch.uint8)


def _mix_(x: Tensor) -> Tensor:
    """A bijection of int32, in place, in which each bit of x moves each bit of the result (Wellons, "lowbias32")."""
    x.bitwise_xor_(_shifted(x, 16)).mul_(0x7FEB352D)
    x.bitwise_xor_(_shifted(x, 15)).mul_(0x846CA68B - 2**32)
    return x.bitwise_xor_(_shifted(x, 16))


def _shifted(x: Tensor, by: int) -> Tensor:
    """To the right, with zeros from the left: torch shifts a negative number with ones."""
    return (x >> by).bitwise_and_((1 << 32 - by) - 1)
