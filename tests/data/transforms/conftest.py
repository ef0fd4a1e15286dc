"""What Pillow alone makes of an image."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture
def pillow() -> Callable[..., torch.Tensor]:
    """`pillow(image, "JPEG", quality)`: uint8 (3, H, W) saved and opened again."""

    def call(image: torch.Tensor, format: str, quality: int) -> torch.Tensor:
        Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(file := BytesIO(), format, quality=quality)
        return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)

    return call
