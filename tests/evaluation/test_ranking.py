"""The AUROC against torchmetrics, against counting all pairs, and its interval."""

from statistics import NormalDist

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_auroc

from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.ranking import auroc, auroc_with_interval


def drawn(levels, count=500):
    """Labels, and probabilities of that many different values: the fewer, the more ties."""
    numbers = np.random.default_rng(levels)
    labels = numbers.integers(0, 2, count)
    scores = numbers.integers(0, levels, count) + labels * levels / 4
    return labels, (scores / (2 * levels)).astype(np.float32)


@pytest.mark.parametrize("levels", [1, 2, 5, 100, 10**6])
def test_it_is_that_of_torchmetrics_with_and_without_ties(levels):
    labels, scores = drawn(levels)
    expected = float(binary_auroc(torch.from_numpy(scores), torch.from_numpy(labels)))
    assert auroc(labels, scores) == pytest.approx(expected, abs=1e-6)
    assert Evaluation(labels.astype(np.float32), scores, 0.5).auroc()[0] == auroc(labels, scores)


def test_it_is_the_share_of_pairs_in_order():
    labels, scores = drawn(9, 80)
    positive, negative = scores[labels == 1][:, None], scores[labels == 0]
    assert auroc(labels, scores) == pytest.approx(((positive > negative) + (positive == negative) / 2).mean())
    assert auroc(labels, labels) == 1 and auroc(labels, -labels) == 0 and auroc(labels, np.ones(80)) == 0.5


def test_of_one_class_there_is_none():
    assert np.isnan(auroc(np.ones(5), np.arange(5.0))) and np.isnan(auroc(np.zeros(5), np.arange(5.0)))


def test_the_interval_of_an_area_covers_it_where_few_pairs_are_wrong():
    generator, hits = np.random.default_rng(0), 0
    labels, true = np.repeat([0, 1], 20), NormalDist().cdf(3 / np.sqrt(2))
    for _ in range(200):
        area, (low, high) = auroc_with_interval(labels, generator.normal(3.0 * labels))
        assert low < high and low <= area <= high
        hits += low <= true <= high
    assert hits >= 0.92 * 200  # by resampling 0.78
