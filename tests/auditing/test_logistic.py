"""The logistic regression, against solutions that are known."""

import numpy as np
import pytest
from scipy.special import expit

from fakereal.auditing.logistic import fit_logistic
from fakereal.evaluation.ranking import auroc


def drawn(weights, count=4000):
    numbers = np.random.default_rng(0)
    features = numbers.normal(3, 2, (count, len(weights)))
    chance = expit((features - 3) @ np.array(weights) / 2)
    return features, (numbers.random(count) < chance).astype(int)


def test_the_coefficients_of_a_logistic_model_are_recovered():
    features, labels = drawn([1.5, -0.7, 0])
    score = fit_logistic(features, labels, penalty=0)
    steps = score(np.eye(3)) - score(np.zeros((1, 3)))
    np.testing.assert_allclose(steps, [0.75, -0.35, 0], atol=0.05)
    assert expit(score(features)).mean() == pytest.approx(labels.mean(), abs=1e-4)  # where the gradient vanishes


def test_a_scale_or_a_constant_column_changes_nothing():
    features, labels = drawn([1, 1])
    plain = fit_logistic(features, labels)(features)
    other = np.column_stack([features * 1e6 - 5, np.full(len(features), 7.0)])
    np.testing.assert_allclose(fit_logistic(other, labels)(other), plain, atol=1e-3)


def test_separable_classes_and_nothing_to_go_by_are_no_trouble():
    features, labels = np.arange(20.0)[:, None], (np.arange(20) >= 10).astype(int)
    score = fit_logistic(features, labels)(features)
    assert np.isfinite(score).all() and auroc(labels, score) == 1
    assert np.ptp(fit_logistic(np.ones((20, 2)), labels)(np.zeros((3, 2)))) == 0
