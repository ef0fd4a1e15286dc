"""Accuracy by group of the test images: by folder (generator, category), or by CIFAR class."""

from typing import Any

import numpy as np

from fakereal import CLASSES
from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.intervals import wilson

HEADER = ("group", "class", "images", "accuracy", "accuracy_low", "accuracy_high", "mean_prob_fake")


def by_group(evaluation: Evaluation, groups: list[str]) -> list[dict[str, Any]]:
    """A row for each group and class, sorted; none where these tell no more than the classes do.

    `groups`: of each image (N,).
    """
    names, number = np.unique(np.array(groups), return_inverse=True)
    right = evaluation.predictions == evaluation.labels
    rows = []
    cell = len(CLASSES) * number + evaluation.labels.astype(int)
    order = np.argsort(cell, kind="stable")
    for held in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
        name, label = divmod(int(cell[held[0]]), len(CLASSES))
        count, hits = len(held), int(right[held].sum())
        mean = float(evaluation.probabilities[held].mean())
        values = (str(names[name]), CLASSES[label], count, hits / count, *wilson(hits, count), mean)
        rows.append(dict(zip(HEADER, values, strict=True)))
    return rows if len(rows) > len(np.unique(evaluation.labels)) else []
