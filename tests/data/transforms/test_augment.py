"""Each augmentation does to each sample what its own draws say, and nothing else."""

import inspect
import math
import typing
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from pydantic import TypeAdapter, ValidationError
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from fakereal.data.draws import uniforms
from fakereal.data.transforms.augment import COLUMNS, Augment
from fakereal.runtime.errors import UserError

CONF = Path(__file__).parents[3] / "conf"
ALONE = {
    "horizontal_flip": 0.5,
    "crop_padding": 4,
    "rotation": 30.0,
    "resized_crop_scale": (0.3, 0.8),
    "brightness": 0.4,
    "contrast": 0.4,
    "saturation": 0.4,
    "hue": 0.1,
    "blur": 0.5,
    "noise": 0.5,
    "jpeg": 0.5,
    "erasing": 0.5,
}
RANGES = {"resized_crop_ratio", "blur_sigma", "noise_sigma", "jpeg_quality", "erasing_scale"}
FORMATS = (torch.contiguous_format, torch.channels_last)


def noise(count, height=20, width=28):
    pixels = torch.randint(0, 256, (count, 3, height, width), generator=torch.Generator().manual_seed(0))
    return pixels.to(torch.uint8)


def smooth(height, width):
    """One image of gentle gradients, uint8 (1, 3, H, W), on which interpolation is nearly exact."""
    y = torch.linspace(0, 3, height)[:, None]
    x = torch.linspace(0, 3, width)
    image = torch.stack([y.sin() + 0 * x, (x + y).cos().abs(), 0.5 + 0.5 * (2 * x - y).sin()])
    return (image.clamp(0, 1) * 255).round().to(torch.uint8)[None]


def draw(count, seed=0):
    return uniforms(seed, 0, np.arange(count), Augment.count)


def chosen(count=1, **columns):
    """Draws of one half (the middle of every range) but for these columns."""
    draws = torch.full((count, Augment.count), 0.5)
    for name, value in columns.items():
        draws[:, COLUMNS.index(name)] = torch.as_tensor(value)
    return draws


def test_off_returns_the_very_images():
    images = noise(4)
    augment = Augment()
    assert not augment.active
    assert augment(images, draw(4)) is images


def test_whatever_can_be_set_is_tested_alone_or_is_the_range_of_another():
    assert {*inspect.signature(Augment).parameters} == {*ALONE} | RANGES


@pytest.mark.parametrize("name", ALONE)
def test_each_alone_is_active_and_changes_some_images(name):
    images = noise(16)
    before = images.clone()
    augment = Augment(**{name: ALONE[name]})
    assert augment.active
    changed = (augment(images, draw(16)) != images).flatten(1).any(1)
    assert changed.sum() >= 4
    assert torch.equal(images, before)


@pytest.mark.parametrize("memory_format", FORMATS)
def test_flip_is_the_image_or_its_mirror_half_the_time(memory_format):
    images = noise(2000, 6, 9).contiguous(memory_format=memory_format)
    flipped = Augment(horizontal_flip=0.5)(images, draw(2000))
    mirrored = (flipped == images.flip(3)).flatten(1).all(1)
    assert ((flipped == images).flatten(1).all(1) ^ mirrored).all()
    assert abs(mirrored.float().mean() - 0.5) < 0.05
    assert torch.equal(Augment(horizontal_flip=1)(images, draw(2000)), images.flip(3))


def test_crop_is_every_window_of_the_reflected_image():
    padding, images = 3, noise(800, 5, 8)
    crops = Augment(crop_padding=padding)(images, draw(800)).numpy()
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 8), axis=(2, 3))
    matches = (windows == crops[:, :, None, None]).all(axis=(1, 4, 5))
    assert (matches.sum((1, 2)) == 1).all()
    assert matches.any(0).all()


def test_the_largest_draw_stays_in_the_crop():
    images = noise(1)
    draws = chosen(pad_top=1 - 2**-24, pad_left=1 - 2**-24)
    for padding in range(1, 20):
        crop = Augment(crop_padding=padding)(images, draws)
        assert torch.equal(crop[:, :, : 20 - padding, : 28 - padding], images[:, :, padding:, padding:])


def test_a_padding_as_large_as_the_image_names_the_key():
    with pytest.raises(UserError, match=r"data\.augment\.crop_padding.*20.*20 x 28"):
        Augment(crop_padding=20)(noise(2), draw(2))


def test_a_sample_is_the_same_in_any_batch():
    images, draws, augment = noise(67), draw(67), Augment(**ALONE)
    expected = augment(images, draws)
    order = torch.randperm(67, generator=torch.Generator().manual_seed(1))
    assert torch.equal(augment(images[order], draws[order]), expected[order])
    assert torch.equal(augment(images.contiguous(memory_format=torch.channels_last), draws), expected)
    for size in (1, 2, 3, 8, 16, 33):
        parts = [augment(i, d) for i, d in zip(images.split(size), draws.split(size), strict=True)]
        assert torch.equal(torch.cat(parts), expected)


def test_the_number_of_threads_changes_nothing():
    images, draws, augment = noise(16, 40, 40), draw(16), Augment(**ALONE)
    threads = torch.get_num_threads()
    try:
        results = [torch.set_num_threads(n) or augment(images, draws) for n in (1, 2, 3)]
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_others_leave_the_flips_alone():
    images, draws = noise(64), draw(64)
    jittered = Augment(brightness=0.4, hue=0.1)(images, draws)
    both = Augment(brightness=0.4, hue=0.1, horizontal_flip=0.5)(images, draws)
    flips = (Augment(horizontal_flip=0.5)(images, draws) != images).flatten(1).any(1)
    assert torch.equal(both, torch.where(flips[:, None, None, None], jittered.flip(3), jittered))


def test_others_leave_jitter_and_erasing_alone():
    one_color = noise(64, 1, 1).expand(64, 3, 20, 28)  # which no change of geometry alters
    draws = draw(64)
    jitter = {name: ALONE[name] for name in ("brightness", "contrast", "saturation", "hue")}
    jittered = Augment(**jitter)(one_color, draws)
    erased = Augment(erasing=0.5)(one_color, draws)
    expected = torch.where(erased != one_color, erased, jittered)
    everything = Augment(**ALONE | {"noise": 0.0, "jpeg": 0.0})(one_color, draws)  # which change the colour
    differ = (everything != expected).any(1)
    assert differ.float().mean() < 1e-3  # where a colour drawn for the box is that of the image by chance


@pytest.mark.parametrize("height, width", [(32, 32), (20, 28), (33, 16)])
def test_the_middle_of_every_range_is_the_image(height, width):
    images = noise(3, height, width)
    centred = {**ALONE, "erasing": 0.0, "resized_crop_scale": (1.0, 1.0), "resized_crop_ratio": (1.0, 1.0)}
    assert torch.equal(Augment(**centred)(images, chosen(3)), images)


@pytest.mark.parametrize("height, width", [(64, 64), (64, 96)])
@pytest.mark.parametrize("angle", [-25.0, 10.0])
def test_rotation_is_torchvisions(height, width, angle):
    image = smooth(height, width)
    ours = Augment(rotation=50)(image, chosen(angle=angle / 100 + 0.5))
    theirs = F.rotate(image, angle, InterpolationMode.BILINEAR)
    centre = (slice(None), slice(None), slice(20, 44), slice(20, width - 20))
    assert (ours[centre].int() - theirs[centre].int()).abs().max() <= 1
    assert (ours[centre].int() - image[centre].int()).abs().max() > 10


def test_resized_crop_keeps_windows_of_the_given_area_and_ratio():
    size, count = 100, 500
    ramp = torch.linspace(0, 255, size).round().to(torch.uint8)
    x, y = ramp.expand(size, size), ramp[:, None].expand(size, size)
    images = torch.stack([x, y, x]).expand(count, 3, size, size)
    crops = Augment(resized_crop_scale=(0.3, 0.8), resized_crop_ratio=(0.5, 1.5))(images, draw(count)).float()
    width = (crops[:, 0, 50, 90] - crops[:, 0, 50, 10]) / (255 * 80 / 99)
    height = (crops[:, 1, 90, 50] - crops[:, 1, 10, 50]) / (255 * 80 / 99)
    area, ratio = width * height, width / height
    assert 0.29 < area.min() < 0.32
    assert 0.78 < area.max() < 0.81
    assert 0.49 < ratio.min() < 0.55
    assert 1.4 < ratio.max() < 1.53
    assert abs(ratio.log().mean() - np.log(0.5 * 1.5) / 2) < 0.1
    assert (crops.flatten(1).amin(1) < 20).any()  # windows reach the border ...
    assert (crops.flatten(1).amin(1) > 60).any()  # ... and lie away from it


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_jitter_is_torchvisions(name):
    strength = 0.5 if name == "hue" else 1.0
    images = torch.cat([noise(40), smooth(20, 28).expand(8, 3, 20, 28), noise(8) // 128 * 255])
    draws = draw(len(images))
    ours = Augment(**{name: strength})(images, draws)
    u = draws[:, COLUMNS.index(name)].tolist()
    for i in range(len(images)):
        factor = u[i] - 0.5 if name == "hue" else 2 * u[i]
        theirs = getattr(F, f"adjust_{name}")(images[i] / 255, factor)
        assert (ours[i] / 255 - theirs).abs().max() < 0.501 / 255  # rounded, hence half a level


def test_jitters_follow_one_another_in_torchvisions_order():
    images, draws = noise(8), draw(8)
    ours = Augment(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)(images, draws)
    u = dict(zip(COLUMNS, draws.T.tolist(), strict=True))
    for i, image in enumerate(images / 255):
        for name in ("brightness", "contrast", "saturation"):
            image = getattr(F, f"adjust_{name}")(image, 0.6 + 0.8 * u[name][i])
        image = F.adjust_hue(image, 0.2 * u["hue"][i] - 0.1)
        assert (ours[i] / 255 - image).abs().max() < 0.501 / 255


def test_erasing_covers_one_rectangle_of_one_color():
    count, height, width = 1000, 60, 90
    images = noise(1, height, width).expand(count, 3, height, width)
    erased = Augment(erasing=0.6, erasing_scale=(0.1, 0.3))(images, draw(count))
    changed = (erased != images).any(1)
    hit = changed.flatten(1).any(1)
    assert abs(hit.float().mean() - 0.6) < 0.05
    areas = []
    for mask, image in zip(changed[hit], erased[hit], strict=True):
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        box = image[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert (box == box[:, :1, :1]).all()
        areas.append(box[0].numel() / (height * width))
    # A side is off by less than a pixel; the longest is 90, the shortest at this scale and ratio 10.
    assert 0.09 < min(areas) < 0.12
    assert 0.28 < max(areas) < 0.32
    assert len(erased[hit].unique()) == 256


def test_blur_is_torchvisions_at_each_sigma():
    images, sigma = noise(5), torch.tensor([0.0, 0.4, 1.0, 1.7, 3.0])
    draws = chosen(5, blur=0.0, blur_sigma=sigma / 3)
    blurred = Augment(blur=1.0, blur_sigma=(0.0, 3.0))(images, draws)
    assert torch.equal(blurred[0], images[0])
    for image, result, one in zip(images[1:], blurred[1:], sigma[1:].tolist(), strict=True):
        wanted = F.gaussian_blur(image, [19, 19], [one, one])
        assert (result.int() - wanted.int()).abs().max() <= 1
        assert (result != image).any()


def test_a_blur_wider_than_the_image_is_one_as_wide():
    images = noise(2, 8, 8)
    blurred = Augment(blur=1.0, blur_sigma=(0.0, 50.0))(images, chosen(2, blur=0.0))
    spread = lambda pixels: pixels.float().flatten(2).std(2)  # noqa: E731
    assert (spread(blurred) < spread(images) / 4).all()


def test_noise_is_normal_independent_and_as_strong_as_drawn():
    sigma = torch.tensor([0.0, 3.0, 10.0, 20.0])
    grey = torch.full((4, 3, 128, 128), 128, dtype=torch.uint8)
    draws = chosen(4, noise=0.0, noise_sigma=sigma / 20, noise_key=torch.tensor([0.1, 0.2, 0.3, 0.3]))
    result = Augment(noise=1.0, noise_sigma=(0.0, 20.0))(grey, draws)
    assert torch.equal(result[0], grey[0])
    values = result.double().flatten(1) - 128
    count = values.shape[1]
    for row, one in zip(values[1:], sigma[1:].tolist(), strict=True):
        assert row.std().item() == pytest.approx(math.sqrt(one**2 + 1 / 12), rel=0.01), "with that of the rounding"
        assert abs(row.mean().item()) < 4 * one / math.sqrt(count)
        for limit in (one, 2 * one):  # of whole numbers, with what rounds to one above it
            share = (row.abs() > limit).double().mean().item()
            assert share == pytest.approx(2 - 2 * NormalDist(0, one).cdf(limit + 0.5), rel=0.15), "nearly normal"
        power = torch.fft.rfft2(row.view(3, 128, 128)).abs().square().view(3, 8, 16, 65).mean((0, 2))
        assert power.max() < 1.6 * power.mean(), "white: it has no pattern"
    assert torch.corrcoef(values[1:3])[0, 1].abs() < 4 / math.sqrt(count)
    assert torch.corrcoef(values[2:])[0, 1] > 0.99, "the same draw, twice as strong"


def test_noise_stays_within_the_values_of_pixels():
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 32, 32)
    result = Augment(noise=1.0, noise_sigma=(20.0, 20.0))(images, chosen(2, noise=0.0))
    assert 0.4 < (result[0] == 0).double().mean() < 0.6 and 0.4 < (result[1] == 255).double().mean() < 0.6


def test_jpeg_is_pillows_at_each_quality(pillow):
    images, quality = noise(8), torch.tensor([10, 30, 49, 50, 51, 75, 95, 100])
    draws = chosen(8, jpeg=0.0, jpeg_quality=(quality - 10 + 0.5) / 91)
    saved = Augment(jpeg=1.0, jpeg_quality=(10, 100))(images, draws)
    for image, result, one in zip(images, saved, quality.tolist(), strict=True):
        assert torch.equal(result, pillow(image, "JPEG", one))


def test_the_largest_draw_is_the_highest_quality(pillow):
    saved = Augment(jpeg=1.0, jpeg_quality=(30, 100))(images := noise(1), chosen(1, jpeg=0, jpeg_quality=1 - 2**-24))
    assert torch.equal(saved[0], pillow(images[0], "JPEG", 100))


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("names", [[name] for name in ALONE] + [list(ALONE)])
def test_shape_type_and_memory_format_are_kept(names, memory_format):
    images = noise(4).contiguous(memory_format=memory_format)
    result = Augment(**{name: ALONE[name] for name in names})(images, draw(4))
    assert result.dtype == torch.uint8
    assert result.shape == images.shape
    assert result.stride() == images.stride()


def test_no_float64_on_the_way():
    class NoFloat64(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            assert getattr(result, "dtype", None) != torch.float64, func
            return result

    images, draws = noise(4), draw(4)
    with NoFloat64():
        Augment(**ALONE)(images, draws)


REFUSED = [
    {"horizontal_flip": 1.5},
    {"crop_padding": -1},
    {"crop_padding": 2.5},
    {"rotation": 200.0},
    {"resized_crop_scale": (0.0, 1.0)},
    {"resized_crop_scale": (0.9, 0.5)},
    {"resized_crop_ratio": (0.0, 1.0)},
    {"resized_crop_ratio": (2.0, 1.0)},
    {"brightness": -0.1},
    {"hue": 0.6},
    {"blur": 1.1},
    {"blur_sigma": (-1.0, 1.0)},
    {"blur_sigma": (2.0, 1.0)},
    {"noise": 2.0},
    {"noise_sigma": (-1.0, 1.0)},
    {"jpeg": -0.5},
    {"jpeg_quality": (0, 90)},
    {"jpeg_quality": (30, 101)},
    {"jpeg_quality": (30.5, 90)},
    {"erasing": -0.1},
    {"erasing_scale": (0.1, 1.2)},
]


@pytest.mark.parametrize("arguments", REFUSED, ids=str)
def test_the_annotations_refuse_what_is_out_of_range(arguments):
    hints = typing.get_type_hints(Augment.__init__, include_extras=True)
    for name, value in arguments.items():
        with pytest.raises(ValidationError):
            TypeAdapter(hints[name]).validate_python(value, strict=True)


@pytest.mark.parametrize("choice", sorted(file.stem for file in (CONF / "data/augment").glob("*.yaml")))
def test_every_choice_has_every_key_and_works(choice):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        node = compose(overrides=[f"+data/augment={choice}"]).data.augment
        turned = compose(overrides=[f"+data/augment={choice}", "data.augment.rotation=10"]).data.augment
    parameters = inspect.signature(Augment).parameters
    hints = typing.get_type_hints(Augment.__init__, include_extras=True)
    assert set(node) == {"_target_", *parameters}
    for name in parameters:
        TypeAdapter(hints[name]).validate_python(node[name])
    images = noise(16)
    augment = instantiate(node)
    assert augment.active == (choice != "none")
    assert torch.equal(augment(images, draw(16)), images) == (choice == "none")
    assert instantiate(turned).rotation == 10


def test_the_choice_none_states_the_defaults():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        node = compose(overrides=["+data/augment=none"]).data.augment
    for name, parameter in inspect.signature(Augment).parameters.items():
        value = node[name] if parameter.default is None else np.asarray(node[name])
        assert value == pytest.approx(parameter.default, abs=1e-4), name
