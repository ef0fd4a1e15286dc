"""Brightness, contrast, saturation and hue of a batch, with a factor for each sample.

The arithmetic of torchvision.transforms.v2.functional's `adjust_*` on float images, which take one factor for
a whole batch. Pixels are float32 (B, 3, H, W) in [0, 255], factors float32 (B, 1, 1). Each operation rounds
once (no `add` with alpha, no `lerp`: their vector and scalar loops may round differently) and sums are of
integers: a sample's result depends neither on its batch nor on the number of threads.

All work in place, as the underscore says: on a CPU new memory costs more than the arithmetic.
"""

import torch
from torch import Tensor


def adjust_brightness_(pixels: Tensor, factor: Tensor) -> Tensor:
    """0 gives black, 1 the image."""
    return pixels.mul_(factor[:, None]).clamp_(0, 255)


def adjust_contrast_(pixels: Tensor, factor: Tensor) -> Tensor:
    """0 gives the mean grey, 1 the image."""
    steps = _gray(pixels).mul_(256).round_().to(torch.int32)
    mean = steps.sum((-2, -1), keepdim=True, dtype=torch.int64).float() / (256 * pixels[0, 0].numel())
    return _blend_(pixels, mean, factor)


def adjust_saturation_(pixels: Tensor, factor: Tensor) -> Tensor:
    """0 gives the image in grey, 1 the image."""
    return _blend_(pixels, _gray(pixels), factor)


def adjust_hue_(pixels: Tensor, turns: Tensor) -> Tensor:
    """Turns the hue, from -0.5 to 0.5 turns of HSV's colour circle; saturation and value are kept."""
    red, green, blue = pixels.unbind(1)
    high = torch.maximum(green, blue).clamp_(min=red)
    low = torch.minimum(green, blue).clamp_(max=red)
    chroma = high - low
    # The way from red to the hue in sextants, 0 to 3, in one expression for whichever channel is the highest; it
    # leads by green or by blue. (`where` is 10 ns a pixel, more than all of this line.) Of grey any hue will do.
    hue = (green + blue).sub_(red).add_(high).sub_(low).sub_(low).div_(chroma.clamp(min=1e-6))
    hue.copysign_(green - blue).add_(6 * turns)
    hue.sub_((hue / 6).floor_().mul_(6))  # 0 to 6: red is at 0 and 6, green at 2, blue at 4
    for channel, centre in ((red, 3), (green, 2), (blue, 4)):
        channel.copy_(hue).sub_(centre).abs_()
    red.sub_(1).clamp_(0, 1)
    pixels[:, 1:].neg_().add_(2).clamp_(0, 1)
    return pixels.mul_(chroma[:, None]).add_(low[:, None])


def _gray(pixels: Tensor) -> Tensor:
    red, green, blue = pixels.unbind(1)
    return (red * 0.2989).add_(green * 0.587).add_(blue * 0.114)


def _blend_(pixels: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return pixels.mul_(factor[:, None]).add_((other * (1 - factor))[:, None]).clamp_(0, 255)
