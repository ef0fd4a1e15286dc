"""Figures by group: of known predictions, against torchmetrics, and where a group has images of one class."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.groups import accuracy_of, by_group, macro_means
from fakereal.evaluation.intervals import wilson
from fakereal.evaluation.ranking import balanced_average_precision


def drawn(groups: str, seed: int = 0) -> tuple[Evaluation, np.ndarray]:
    """Of "aR bF ...": 50 images of each group and class, with probabilities that say something about the class."""
    generator, labels, names = np.random.default_rng(seed), [], []
    for group, cls in groups.split():
        labels += [float(cls == "F")] * 50
        names += [group] * 50
    order = generator.permutation(len(labels))
    labels = np.array(labels, dtype=np.float32)[order]
    probabilities = np.clip(0.25 + 0.4 * labels + generator.normal(0, 0.25, len(labels)), 0, 1).astype(np.float32)
    return Evaluation(labels, probabilities, 0.4), np.array(names)[order]


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    return float(binary_auroc(torch.from_numpy(scores), torch.from_numpy(labels).long()))


def as_many_of_each(labels: np.ndarray, scores: np.ndarray) -> float:
    """Average precision with each image as often as there are images of the other class."""
    times = np.where(labels == 0, (labels == 1).sum(), (labels == 0).sum())
    labels, scores = np.repeat(labels, times), np.repeat(scores, times)
    return float(binary_average_precision(torch.from_numpy(scores), torch.from_numpy(labels).long()))


def balanced_accuracy(labels: np.ndarray, said: np.ndarray) -> float:
    return np.mean([np.mean(said[labels == label] == label) for label in (0, 1)])


def test_groups_of_both_classes_have_the_figures_of_their_own_images():
    evaluation, names = drawn("aR aF bR bF bF cR cF")
    rows = by_group(evaluation, names)
    assert [(row["group"], row["real"], row["fake"]) for row in rows] == [("a", 50, 50), ("b", 50, 100), ("c", 50, 50)]
    for row in rows:
        own = names == row["group"]
        labels, p, said = evaluation.labels[own], evaluation.probabilities[own], evaluation.predictions[own]
        assert row["accuracy"] == np.mean(said == labels)
        assert (row["recall_fake_low"], row["recall_fake_high"]) == wilson(int(said[labels == 1].sum()), row["fake"])
        assert row["recall_real"] == np.mean(said[labels == 0] == 0)
        assert row["balanced_accuracy"] == pytest.approx(balanced_accuracy(labels, said))
        assert row["balanced_accuracy_low"] < row["balanced_accuracy"] < row["balanced_accuracy_high"]
        assert row["auroc"] == pytest.approx(auroc(labels, p)) and row["auroc_low"] < row["auroc"]
        assert row["balanced_average_precision"] == pytest.approx(as_many_of_each(labels, p))
        assert row["shared_real"] == 0 and accuracy_of(row) == row["balanced_accuracy"]
    means = macro_means(rows)
    assert means["count"] == 3 and means["auroc"] == pytest.approx(np.mean([row["auroc"] for row in rows]))
    assert set(means) == {"count", "balanced_accuracy", "auroc", "balanced_average_precision"}


def test_generators_without_real_images_share_those_that_no_generator_has():
    evaluation, names = drawn("pR qR aF bF cR cF")
    rows = {row["group"]: row for row in by_group(evaluation, names)}
    shared = (names == "p") | (names == "q")
    for name in "ab":
        both = shared | (names == name)
        assert rows[name]["shared_real"] == 100 and rows[name]["real"] == 0 and rows[name]["recall_real"] is None
        assert rows[name]["auroc"] == pytest.approx(auroc(evaluation.labels[both], evaluation.probabilities[both]))
        said = evaluation.predictions[both]
        assert rows[name]["balanced_accuracy"] == pytest.approx(balanced_accuracy(evaluation.labels[both], said))
    assert rows["c"]["shared_real"] == 0, "it has its own"
    assert rows["p"]["auroc"] is None and rows["p"]["shared_real"] == 0
    assert accuracy_of(rows["p"]) == rows["p"]["recall_real"]
    assert macro_means([*rows.values()])["count"] == 3


def test_without_real_images_to_share_there_is_the_share_of_fakes_found():
    evaluation, names = drawn("aF bF cR cF")
    rows = {row["group"]: row for row in by_group(evaluation, names)}
    assert rows["a"]["auroc"] is rows["a"]["balanced_accuracy"] is None and rows["c"]["auroc"] > 0.5
    assert accuracy_of(rows["a"]) == rows["a"]["recall_fake"] == rows["a"]["accuracy"]
    assert macro_means([*rows.values()]) == {}, "one group has no mean"


@pytest.mark.parametrize("groups", ["aR bF", "aR aF", "aF"])
def test_groups_that_tell_no_more_than_the_classes_are_none(groups):
    assert by_group(*drawn(groups)) == []


def test_images_trained_on_are_counted_by_group():
    evaluation, names = drawn("aR aF bR bF")
    seen = (names == "b") & (evaluation.labels == 1)
    assert [row["seen_in_training"] for row in by_group(evaluation, names, seen)] == [0, 50]
    assert "seen_in_training" not in by_group(evaluation, names)[0]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=30).filter(
        lambda drawn: len({label for label, _ in drawn}) == 2
    ),
    st.integers(1, 5),
)
def test_balanced_average_precision_knows_no_prevalence(images, times):
    labels, scores = np.array(images, dtype=float).T
    scores /= 6
    real, fake = np.sort(scores[labels == 0]), scores[labels == 1]
    value = balanced_average_precision(real, fake)
    assert balanced_average_precision(np.repeat(real, times), fake) == pytest.approx(value)
    assert value == pytest.approx(as_many_of_each(labels, scores))
