"""Image files in memory: what saving as JPEG or WebP and opening again makes of a batch."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def reencode(images: Tensor, format: Literal["JPEG", "WEBP"], quality: int) -> Tensor:
    """Images uint8 (B, 3, H, W), RGB, on the CPU, saved lossily by Pillow and opened again.

    JPEG is libjpeg's with 4:2:0 subsampling. The batch is dealt to as many threads as torch has: the codecs
    release the GIL. (torchvision's, four times as fast on 32 px, are deprecated since 0.29.)
    """
    pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
    parts = np.array_split(pixels, min(torch.get_num_threads(), len(pixels)))
    with ThreadPoolExecutor(len(parts)) as pool:
        opened = np.concatenate(list(pool.map(partial(_reencode, format=format, quality=quality), parts)))
    return torch.from_numpy(opened).permute(0, 3, 1, 2)


def _reencode(pixels: np.ndarray, format: str, quality: int) -> np.ndarray:
    opened = np.empty_like(pixels)
    for image, result in zip(pixels, opened, strict=True):
        Image.fromarray(image).save(file := BytesIO(), format, quality=quality)
        result[...] = Image.open(file, formats=(format,))
    return opened
