"""Temperature and threshold: against known truths, brute force, and from training to test."""

import csv
import json

import numpy as np
import pytest
import torch

from fakereal.evaluation.calibration import (
    Calibration,
    Fitted,
    calibration_error,
    calibration_error_of_counts,
    choose_threshold,
    fit_temperature,
    log_losses,
    precision_at,
    reliability,
    sigmoid,
)
from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.ranking import fpr_at_tpr, values_and_ranks
from fakereal.models.checkpoint import load_classifier
from fakereal.prediction.answers import Answer


def counts_by_rank(labels, ranks):
    """Images of each label at each rank."""
    return [np.bincount(ranks[labels == label], minlength=int(ranks.max()) + 1) for label in (0, 1)]


def drawn(count=20_000, seed=0):
    """Log-odds, and labels that come true with exactly these odds."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, count)
    return logits, (generator.random(count) < sigmoid(logits)).astype(np.float32)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_over_and_under_confidence(factor):
    logits, labels = drawn()
    assert fit_temperature(logits * factor, labels) == pytest.approx(factor, rel=0.05)
    before, after = sigmoid(logits * factor), sigmoid(logits * factor / fit_temperature(logits * factor, labels))
    assert calibration_error(labels, after) < 0.015
    assert log_losses(labels, after).mean() <= log_losses(labels, before).mean() + 1e-9
    if factor != 1:
        assert calibration_error(labels, before) > 3 * calibration_error(labels, after)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rule", ["accuracy", "youden"])
def test_the_threshold_is_as_good_as_the_best_of_all(rule, seed):
    generator = np.random.default_rng(seed)
    labels = (generator.random(60) < 0.3).astype(np.float32)
    p = np.round(sigmoid(generator.normal(labels * 2 - 2, 1.5)), 2)  # with ties

    def score(cut):
        called = p >= cut
        recalls = called[labels == 1].mean(), (~called)[labels == 0].mean()
        return ((called == labels).mean()) if rule == "accuracy" else sum(recalls)

    best = max(score(cut) for cut in np.linspace(0, 1.01, 500))
    assert score(choose_threshold(p, labels, rule)) == pytest.approx(best)


@pytest.mark.parametrize("max_fpr", [0.01, 0.05, 0.3])
def test_a_false_positive_rate_is_kept_to_and_used_up(max_fpr):
    logits, labels = drawn()
    p = sigmoid(logits)
    rate = (p[labels == 0] >= choose_threshold(p, labels, "fpr", max_fpr)).mean()
    assert max_fpr - 0.001 <= rate <= max_fpr


@pytest.mark.parametrize(("max_fpr", "wrong"), [(0.01, 2), (0.02, 4), (0.05, 10)])
def test_as_many_false_alarms_as_are_allowed_are_made(max_fpr, wrong):
    p, labels = np.linspace(0.1, 0.9, 400), np.arange(400) % 2
    threshold = choose_threshold(p, labels, "fpr", max_fpr)
    assert (p[labels == 0] >= threshold).sum() == wrong


@pytest.mark.parametrize("rule", ["accuracy", "youden", "fpr"])
def test_what_is_chosen_holds_where_it_is_used_also_between_two_neighbours(rule):
    """No number lies between them in which networks answer."""
    low, high = np.float32(0.75), np.nextafter(np.float32(0.75), np.float32(1))
    p, labels = np.repeat(np.array([low, high]), 100), np.repeat([0, 1], 100)
    threshold = choose_threshold(p, labels, rule, 0.05)
    assert Evaluation(labels, p, threshold).accuracy()[0] == 1
    assert [Answer.of("", float(said), threshold).prediction for said in (low, high)] == ["REAL", "FAKE"]


@pytest.mark.parametrize(("certain", "kept"), [(5, True), (15, False)])
def test_a_false_positive_rate_is_that_of_probabilities_and_it_is_told_where_none_keeps_to_it(caplog, certain, kept):
    """Of logits a threshold could tell those apart whose probability is 1 in float32."""
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], 1000)
    logits = np.where(labels, generator.uniform(20, 40, 2000), generator.uniform(-5, 5, 2000)).astype(np.float32)
    logits[:certain] = generator.uniform(20, 40, certain)
    fitted = Calibration(temperature=False, threshold="fpr", max_fpr=0.01).fit(logits, labels)
    probabilities = torch.sigmoid(torch.from_numpy(logits)).numpy()
    rate = Evaluation(labels, probabilities, fitted.threshold).predictions[:1000].mean()
    assert (rate <= 0.01) == kept == ("No threshold keeps" not in caplog.text)
    assert kept or "1.50% of REAL images have the highest probability" in caplog.text


@pytest.mark.parametrize("threshold", [0.7, 0.9, 0.95, 0.3])
def test_a_probability_at_the_threshold_is_fake_for_every_command(threshold):
    probability = np.float32(threshold)  # which is less than the threshold, of some
    assert Answer.of("", float(probability), threshold).prediction == "FAKE"
    assert Evaluation(np.ones(1), np.array([probability]), threshold).predictions[0] == 1
    assert torch.tensor(probability) >= threshold, "as in an export"


def test_few_images_are_not_fitted(caplog):
    logits, labels = drawn(300)
    assert Calibration(min_images=200).fit(logits, labels) == Fitted()
    assert "fewer than calibration.min_images=200" in caplog.text
    assert Calibration(min_images=200, threshold=0.7).fit(logits, labels) == Fitted(1.0, 0.7, "given")
    assert Calibration(min_images=100).fit(logits, labels) != Fitted()
    few = np.r_[np.flatnonzero(labels == 1)[:5], np.flatnonzero(labels == 0)]
    assert Calibration(min_images=100).fit(logits[few], labels[few]) == Fitted(), "few of one class"


def test_bins_hold_equal_numbers():
    logits, labels = drawn(1_003)
    said, were, counts = reliability(labels, sigmoid(logits))
    assert counts.sum() == 1_003 and counts.max() - counts.min() <= 1 and len(counts) == 15
    assert (np.diff(said) > 0).all() and np.average(were, weights=counts) == pytest.approx(labels.mean())


@pytest.mark.parametrize("count", [3, 14, 15, 16, 400])
@pytest.mark.parametrize("levels", [1, 5, 10**6])
def test_the_calibration_error_of_counts_is_that_of_the_images(count, levels):
    generator = np.random.default_rng(count)
    probabilities = generator.integers(0, levels + 1, count) / (levels + 1)
    labels = generator.integers(0, 2, count)
    values, ranks = values_and_ranks(probabilities)
    expected = calibration_error(labels, probabilities)
    assert calibration_error_of_counts(values, *counts_by_rank(labels, ranks)) == pytest.approx(expected)
    again = generator.integers(0, count, count)  # a resample, in which some have no image
    values_again, counts = np.concatenate((values, [2.0])), counts_by_rank(labels[again], ranks[again])
    padded = [np.pad(own, (0, len(values_again) - len(own))) for own in counts]
    expected = calibration_error(labels[again], probabilities[again])
    assert calibration_error_of_counts(values_again, *padded) == pytest.approx(expected)


def test_false_positives_at_95_of_true_ones_and_precision_by_prevalence():
    labels, p = np.repeat([0, 1], 100), np.concatenate((np.linspace(0, 0.99, 100), np.linspace(0.5, 1, 100)))
    assert fpr_at_tpr(*counts_by_rank(labels, values_and_ranks(p)[1])) == pytest.approx(
        (p[:100] >= np.sort(p[100:])[5]).mean()
    )
    assert (p[100:] >= np.sort(p[100:])[5]).mean() == 0.95
    assert precision_at(0.5, 0.9, 0.1) == pytest.approx(0.9)
    assert precision_at(0.01, 0.9, 0.1) == pytest.approx(0.009 / (0.009 + 0.099))
    assert precision_at(0.5, 0, 0) == 0


def test_what_training_fitted_is_what_test_uses(run, quick, tmp_path):
    words = (
        *quick,
        "data.count=600",
        "data.val_fraction=0.3",
        "calibration.min_images=50",
        "calibration.threshold=fpr",
    )
    finished = run("train", *words, "calibration.max_fpr=0.2")
    assert finished.code == 0, finished.text
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    loaded = load_classifier(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert loaded.digest == metrics["checkpoint_digest"], "the digest is that of the calibrated checkpoint"
    assert (loaded.classifier.temperature, loaded.classifier.threshold) == (
        metrics["temperature"],
        metrics["threshold"],
    )
    assert metrics["temperature"] != 1 and metrics["threshold"] != 0.5
    assert metrics["val/calibrated/loss"] <= metrics["val/loss"] + 1e-6
    assert (tmp_path / "run" / "reliability.png").stat().st_size > 5_000

    finished = run("test", f"ckpt_path={loaded.path}", "hydra.run.dir=tested")
    assert finished.code == 0, finished.text
    tested = json.loads((tmp_path / "tested" / "metrics.json").read_text())
    assert tested["test/threshold"] == metrics["threshold"]
    for name in ("ece", "brier", "fpr_at_95_tpr", "precision_fake_at_0.1", "precision_fake_at_0.01"):
        assert 0 <= tested[f"test/{name}_low"] <= tested[f"test/{name}_high"] <= 1
    with (tmp_path / "tested" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all((float(row["prob_fake"]) >= metrics["threshold"]) == (row["prediction"] == "FAKE") for row in rows)
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        expected = torch.sigmoid(loaded.classifier(images) / metrics["temperature"])
        torch.testing.assert_close(loaded.classifier.probabilities(images), expected)


def test_a_small_validation_split_is_told_of_and_nothing_is_fitted(run, quick, tmp_path):
    finished = run("train", *quick)
    assert finished.code == 0, finished.text
    assert "Not calibrated: validation has 8 images of a class, fewer than calibration.min_images=200" in finished.text
    loaded = load_classifier(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert (loaded.classifier.temperature, loaded.classifier.threshold) == (1.0, 0.5)


def test_without_calibration_nothing_is_fitted(run, quick, tmp_path):
    finished = run("train", *quick, "calibration=null")
    assert finished.code == 0 and "Not calibrated" not in finished.text, finished.text
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (metrics["temperature"], metrics["threshold"]) == (1.0, 0.5)
    assert metrics["val/calibrated/accuracy"] == pytest.approx(metrics["val/accuracy"])
    wrong = run("train", *quick, "calibration.threshold=best", "calibration.max_fpr=2")
    assert wrong.code == 1 and "calibration.threshold" in wrong.text and "calibration.max_fpr" in wrong.text


def test_a_flawless_validation_does_not_ask_for_certainty():
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], 500)
    logits = np.where(labels, 1, -1) * generator.uniform(1, 4, 1000)
    assert 0.1 < fit_temperature(logits, labels) < 1  # 0.05, the least there is, without smoothed labels


def test_where_no_cut_has_few_enough_false_alarms_the_highest_is_taken():
    probabilities = np.r_[np.full(50, 1.0), np.linspace(0, 0.5, 450), np.full(500, 1.0)]
    assert choose_threshold(probabilities, np.repeat([0, 1], 500), "fpr", 0.01) == 1.0


def test_the_order_of_images_of_one_probability_means_nothing():
    labels, constant = np.repeat([0, 1], 500), np.full(1000, 0.5)
    assert calibration_error(labels, constant) == pytest.approx(0)
    half = np.where(np.arange(1000) % 2, 0.5, 0.7)
    shuffled = np.random.default_rng(0).permutation(1000)
    assert calibration_error(labels, half) == pytest.approx(calibration_error(labels[shuffled], half[shuffled]))


def test_the_temperature_of_a_flawless_validation_is_that_of_platts_targets():
    fake, real = 30, 10
    labels = np.repeat([1, 0], [fake, real])
    # One logit each way: the best scale s makes the mean of sigmoid(s) that of the targets.
    target = (fake * (fake + 1) / (fake + 2) + real * (1 - 1 / (real + 2))) / (fake + real)
    expected = 1 / np.log(target / (1 - target))
    assert fit_temperature(np.where(labels == 1, 1.0, -1.0), labels) == pytest.approx(expected, rel=1e-3)
