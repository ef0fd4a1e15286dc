"""Maps on images of any size."""

import numpy as np
import pytest
from PIL import Image

from fakereal.data.store.decode import Resize
from fakereal.explanation.overlay import at_own_size, colour_bar, overlay
from fakereal.presentation.thumbnails import enlarged, thumbnail


@pytest.mark.parametrize("aspect", ["squash", "crop", "native", "pad"])
@pytest.mark.parametrize("size", [(90, 60), (60, 90), (40, 40), (32, 32), (50, 28)])
def test_a_bright_spot_comes_back_to_where_it_was(aspect, size):
    width, height = size
    grey = np.zeros((height, width, 3), dtype=np.uint8)
    grey[height // 2 : height // 2 + 12, width // 2 : width // 2 + 12] = 255
    resize = Resize(32, aspect)
    seen = np.asarray(resize(Image.fromarray(grey)), dtype=np.float32)[..., 0] / 255
    back = at_own_size(seen, resize, width, height)
    assert back.shape == (height, width)
    assert np.abs(back - grey[..., 0] / 255).mean() < 0.05
    centre = [np.average(np.arange(side), weights=back.sum(axis)) for axis, side in ((1, height), (0, width))]
    assert centre == pytest.approx([height // 2 + 5.5, width // 2 + 5.5], abs=1.5)


def test_the_overlay_keeps_the_image_and_rises_in_brightness_with_the_map():
    pixels = np.full((8, 256, 3), 100, dtype=np.uint8)
    picture = overlay(pixels, np.tile(np.linspace(0, 1, 256, dtype=np.float32), (8, 1)))
    assert picture.shape == pixels.shape and picture.dtype == np.uint8
    light = picture[0] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(light) > -0.7).all() and light[-1] > light[0] + 60
    darker = overlay(pixels // 2, np.zeros((8, 256), dtype=np.float32))
    assert (darker < overlay(pixels, np.zeros((8, 256), dtype=np.float32))).all(), "the image shows through"
    assert (np.diff(colour_bar()[0].astype(int).sum(1)) >= -3).all()


def test_small_images_grow_by_whole_squares_and_large_ones_stay():
    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    large = enlarged(pixels)
    assert large.shape == (270, 180, 3) and np.array_equal(large[::9, ::9], pixels)
    assert np.array_equal(large[8::9, 8::9], pixels)
    assert enlarged(large) is not None and enlarged(large).shape == large.shape
    assert thumbnail(pixels, 96).shape == (90, 60, 3) and thumbnail(large, 96).shape == (96, 64, 3)
