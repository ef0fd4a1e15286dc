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
    for index, name in enumerate(names):
        for label, cls in enumerate(CLASSES):
            mask = (number == index) & (evaluation.labels == label)
            if not (count := int(mask.sum())):
                continue
            hits = int(right[mask].sum())
            mean = float(evaluation.probabilities[mask].mean())
            rows.append(
                dict(zip(HEADER, (str(name), cls, count, hits / count, *wilson(hits, count), mean), strict=True))
            )
    return rows if len(rows) > len(np.unique(evaluation.labels)) else []
