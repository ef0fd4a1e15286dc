"""Distances from the images of training, on numbers whose answer is known."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from fakereal.auditing.pixels import pixel_facts
from fakereal.data.image_set import InMemory
from fakereal.data.store.decode import Resize
from fakereal.models.distance.gaussian import Gaussian, fit_gaussian
from fakereal.models.distance.reference import FEWEST, Reference, fit_reference, pixel_statistics


def drawn(count, dimensions=20, seed=0):
    """Correlated, of very different scales, some dimensions constant."""
    numbers = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dimensions, dimensions, generator=torch.Generator().manual_seed(9))
    scales = torch.logspace(-2, 2, dimensions)
    values = (torch.randn(count, dimensions, generator=numbers) @ mixing) * scales + 5
    return torch.cat([values, torch.ones(count, 3)], dim=1)


@pytest.mark.parametrize("directions", [0, 5, 32])
def test_a_percent_of_more_of_the_same_is_far_and_most_of_what_is_shifted(directions):
    fitted = fit_gaussian(drawn(4000), directions)
    assert 0.002 < fitted.far(drawn(4000, seed=1)).float().mean() < 0.02
    other = drawn(1000, seed=2)
    assert fitted.far(other * 2 - 5).float().mean() > 0.3
    assert fitted.far(other[torch.randperm(1000)][:, torch.randperm(other.shape[1])]).all()


def test_with_all_directions_it_is_mahalanobis_distance():
    values, new = drawn(2000)[:, :20], drawn(5, seed=3)[:, :20]
    fitted = fit_gaussian(values, 19)
    inverse = np.linalg.inv(np.cov(values.double().T))
    expected = [mahalanobis(row, values.double().mean(0), inverse) ** 2 for row in new.double()]
    np.testing.assert_allclose(fitted.distance(new), expected, rtol=0.02)


def test_without_directions_each_dimension_counts_alone():
    values, new = drawn(500)[:, 9:20], drawn(5, seed=3)[:, 9:20]  # of scales that are not too unlike
    scaled = (new - values.mean(0)) / values.std(0)
    torch.testing.assert_close(fit_gaussian(values, 0).distance(new), scaled.square().sum(1), rtol=2e-2, atol=1e-2)


def test_a_fit_is_repeatable_and_leaves_the_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one = fit_gaussian(drawn(500), 5)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
    assert torch.equal(one.directions, fit_gaussian(drawn(500), 5).directions)


def test_pixel_statistics_are_those_of_the_audit_and_of_the_middle_of_large_images():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 300, 300, 3), dtype=np.uint8)
    facts = pixel_facts(InMemory(np.ascontiguousarray(pixels[:, 22:278, 22:278]), np.zeros(4, int)))
    expected = np.concatenate([facts.mean, facts.std, facts.spectrum], axis=1)
    np.testing.assert_allclose(pixel_statistics(torch.from_numpy(pixels).permute(0, 3, 1, 2)), expected, rtol=1e-5)


def test_sizes_are_judged_by_those_of_training():
    wide = Reference([100.0, 200.0, 400.0], [1.0, 1.3, 1.5], None, None)
    small = Reference([32.0, 32.0, 32.0], [1.0, 1.0, 1.0], None, None)
    sizes = np.array([(400, 300), (3000, 2000), (40, 40), (300, 100), (100, 300), (32, 32), (64, 64), (65, 65)]).T
    whole = Resize(32)
    assert wide.far_sizes(*sizes, whole).tolist() == [False, True, True, True, True, True, False, False]
    assert small.far_sizes(*sizes, whole).tolist() == [True, True, False, True, True, False, False, True]


def test_what_alone_is_enlarged_is_far_in_size():
    cut, sizes = Reference([150.0, 190.0, 230.0], [1.0, 1.1, 1.2], None, None), np.array([(200, 120), (128, 128)]).T
    assert cut.far_sizes(*sizes, Resize(128, "native")).tolist() == [True, False]
    assert cut.far_sizes(*sizes, Resize(128, "crop")).tolist() == [False, False]
    enlarged_too = Reference([90.0, 120.0, 230.0], [1.0, 1.1, 1.7], None, None)
    assert enlarged_too.far_sizes(*sizes, Resize(128, "native")).tolist() == [False, False]


def test_it_is_kept_as_plain_values_and_not_fitted_to_few_images(tmp_path):
    sides = np.full(10, 32), np.full(10, 48)
    features, pixels = drawn(FEWEST), drawn(FEWEST, seed=1)
    fitted = fit_reference(*sides, features, pixels)
    torch.save(fitted.plain(), tmp_path / "x")
    again = Reference.of(torch.load(tmp_path / "x", weights_only=True))
    assert again.sides == fitted.sides == pytest.approx([np.sqrt(32 * 48)] * 3) and again.aspects == [1.5] * 3
    assert isinstance(again.features, Gaussian) and torch.equal(again.pixels.far(pixels), fitted.pixels.far(pixels))
    few = fit_reference(*sides, features[1:], pixels[1:])
    assert not few.known and few.sides == fitted.sides
    assert not Reference.of(few.plain()).known
