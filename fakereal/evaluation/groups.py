"""Figures by group of images: by generator, category or CIFAR class."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fakereal.evaluation.intervals import of_two_rates, wilson
from fakereal.evaluation.ranking import auroc_with_interval, balanced_average_precision

if TYPE_CHECKING:
    from fakereal.evaluation.evaluation import Evaluation  # which imports torch

RATES = ("accuracy", "recall_real", "recall_fake")
SCORES = ("balanced_accuracy", "auroc", "balanced_average_precision")  # these need images of both classes


def by_group(evaluation: "Evaluation", groups: Sequence[str], seen: np.ndarray | None = None) -> list[dict[str, Any]]:
    """A row for each group, sorted by name; none where the groups tell no more than the classes do.

    `groups`: of each image (N,). `seen`: mask (N,) of images that were trained on, which are counted. `accuracy`,
    `recall_real` and `recall_fake` are those of the group's own images, with Wilson intervals (NAME_low, NAME_high).
    The SCORES compare FAKE with the group's own REAL images, or, if it has none, with the `shared_real` ones, those of
    all groups without FAKE. What is not defined is None.

    The SCORES are those that as many images of each class would have: `balanced_accuracy`, the mean of both recalls,
    with an interval of both rates, `auroc` with its score interval, and `balanced_average_precision` without one.
    """
    names, number = np.unique(np.asarray(groups), return_inverse=True)
    labels = evaluation.labels.astype(int)
    counts = np.zeros((len(names), 2), dtype=np.int64)
    np.add.at(counts, (number, labels), 1)
    if (counts > 0).sum() <= len(np.unique(labels)):
        return []
    shared = np.flatnonzero((counts[number, 1] == 0) & (labels == 0))
    held = np.split(np.argsort(number, kind="stable"), np.cumsum(counts.sum(1))[:-1])
    table = []
    for name, rows in zip(names, held, strict=True):
        known = {} if seen is None else {"seen_in_training": int(seen[rows].sum())}
        table.append({"group": str(name), **known, **_figures(evaluation, rows, shared)})
    return table


def macro_means(rows: Sequence[dict[str, Any]]) -> dict[str, float | int]:
    """`count` of the groups that have the SCORES, and of each score its mean over these; empty for fewer than two."""
    scored = [row for row in rows if row["auroc"] is not None]
    if len(scored) < 2:
        return {}
    return {"count": len(scored)} | {name: float(np.mean([row[name] for row in scored])) for name in SCORES}


def accuracy_of(row: Mapping[str, Any]) -> float:
    """The balanced accuracy of a row, or, where that is not defined, the accuracy on images of one class."""
    return row["accuracy"] if row["balanced_accuracy"] is None else row["balanced_accuracy"]


def _figures(evaluation: "Evaluation", own: np.ndarray, shared: np.ndarray) -> dict[str, Any]:
    labels, right = evaluation.labels.astype(int), evaluation.predictions == evaluation.labels
    real, fake = own[labels[own] == 0], own[labels[own] == 1]
    row: dict[str, Any] = {"real": len(real), "fake": len(fake)}
    for rate, rows in zip(RATES, (own, real, fake), strict=True):
        hits, count = int(right[rows].sum()), len(rows)
        row |= _with_interval(rate, hits / count if count else None, wilson(hits, count))
    borrowed = len(fake) > 0 and not len(real)
    row["shared_real"] = len(shared) if borrowed else 0
    against = shared if borrowed else real
    if not len(against) or not len(fake):
        return row | _with_interval(SCORES[0], None) | _with_interval(SCORES[1], None) | {SCORES[2]: None}
    found, spared = ((int(right[rows].sum()), len(rows)) for rows in (fake, against))
    row |= _with_interval("balanced_accuracy", *of_two_rates(lambda one, other: (one + other) / 2, found, spared))
    both = np.concatenate([against, fake])
    scored = evaluation.labels[both], evaluation.probabilities[both]
    return (
        row | _with_interval("auroc", *auroc_with_interval(*scored)) | {SCORES[2]: balanced_average_precision(*scored)}
    )


def _with_interval(name: str, value: float | None, interval: tuple[float, float] = (0, 1)) -> dict[str, float | None]:
    low, high = (None, None) if value is None else interval
    return {name: value, f"{name}_low": low, f"{name}_high": high}
