"""The synthetic classes: what they promise, what tells them apart, and what does not."""

import numpy as np
import pytest

from fakereal.data.dead_leaves import RADII, paint_leaves, place_leaves, synthetic_images
from fakereal.data.upsampling import downsample, resynthesise, upsample
from fakereal.runtime.errors import UserError

SIZE = 32


@pytest.fixture(scope="module")
def dataset() -> tuple[np.ndarray, np.ndarray]:
    """Float images (2000, 32, 32, 3) from 0 to 1 and their labels."""
    images, labels = synthetic_images(2000, SIZE, seed=5)
    return images.astype(np.float32) / 255, labels


def power_spectrum(images: np.ndarray) -> np.ndarray:
    """Power (B, H, W) of images (B, H, W, 3) without their mean, averaged over the channels."""
    centred = images - images.mean((1, 2), keepdims=True)
    return (np.abs(np.fft.fft2(centred, axes=(1, 2))) ** 2).mean(-1)


def linear_accuracy(features: np.ndarray, labels: np.ndarray, ridge: float) -> float:
    """Accuracy on the last quarter of a least-squares classifier that is fitted on the rest."""
    fitted = len(features) * 3 // 4
    features = features - features[:fitted].mean(0)
    features = np.c_[features, np.ones(len(features))]
    known, targets = features[:fitted], 2.0 * labels[:fitted] - 1
    weights = np.linalg.solve(known.T @ known + ridge * np.eye(known.shape[1]), known.T @ targets)
    return float(((features[fitted:] @ weights > 0) == labels[fitted:]).mean())


@pytest.mark.parametrize(("count", "size"), [(7, 16), (6, 33), (4, 64), (2, 130)])
def test_shapes_types_and_balance(count, size):
    images, labels = synthetic_images(count, size)
    assert images.shape == (count, size, size, 3) and images.dtype == np.uint8
    assert labels.tolist() == [0, 1, 0, 1, 0, 1, 0][:count] and labels.dtype == np.uint8
    assert images.reshape(count, -1).std(axis=1).min() > 10


@pytest.mark.parametrize("count", [1, 63, 64, 65, 131])
def test_a_smaller_count_is_a_prefix(count):
    images, labels = synthetic_images(150, SIZE, seed=3)
    prefix, prefix_labels = synthetic_images(count, SIZE, seed=3)
    np.testing.assert_array_equal(prefix, images[:count])
    np.testing.assert_array_equal(prefix_labels, labels[:count])


def test_seeds_and_images_differ():
    images = np.concatenate([synthetic_images(150, SIZE, seed)[0] for seed in (0, 1)])
    assert len(np.unique(images.reshape(300, -1), axis=0)) == 300


@pytest.mark.parametrize(("key", "value"), [("count", 0), ("size", 15), ("seed", -1)])
def test_errors_name_key_and_value(key, value):
    with pytest.raises(UserError, match=f"`{key}`.*{value}"):
        synthetic_images(**({"count": 2} | {key: value}))


def test_mean_and_contrast_tell_nothing(dataset):
    images, labels = dataset
    mean, std = images.mean((1, 2)), images.std((1, 2))
    assert linear_accuracy(mean, labels, ridge=1e-3) < 0.56
    assert linear_accuracy(np.c_[mean, std, mean**2, std**2], labels, ridge=1e-3) < 0.6


def test_real_spectrum_is_a_power_law(dataset):
    images, labels = dataset
    power = power_spectrum(images[labels == 0]).mean(0)
    frequency = np.fft.fftfreq(SIZE, 1 / SIZE)
    radius = np.hypot(frequency[:, None], frequency)
    rings = np.arange(1, SIZE // 2 + 1)
    means = [power[np.abs(radius - ring) < 0.5].mean() for ring in rings]
    slope = np.polyfit(np.log(rings), np.log(means), 1)[0]
    assert -2.6 < slope < -1.9
    assert np.corrcoef(np.log(rings), np.log(means))[0, 1] < -0.98


def test_only_fake_spectra_peak_at_the_periods_of_upsampling(dataset):
    images, labels = dataset
    for label in (0, 1):
        power = power_spectrum(images[labels == label]).mean(0)
        for axis_power in (power[0], power[:, 0]):
            for peak in (SIZE // 4, SIZE // 2):
                ratio = axis_power[peak] / np.sqrt(axis_power[peak - 2] * axis_power[peak + 2])
                assert ratio > 3 if label else ratio < 1.2


def test_a_linear_classifier_of_the_log_spectrum_learns(dataset):
    images, labels = dataset
    features = np.log(power_spectrum(images)[:, : SIZE // 2 + 1, : SIZE // 2 + 1] + 1e-3)
    assert linear_accuracy(features.reshape(len(features), -1), labels, ridge=10) > 0.9


def test_radii_of_the_leaves_follow_the_cubic_law():
    x, y, radius = place_leaves(np.random.default_rng(0), 2000)
    inside = radius[(abs(x - 0.5) < 0.5) & (abs(y - 0.5) < 0.5)]
    smallest, largest = RADII
    for bound in (0.09, 0.15, 0.3):
        expected = (smallest**-2 - bound**-2) / (smallest**-2 - largest**-2)
        assert (inside < bound).mean() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("leaves", "size"), [(40, 24), (300, 24), (5, 300)])
def test_painted_leaves_equal_discs_painted_one_by_one(leaves, size):
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-0.3, 1.3, (2, leaves, 3)).astype(np.float32)
    radius = rng.uniform(0.05, 0.4, (leaves, 3)).astype(np.float32)
    centres = (np.arange(size) + 0.5) / size
    expected = np.zeros((size, size, 3), int)
    for k in range(leaves):
        distance = (centres[:, None, None] - y[k]) ** 2 + (centres[:, None] - x[k]) ** 2
        expected[distance < radius[k] ** 2] = k
    assert (paint_leaves(x, y, radius, size) != expected).mean() < 1e-4  # a rim within rounding


@pytest.mark.parametrize("shape", [(16, 16), (17, 22), (31, 33)])
def test_a_perfect_decoder_returns_its_input_and_any_keeps_the_mean(shape):
    images = np.random.default_rng(2).random((2, *shape, 3))
    perfect = resynthesise(images, np.zeros((2, 2, 3)), np.ones(2))
    np.testing.assert_allclose(perfect, images, atol=1e-12)
    decoded = resynthesise(images, np.full((2, 2, 3), 0.1), np.array([1.0, 0.5]))
    assert np.abs(decoded - images).mean() > 0.01
    np.testing.assert_allclose(decoded.mean((1, 2)), images.mean((1, 2)), atol=1e-12)


def test_upsampling_is_bilinear_but_for_its_unevenness():
    ramp = np.arange(6.0)[None, :, None, None]
    np.testing.assert_allclose(upsample(ramp, 1).ravel()[1:-1], np.arange(1, 11) / 2 - 0.25)
    np.testing.assert_allclose(upsample(np.ones((1, 3, 1, 1)), 1, 0.1).ravel(), [1.1, 0.9] * 3)
    np.testing.assert_allclose(downsample(upsample(upsample(ramp, 1), 2))[:, 1:-1], ramp[:, 1:-1])
