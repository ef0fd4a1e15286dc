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
    unseen = np.isnan(back)
    assert unseen.any() == (
        (aspect in ("crop", "native") and width != height) or (aspect, size) == ("native", (40, 40))
    )
    assert not unseen[height // 2 - 12 : height // 2 + 12, width // 2 - 12 : width // 2 + 12].any()
    back = np.nan_to_num(back)
    assert np.abs(back - grey[..., 0] / 255).mean() < 0.05
    centre = [np.average(np.arange(side), weights=back.sum(axis)) for axis, side in ((1, height), (0, width))]
    assert centre == pytest.approx([height // 2 + 5.5, width // 2 + 5.5], abs=1.5)


@pytest.mark.parametrize("aspect", ["squash", "crop", "native", "pad"])
def test_of_an_image_that_is_shown_smaller_the_map_is_that_of_its_own_size(aspect):
    heat = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    own = at_own_size(heat, Resize(64, aspect), 240, 160)
    small = at_own_size(heat, Resize(64, aspect), 240, 160, (120, 80))
    assert small.shape == (80, 120)
    np.testing.assert_array_equal(np.isnan(small), np.isnan(own[::2, ::2]))
    shrunk = np.nanmean(np.where(np.isnan(own), 0, own)), np.nanmean(np.where(np.isnan(small), 0, small))
    assert shrunk[0] == pytest.approx(shrunk[1], rel=0.02)


def test_what_was_not_seen_is_grey():
    pixels, heat = np.full((8, 8, 3), (200, 10, 10), dtype=np.uint8), np.full((8, 8), np.nan, dtype=np.float32)
    heat[:4] = 0.5
    picture = overlay(pixels, heat).astype(int)
    assert np.ptp(picture[4:], axis=-1).max() == 0 < np.ptp(picture[:4], axis=-1).min()


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
