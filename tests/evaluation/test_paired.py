"""Paired tests, against known values and against scipy done the long way."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from fakereal.evaluation.paired import auroc_differences, holm, mcnemar


def answers(both: int, only: int, only_other: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    first = np.repeat([True, True, False, False], [both, only, only_other, neither])
    second = np.repeat([True, False, True, False], [both, only, only_other, neither])
    return first, second


@pytest.mark.parametrize(
    ("only", "only_other", "p"),
    [
        (1, 9, 22 / 1024),  # 2 (C(10,0) + C(10,1)) / 2^10
        (9, 1, 22 / 1024),
        (5, 5, 1.0),
        (0, 6, 2 / 64),
        (0, 0, 1.0),
        (150, 86, 3.716e-5),  # two surveys of the same people (Agresti, Categorical Data Analysis, table 10.1)
    ],
)
def test_mcnemar_is_the_exact_binomial_test_of_the_discordant_pairs(only, only_other, p):
    counted = mcnemar(*answers(40, only, only_other, 7))
    assert counted[:2] == (only, only_other)
    assert counted[2] == pytest.approx(p, rel=1e-3)


def test_holm_steps_down():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.02]) == [0.02] and holm([]) == []


@pytest.fixture
def scores():
    """Labels and two scores with many ties; their true AUROCs are far apart."""
    generator = np.random.default_rng(0)
    labels = np.arange(400) < 150
    sharp, blunt = (np.round(generator.normal(size=400) + labels * shift, 1) for shift in (2.0, 0.5))
    return labels, sharp, blunt


def area(labels: np.ndarray, scores: np.ndarray) -> float:
    return mannwhitneyu(scores[labels], scores[~labels]).statistic / (labels.sum() * (~labels).sum())


def test_the_observed_difference_is_that_of_the_rank_sum_statistics(scores):
    labels, sharp, blunt = scores
    [(difference, low, high)] = auroc_differences(labels, [sharp, blunt], resamples=200)
    assert difference == pytest.approx(area(labels, sharp) - area(labels, blunt), abs=1e-12)
    assert 0 < low < difference < high < 1


def test_the_interval_is_that_of_resampling_the_long_way(scores):
    labels, sharp, blunt = scores
    [(_, low, high)] = auroc_differences(labels, [sharp, blunt], resamples=1000, seed=3)
    generator, values = np.random.default_rng(7), []
    for _ in range(1000):
        drawn = np.concatenate([generator.choice(np.flatnonzero(labels == c), (labels == c).sum()) for c in (0, 1)])
        values.append(area(labels[drawn], sharp[drawn]) - area(labels[drawn], blunt[drawn]))
    assert (low, high) == pytest.approx(tuple(np.quantile(values, (0.025, 0.975))), abs=0.012)


def test_pairs_come_in_order_and_a_score_does_not_differ_from_itself(scores):
    labels, sharp, blunt = scores
    first, same, last = auroc_differences(labels, [sharp, blunt, sharp], resamples=200)
    assert first == pytest.approx([-last[0], -last[2], -last[1]], abs=1e-12)
    assert same == (0.0, 0.0, 0.0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    generator, covered = np.random.default_rng(1), 0
    labels = np.arange(300) < 150
    for trial in range(100):
        shared = generator.normal(size=300) + 1.2 * labels  # two equally good scores that agree a good deal
        pair = [shared + generator.normal(size=300) for _ in range(2)]
        [(_, low, high)] = auroc_differences(labels, pair, resamples=200, seed=trial)
        covered += low <= 0 <= high
    assert 88 <= covered <= 100


def test_progress_adds_up(scores):
    labels, sharp, blunt = scores
    done = []
    auroc_differences(labels, [sharp, blunt], resamples=250, advance=done.append)
    assert sum(done) == 251, "the images as they are, and 250 resamples"
