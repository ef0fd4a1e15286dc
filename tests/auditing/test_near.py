"""Perceptual hashes, and the search for pairs that are close."""

import io
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from fakereal.auditing import near
from fakereal.auditing.near import close_pairs, correlate
from fakereal.auditing.pixels import perceptual_hashes, pixel_facts
from fakereal.data.image_set import InMemory
from fakereal.data.pixel_statistics import power_spectrum, to_grey


def held(pixels: np.ndarray) -> InMemory:
    return InMemory(pixels, np.zeros(len(pixels), int))


def hashes(*images: Image.Image) -> np.ndarray:
    return perceptual_hashes(to_grey(np.stack([np.asarray(image) for image in images])))


def bits_apart(first: Image.Image, second: Image.Image) -> int:
    one, other = hashes(first, second).tolist()
    return (one ^ other).bit_count()


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


@pytest.mark.parametrize("distance", [0, 1, 3, 6, 10])
@pytest.mark.parametrize("block", [1, 50, near.BLOCK])
def test_close_pairs_are_those_of_a_comparison_of_all(distance, block, monkeypatch):
    monkeypatch.setattr(near, "BLOCK", block)
    numbers = np.random.default_rng(0)
    base = numbers.integers(0, 2**64, 40, dtype=np.uint64)
    flips = [sum(1 << int(bit) for bit in numbers.choice(64, size, replace=False)) for size in range(12)]
    found = np.concatenate([base, *(base[:8] ^ np.uint64(flip) for flip in flips)])
    expected = [
        (i, j) for i, j in combinations(range(len(found)), 2) if (int(found[i]) ^ int(found[j])).bit_count() <= distance
    ]
    pairs = [tuple(pair) for some in close_pairs(found, distance) for pair in some.tolist()]
    assert len(expected) >= 8 and sorted(pairs) == expected


def test_progress_adds_up_to_the_whole():
    shares = []
    list(close_pairs(np.arange(10, dtype=np.uint64), 6, shares.append))
    assert sum(shares) == pytest.approx(1)
    assert list(close_pairs(np.empty(0, dtype=np.uint64), 6)) == []


def test_a_hash_outlasts_recompression_and_brightness_but_not_another_image(picture):
    for seed in range(20):
        image = picture(seed)
        assert bits_apart(image, recompressed(image, 60)) <= 6
        assert bits_apart(image, image.point(lambda value: value // 2)) <= 6
        assert bits_apart(image, picture(seed + 100)) > 12
        assert bits_apart(image, image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) > 12


def test_a_hash_is_of_the_picture_and_not_of_its_size(picture):
    big = picture(3, side=160)
    assert bits_apart(big.resize((32, 32)), big.resize((32, 32), Image.Resampling.BICUBIC)) <= 2
    one, other = (int(hashes(big.resize((side, side), Image.Resampling.LANCZOS))[0]) for side in (160, 32))
    assert (one ^ other).bit_count() <= 6


def test_correlation_is_pearsons_at_32_pixels(picture):
    images = [picture(0), recompressed(picture(0), 50), picture(1)]
    pixels = np.stack([np.asarray(image) for image in images])
    grey = to_grey(pixels).reshape(3, -1)
    pairs = np.array([[0, 1], [0, 2]])
    expected = [np.corrcoef(grey[i], grey[j])[0, 1] for i, j in pairs]
    np.testing.assert_allclose(correlate(held(pixels), pairs), expected, atol=1e-4)
    assert expected[0] > 0.95 > 0.5 > expected[1]


def test_pixel_facts_are_those_of_each_image_whatever_the_batch(picture, monkeypatch):
    pixels = np.stack([np.asarray(picture(seed)) for seed in range(7)])
    pixels[3] = 90
    whole, done = pixel_facts(held(pixels)), []
    monkeypatch.setattr("fakereal.data.passes.BATCH_BYTES", 3 * 3 * 32 * 32)
    parts = pixel_facts(held(pixels), done.append)
    assert done == [3, 3, 1]
    for name in ("hashes", "flat", "mean", "std", "spectrum"):
        np.testing.assert_allclose(getattr(whole, name), getattr(parts, name), atol=1e-5)
    assert whole.flat.tolist() == [False] * 3 + [True] + [False] * 3
    np.testing.assert_allclose(whole.mean, pixels.mean((1, 2)) / 255, atol=1e-5)
    np.testing.assert_allclose(whole.std, pixels.std((1, 2)) / 255, atol=1e-5)


@pytest.mark.parametrize("size", [16, 33])
def test_a_wave_has_its_power_at_its_frequency_and_brightness_has_none(size):
    steps = 2 * np.pi * np.arange(size) / size
    for cycles in (2, 5):
        across = 100 + 50 * np.cos(cycles * steps)[None, None].repeat(size, axis=1)
        for wave in (across, across.transpose(0, 2, 1)):
            spectrum = power_spectrum(wave.astype(np.float32))
            assert spectrum.shape == (1, size // 2) and spectrum[0].argmax() == cycles - 1
            np.testing.assert_allclose(power_spectrum(wave.astype(np.float32) + 40), spectrum, atol=1e-2)
