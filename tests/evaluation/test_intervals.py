"""Intervals against scipy, and their coverage."""

from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from fakereal.evaluation.calibration import BINS
from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.intervals import (
    auroc_interval,
    average_precision_interval,
    bootstrap,
    of_mean,
    of_two_rates,
    t_interval,
    wilson,
)
from fakereal.evaluation.ranking import average_precision, average_precision_with_interval, values_and_ranks


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_is_as_in_newcombe_1998(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)  # his table I, method 3


def test_wilson_ends_exactly_at_0_and_1():
    assert wilson(0, 1_234)[0] == 0.0 and wilson(1_234, 1_234)[1] == 1.0


def test_wilson_of_nothing_is_everything():
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_interval_of_the_design_is_right():
    low, high = wilson(19_600, 20_000)
    assert (high - low) / 2 == pytest.approx(0.0019, abs=5e-5)


LABELS = np.repeat([0, 1], 100)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    generator, hits = np.random.default_rng(0), 0

    def difference(real, fake):
        return float((fake / fake.sum() - real / real.sum()) @ np.arange(len(real)))

    for trial in range(400):
        ranks = generator.binomial(59, np.where(LABELS, 0.55, 0.5))
        _, (low, high) = bootstrap(difference, LABELS, ranks, seed=trial, resamples=200)
        hits += low <= 0.05 * 59 <= high
    assert 0.91 * 400 <= hits <= 0.98 * 400


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_the_interval_of_a_mean_covers_it_about_as_often_as_it_says(share):
    generator, hits = np.random.default_rng(0), 0
    labels = (np.arange(200) < 200 * share).astype(int)
    for _ in range(400):
        mean, (low, high) = of_mean(labels, generator.exponential(np.where(labels, 2.0, 1.0)), most=np.inf)
        assert 0 <= low < mean < high
        hits += low <= 1 + share <= high
    assert 0.91 * 400 <= hits <= 0.98 * 400


def test_the_interval_of_a_mean_knows_its_bounds():
    assert of_mean(LABELS, np.full(200, 0.3), most=1.0) == (pytest.approx(0.3), (pytest.approx(0.3),) * 2)
    assert of_mean(LABELS[:3], np.array([0.0, 0.0, 1.0]), most=1.0)[1] == (0.0, 1.0)
    assert of_mean(np.ones(1), np.full(1, 0.4), most=1.0) == (0.4, (0.0, 1.0)), "one image tells nothing of others"


def test_an_image_alone_of_its_class_does_not_hide_that_others_of_it_differ():
    """It may be most of the mean, and has no variance of its own."""
    values = np.append(np.full(99, 0.01), 5.0)
    mean, (low, high) = of_mean((np.arange(100) == 99).astype(int), values, most=16.0)
    plain = ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean == pytest.approx(values.mean()) and (low, high) == (0.0, pytest.approx(plain.high))


@pytest.mark.parametrize("overconfidence", [1.0, 1.25])
def test_the_interval_of_the_calibration_error_covers_it(overconfidence):
    """Of perfect probabilities it begins at 0; and of as good as those that are too sure, it holds their error."""
    generator, hits = np.random.default_rng(0), 0

    def drawn(count):
        right = np.clip(generator.beta(0.3, 0.3, count), 1e-9, 1 - 1e-9)
        said = 1 / (1 + (1 / right - 1) ** overconfidence)
        return right, said

    right, said = drawn(1_000_000)
    parts = np.array_split(np.argsort(said), BINS)
    error = sum(abs(said[part].mean() - right[part].mean()) * len(part) for part in parts) / len(said)
    for _ in range(40):
        right, said = drawn(600)
        labels = (generator.random(600) < right).astype(int)
        value, (low, high) = Evaluation(labels, said.astype(np.float32), 0.5).calibration_error()
        assert 0 <= low <= value <= high
        hits += low <= error <= high
    assert hits >= 34, "95% of 40, and what so few draws leave open"


def test_bootstrap_is_repeatable():
    args = (lambda real, fake: float(real[0] - fake[1]), LABELS, np.arange(200) % 3)
    assert bootstrap(*args) == bootstrap(*args) != bootstrap(*args, seed=1)


def test_the_t_interval_is_that_of_scipys_test():
    values = [0.9202, 0.9251, 0.9278, 0.9239, 0.9265]
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert t_interval(values) == pytest.approx((expected.low, expected.high))
    assert t_interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


@pytest.mark.parametrize("area", [0.5, 0.7, 0.95])
@pytest.mark.parametrize("count", [15, 60])
def test_the_interval_of_an_auroc_covers_it_as_often_as_it_says(area, count):
    numbers = np.random.default_rng(0)
    shift = 2**0.5 * NormalDist().inv_cdf(area)
    covered = []
    for _ in range(400):
        positive, negative = numbers.normal(shift, 1, (count, 1)), numbers.normal(0, 1, 2 * count)
        low, high = auroc_interval(float((positive > negative).mean()), count, 2 * count)
        covered.append(low <= area <= high)
    assert 0.92 <= np.mean(covered) <= 0.99


def test_the_interval_of_an_auroc_at_its_ends():
    low, high = auroc_interval(1.0, 3, 3)
    assert 0.3 < low < 0.6 and high == 1
    assert auroc_interval(0.0, 3, 3) == pytest.approx((0, 1 - low))
    low, high = auroc_interval(0.5, 5000, 5000)
    assert low == pytest.approx(0.5 - 1.96 / np.sqrt(30000), abs=1e-3) and low + high == pytest.approx(1)


@pytest.mark.parametrize(("real", "fake"), [(20, 20), (200, 30)])
@pytest.mark.parametrize("distance", [1, 3])
def test_the_interval_of_an_average_precision_covers_it(real, fake, distance):
    """Where the network hardly errs too: resampling alone covers it in 73% of draws of 20 and 20, 3 apart."""
    scores = NormalDist()
    at = [scores.inv_cdf((place + 0.5) / 100_000) for place in range(100_000)]  # of FAKE images, less their mean
    found, alarms = (np.array([1 - scores.cdf(score + shift) for score in at]) for shift in (0, distance))
    expected = np.mean(fake * found / (fake * found + real * alarms))
    generator, labels, hits = np.random.default_rng(0), np.repeat([0, 1], [real, fake]), 0
    for _ in range(80):
        value, (low, high) = average_precision_with_interval(labels, generator.normal(distance * labels))
        assert 0 <= low <= value <= high <= 1
        hits += low <= expected <= high
    assert hits >= 0.88 * 80, "what so few draws leave open"


def test_the_interval_of_an_average_precision_at_its_ends_and_of_many():
    low, high = average_precision_interval(1.0, 20, 20)
    assert 0.8 < low < 0.95 and high == 1
    assert average_precision_interval(1.0, 2, 2)[0] < 0.7
    generator, labels = np.random.default_rng(0), np.arange(20_000) % 2
    scores = generator.normal(2 * labels)
    value, resampled = bootstrap(average_precision, labels, values_and_ranks(scores)[1])
    assert average_precision_interval(value, 10_000, 10_000) == pytest.approx(resampled, abs=1e-3)


def test_an_interval_of_two_rates_covers_also_where_one_is_hardly_ever_seen():
    generator = np.random.default_rng(0)
    recall, alarms, prevalence = 0.98, 0.002, 0.01

    def precision(found, wrong):
        return prevalence * found / (prevalence * found + (1 - prevalence) * wrong)

    counts = [(int(generator.binomial(200, recall)), int(generator.binomial(200, alarms))) for _ in range(200)]
    intervals = [of_two_rates(precision, (found, 200), (wrong, 200))[1] for found, wrong in counts]
    hits = sum(low <= precision(recall, alarms) <= high for low, high in intervals)
    assert 0.92 * 200 <= hits < 200 and all(low < high for low, high in intervals)


def test_no_figure_of_a_flawless_test_is_certain():
    labels = np.repeat([0, 1], 100)
    figures = Evaluation(labels, np.where(labels, 0.9, 0.1), 0.5).flat("")
    for name in ("auroc", "f1_fake", "precision_fake_at_0.01", "fpr_at_95_tpr"):
        assert figures[f"{name}_low"] < figures[f"{name}_high"], name
