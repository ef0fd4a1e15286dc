"""Figures by group of images: by generator, category or CIFAR class."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.intervals import auroc_interval, named, of_two_rates, wilson
from fakereal.evaluation.ranking import area_between, balanced_average_precision

GROUPS_SHOWN = 24  # where people look, the worst; groups.csv has all
RATES = ("accuracy", "recall_real", "recall_fake")
SCORES = ("balanced_accuracy", "auroc", "balanced_average_precision")  # these need images of both classes


def by_group(evaluation: Evaluation, groups: Sequence[str], seen: np.ndarray | None = None) -> list[dict[str, Any]]:
    """A row for each group, sorted by name; none where the groups tell no more than the classes do.

    `groups`: of each image (N,). `seen`: mask (N,) of images that were trained on, which are counted. `accuracy`,
    `recall_real` and `recall_fake` are those of the group's own images, with Wilson intervals (NAME_low, NAME_high).
    The SCORES compare FAKE with the group's own REAL images, or, if it has none, with the `shared_real` ones, those of
    all groups without FAKE. What is not defined is None.

    The SCORES are those that as many images of each class would have: `balanced_accuracy`, the mean of both recalls,
    with an interval of both rates, `auroc` with its score interval, and `balanced_average_precision` without one.
    """
    names = sorted(set(groups))
    place = {name: number for number, name in enumerate(names)}  # numpy would sort a million texts
    number = np.fromiter((place[name] for name in groups), np.int64, len(groups))
    labels = evaluation.labels.astype(int)
    counts = np.bincount(2 * number + labels, minlength=2 * len(names)).reshape(-1, 2)
    if (counts > 0).sum() <= len(np.unique(labels)):
        return []
    right = evaluation.predictions == labels
    shared = _Real.of(evaluation, right, np.flatnonzero((counts[number, 1] == 0) & (labels == 0)))
    held = np.split(np.argsort(number, kind="stable"), np.cumsum(counts.sum(1))[:-1])
    table = []
    for name, rows in zip(names, held, strict=True):
        known = {} if seen is None else {"seen_in_training": int(seen[rows].sum())}
        real, fake = (rows[labels[rows] == label] for label in (0, 1))
        rates: dict[str, Any] = {"real": len(real), "fake": len(fake)}
        for rate, own in zip(RATES, (rows, real, fake), strict=True):
            hits, count = int(right[own].sum()), len(own)
            rates |= named(rate, hits / count if count else None, wilson(hits, count))
        borrows = len(fake) > 0 and not len(real)
        against = shared if borrows else _Real.of(evaluation, right, real)
        rates["shared_real"] = len(shared.scores) if borrows else 0
        scores = _scores(against, evaluation.probabilities[fake], int(right[fake].sum()))
        table.append({"group": name, **known, **rates, **scores})
    return table


def worst(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The GROUPS_SHOWN rows of the least `accuracy_of`, ascending; of the same the first stays first."""
    return sorted(rows, key=accuracy_of)[:GROUPS_SHOWN]


def macro_means(rows: Sequence[dict[str, Any]]) -> dict[str, float | int]:
    """`count` of the groups that have the SCORES, and of each score its mean over these; empty for fewer than two."""
    scored = [row for row in rows if row["auroc"] is not None]
    if len(scored) < 2:
        return {}
    return {"count": len(scored)} | {name: float(np.mean([row[name] for row in scored])) for name in SCORES}


def accuracy_of(row: Mapping[str, Any]) -> float:
    """The balanced accuracy of a row, or, where that is not defined, the accuracy on images of one class."""
    return row["accuracy"] if row["balanced_accuracy"] is None else row["balanced_accuracy"]


class _Real(NamedTuple):
    """Probabilities of REAL images, ascending, and how many of these are right."""

    scores: np.ndarray
    right: int

    @classmethod
    def of(cls, evaluation: Evaluation, right: np.ndarray, rows: np.ndarray) -> "_Real":
        return cls(np.sort(evaluation.probabilities[rows]), int(right[rows].sum()))


def _scores(real: _Real, fake: np.ndarray, found: int) -> dict[str, float | None]:
    """The SCORES of FAKE images with these probabilities, `found` of which are right."""
    if not len(real.scores) or not len(fake):
        return {**named(SCORES[0], None), **named(SCORES[1], None), SCORES[2]: None}
    rates = (found, len(fake)), (real.right, len(real.scores))
    area = area_between(real.scores, fake)
    return {
        **named("balanced_accuracy", *of_two_rates(lambda one, other: (one + other) / 2, *rates)),
        **named("auroc", area, auroc_interval(area, len(fake), len(real.scores))),
        "balanced_average_precision": balanced_average_precision(real.scores, fake),
    }
