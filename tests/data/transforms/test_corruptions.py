"""Corruptions: functions of (image, severity, seed, index), stronger with each severity, true to real codecs."""

from itertools import pairwise
from math import erf, sqrt

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate
from torchvision.transforms.v2 import functional as F

from fakereal.data.transforms.corruptions import CORRUPTIONS, SEVERITIES, corrupt

COUNT = 40


def smooth(count: int, height: int, width: int) -> torch.Tensor:
    """Images with large forms and some grain, as photographs have."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((count, 3, 6, 6), generator=generator)
    pixels = interpolate(coarse, (height, width), mode="bicubic")
    pixels += 0.03 * torch.randn(pixels.shape, generator=generator)
    return (pixels.clamp(0, 1) * 255).to(torch.uint8)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return smooth(COUNT, 32, 32)


def corrupted(images, name, severity, seed=0, index=None):
    return corrupt(images, name, severity, seed=seed, index=torch.arange(len(images)) if index is None else index)


def pillow(image: torch.Tensor) -> Image.Image:
    return Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())


def tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def difference(images: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (images.short() - other.short()).abs()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_image_comes_out_the_same_in_any_batch_layout_and_number_of_threads(name, images):
    index = torch.randperm(1000, generator=torch.Generator().manual_seed(1))[:COUNT]
    for severity in (1, 4):
        whole = corrupted(images, name, severity, index=index)
        for size in (1, 7):
            parts = zip(images.split(size), index.split(size), strict=True)
            again = torch.cat([corrupted(part, name, severity, index=rows) for part, rows in parts])
            assert torch.equal(whole, again)
        last = images.contiguous(memory_format=torch.channels_last)
        assert torch.equal(whole, corrupted(last, name, severity, index=index))
        threads = torch.get_num_threads()
        torch.set_num_threads(3)
        try:
            assert torch.equal(whole, corrupted(images, name, severity, index=index))
        finally:
            torch.set_num_threads(threads)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_severity_changes_more_and_keeps_shape_and_type(name, images):
    before, changes = images.clone(), [0.0]
    for severity in SEVERITIES:
        result = corrupted(images, name, severity)
        assert result.shape == images.shape and result.dtype == torch.uint8
        changes.append(difference(result, images).float().mean().item())
    assert all(more > less + 0.1 for less, more in pairwise(changes)), changes
    assert torch.equal(images, before) and corrupted(images, name, 0) is images
    odd = smooth(3, 9, 41)
    assert corrupted(odd, name, 5).shape == odd.shape


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_channels_keep_their_places(name):
    flat = torch.tensor([200, 120, 40], dtype=torch.uint8)[None, :, None, None].expand(4, 3, 32, 32)
    for severity in SEVERITIES:
        red, green, blue = corrupted(flat, name, severity).float().mean((0, 2, 3)).tolist()
        assert red > green > blue


def test_only_noise_asks_who_an_image_is(images):
    for name in CORRUPTIONS:
        first = corrupted(images, name, 3)
        alike = [
            torch.equal(first, corrupted(images, name, 3, seed=1)),
            torch.equal(first, corrupted(images, name, 3, index=torch.arange(COUNT) + 1)),
        ]
        assert alike == [name != "gaussian_noise"] * 2


@pytest.mark.parametrize(("name", "ending"), [("jpeg", "jpg"), ("webp", "webp")])
def test_a_codec_does_what_saving_and_opening_a_file_does(name, ending, images, tmp_path):
    for severity in (1, 5):
        quality = CORRUPTIONS[name].strengths[severity - 1]
        result = corrupted(images, name, severity)
        for number in (0, COUNT - 1):
            path = tmp_path / f"{severity}_{number}.{ending}"
            pillow(images[number]).save(path, quality=quality)
            assert torch.equal(result[number], tensor(Image.open(path).convert("RGB")))


def test_a_jpeg_saved_again_at_its_quality_changes_less_than_at_first(images):
    once = corrupted(images, "jpeg", 2)
    again = corrupted(once, "jpeg", 2)
    assert difference(again, once).float().mean() < 0.5 * difference(once, images).float().mean()


def test_noise_has_its_deviation_and_is_one_field_scaled():
    grey = torch.full((50, 3, 32, 32), 128, dtype=torch.uint8)
    fields = [corrupted(grey, "gaussian_noise", severity).float() - 128 for severity in SEVERITIES]
    for field, deviation in zip(fields, CORRUPTIONS["gaussian_noise"].strengths, strict=True):
        assert abs(field.mean()) < 0.1 and field.std() == pytest.approx(deviation, rel=0.01)
        normal = erf((deviation - 0.5) / deviation / sqrt(2))  # the noise is rounded
        assert (field.abs() < deviation).float().mean() == pytest.approx(normal, abs=0.005)
    assert (fields[4] / 25 - fields[2] / 12).abs().max() < 0.5 / 25 + 0.5 / 12 + 1e-4
    flat = fields[4].flatten(1)
    assert torch.corrcoef(flat).fill_diagonal_(0).abs().max() < 0.1, "each image has its own"


@pytest.mark.parametrize("name", ["darker", "brighter"])
def test_brightness_moves_the_mean_by_its_factor(name, images):
    for factor, severity in zip(CORRUPTIONS[name].strengths, SEVERITIES, strict=True):
        result = corrupted(images, name, severity)
        np.testing.assert_array_equal(result, np.clip(np.rint(images.numpy() * np.float32(factor)), 0, 255))
        assert (result.float().mean() > images.float().mean()) == (name == "brighter")


def test_blur_is_torchvisions(images):
    for severity, sigma in zip(SEVERITIES, CORRUPTIONS["gaussian_blur"].strengths, strict=True):
        side = 2 * int(np.ceil(3 * sigma)) + 1
        expected = F.gaussian_blur(images, [side, side], [sigma, sigma])
        assert difference(corrupted(images, "gaussian_blur", severity), expected).max() <= 1


def test_resizing_is_pillows(images):
    for severity in SEVERITIES:
        share, factor = (CORRUPTIONS[name].strengths[severity - 1] for name in ("crop", "down_up"))
        edge = round((1 - share) * 16)
        small = round(32 / factor)
        cropped, shrunk = (corrupted(images[:4], name, severity) for name in ("crop", "down_up"))
        for number in range(4):
            whole, bilinear = pillow(images[number]), Image.Resampling.BILINEAR
            centre = whole.crop((edge, edge, 32 - edge, 32 - edge)).resize((32, 32), bilinear)
            assert difference(cropped[number], tensor(centre)).max() <= 1
            back = whole.resize((small, small), bilinear).resize((32, 32), bilinear)
            assert difference(shrunk[number], tensor(back)).max() <= 2


def test_a_screenshot_is_darker_and_warmer_and_social_images_lose_detail(images):
    grey = torch.full((2, 3, 32, 32), 128, dtype=torch.uint8)
    shots = [corrupted(grey, "screenshot", severity).float().mean((0, 2, 3)) for severity in SEVERITIES]
    assert all(red > green > blue and green < 128 for red, green, blue in shots)
    assert [float(shot[1]) for shot in shots] == sorted((float(shot[1]) for shot in shots), reverse=True)
    detail = [corrupted(images, "social", s).float().diff(dim=-1).abs().mean().item() for s in (0, *SEVERITIES)]
    assert detail == sorted(detail, reverse=True)


def test_each_strength_is_told_in_a_few_letters():
    for corruption in CORRUPTIONS.values():
        texts = [corruption.text(strength) for strength in corruption.strengths]
        assert len({*texts}) == len(SEVERITIES) and max(map(len, texts)) <= 14
