"""JPEG in integers and by the codec, against Pillow's own files: no pixel differs."""

from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from fakereal.data.transforms import codecs
from fakereal.data.transforms.codecs import reencode
from fakereal.data.transforms.jpeg import reencoded

SIZES = [(32, 32), (64, 48), (33, 17), (20, 28), (11, 47), (8, 8), (5, 6), (224, 224)]


def images(height, width):
    """Noise, coarse patches, a gradient and one colour, uint8 (4, 3, H, W)."""
    numbers = np.random.default_rng(height * width)
    noise = numbers.integers(0, 256, (height, width, 3), dtype=np.uint8)
    coarse = Image.fromarray(noise[:4, :4]).resize((width, height), Image.Resampling.BICUBIC)
    ramp = np.add.outer(np.arange(height), np.arange(width))[..., None] * np.array([3, 1, 2]) % 256
    pixels = np.stack([noise, np.asarray(coarse), ramp.astype(np.uint8), np.full_like(noise, 201)])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("quality", [1, 10, 30, 50, 75, 90, 100])
def test_no_pixel_differs_from_pillows(size, quality, pillow):
    given = images(*size)
    wanted = torch.stack([pillow(image, "JPEG", quality) for image in given])
    assert torch.equal(reencoded(given, torch.full((4,), quality)), wanted)
    assert torch.equal(reencode(given, quality, "JPEG"), wanted)


@pytest.mark.parametrize("way", [reencoded, partial(reencode, format="JPEG")], ids=["integers", "codec"])
def test_each_image_has_its_own_quality(way, pillow):
    given, quality = images(32, 32), torch.tensor([5, 40, 77, 98])
    for image, one, result in zip(given, quality, way(given, quality), strict=True):
        assert torch.equal(pillow(image, "JPEG", int(one)), result)


def test_threads_change_nothing(monkeypatch, pillow):
    given = images(64, 48)
    monkeypatch.setattr(codecs, "SHARED", 1000)
    for format in ("JPEG", "WEBP"):  # of which the second is dealt to threads
        wanted = torch.stack([pillow(image, format, 60) for image in given])
        assert torch.equal(reencode(given, 60, format), wanted)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_saves_the_same():
    given, quality = images(33, 17), torch.tensor([5, 40, 77, 98])
    assert torch.equal(reencoded(given.cuda(), quality).cpu(), reencoded(given, quality))
