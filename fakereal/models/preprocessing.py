"""From uint8 images to what a backbone was made for: size, normalisation, memory layout."""

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import TypedDict


class Normalization(TypedDict):
    """Mean and standard deviation of each channel, of pixels in [0, 1]."""

    mean: list[float]
    std: list[float]


IMAGENET: Normalization = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def preprocess(images: Tensor, mean: Tensor, std: Tensor, size: int | None, channels_last: bool) -> Tensor:
    """Float32 (B, 3, size, size), or of the images' own size, of uint8 (B, 3, H, W); `mean` and `std` (1, 3, 1, 1)."""
    if images.dtype != torch.uint8:
        raise TypeError(f"images are uint8, 0 to 255, got {images.dtype}")
    pixels = images.to(torch.float32, copy=True)
    if size and pixels.shape[-2:] != (size, size):
        pixels = F.interpolate(pixels, (size, size), mode="bilinear", antialias=True, align_corners=False)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    # In one pass, with figures for each pixel: three channels side by side are slow to broadcast over.
    shift, scale = (
        figures.expand(1, 3, *pixels.shape[-2:]).contiguous(memory_format=layout)
        for figures in (-mean / std, 1 / (255 * std))
    )
    pixels = pixels.contiguous(memory_format=layout)
    return torch.addcmul(shift, pixels, scale, out=pixels)  # they are ours: memory that is in the cache already
