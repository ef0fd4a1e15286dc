"""Image files in memory: what saving as JPEG or WebP and opening again makes of a batch."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from typing import Literal

import numpy as np
import simplejpeg
import torch
from PIL import Image
from torch import Tensor

# Pixels of a WebP batch from which on two threads take 0.5 to 0.6 of the time. For JPEG they would wait for the GIL.
SHARED = 2**18


def reencode(images: Tensor, quality: int | Tensor, format: Literal["JPEG", "WEBP"]) -> Tensor:
    """Images uint8 (B, 3, H, W), RGB, on the CPU, saved by Pillow at a quality, or one each (B,), and opened again.

    JPEG is libjpeg's with 4:2:0 subsampling. (torchvision's codecs are deprecated since 0.29.)
    """
    pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
    qualities = np.broadcast_to(np.asarray(quality, int), len(pixels))
    if format == "JPEG" or pixels.size < 3 * SHARED:
        opened = _reencode(pixels, qualities, format)
    else:
        count = min(torch.get_num_threads(), len(pixels))
        parts = (np.array_split(values, count) for values in (pixels, qualities))
        with ThreadPoolExecutor(count) as pool:
            opened = np.concatenate([*pool.map(partial(_reencode, format=format), *parts)])
    return torch.from_numpy(opened).permute(0, 3, 1, 2)


def _reencode(pixels: np.ndarray, qualities: np.ndarray, format: str) -> np.ndarray:
    opened = np.empty_like(pixels)
    for image, quality, result in zip(pixels, qualities.tolist(), opened, strict=True):
        Image.fromarray(image).save(file := BytesIO(), format, quality=quality)
        # Both call libjpeg-turbo and give the same pixels; Pillow takes 80 us for the header.
        jpeg = format == "JPEG"
        result[...] = simplejpeg.decode_jpeg(file.getbuffer(), "RGB") if jpeg else Image.open(file, formats=(format,))
    return opened
