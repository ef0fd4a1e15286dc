"""Figures of images against those of numpy in double precision."""

import numpy as np
import pytest

from fakereal.data.pixel_statistics import colour_moments


@pytest.mark.parametrize("shape", [(3, 32, 32), (2, 300, 200), (1, 1, 1)])
def test_colour_moments_are_the_mean_and_standard_deviation_of_each_colour(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    mean, std = colour_moments(pixels)
    np.testing.assert_allclose(mean, (pixels / 255).mean((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std, (pixels / 255).std((1, 2)), rtol=1e-6)
    assert mean.dtype == std.dtype == np.float32


def test_an_image_of_one_colour_has_no_spread_and_one_of_another_pixel_has():
    pixels = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None, None], (256, 31, 33, 3)).copy()
    assert (colour_moments(pixels)[1] == 0).all()
    pixels[:, 0, 0, 0] ^= 1
    expected = np.sqrt((1 - 1 / 1023) / 1023) / 255
    np.testing.assert_allclose(colour_moments(pixels)[1][:, 0], expected, rtol=1e-5)
