"""How well the label is told by what is no content."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fakereal.auditing.features import FILE, PIXEL
from fakereal.auditing.logistic import Classifier, fit_logistic
from fakereal.evaluation.intervals import auroc_interval
from fakereal.evaluation.ranking import auroc

TITLES = FILE | PIXEL


@dataclass
class Shortcut:
    """AUROC with its 95% interval of one set of features; `constant`: they are the same for all images."""

    name: str
    auroc: float
    low: float
    high: float
    constant: bool

    @property
    def title(self) -> str:
        return TITLES[self.name]

    @property
    def of_file(self) -> bool:
        return self.name in FILE


def fit_each(
    features: dict[str, np.ndarray],
    labels: np.ndarray,
    fit: np.ndarray,
    advance: Callable[[float], None] = lambda share: None,
) -> dict[str, Classifier]:
    """A logistic regression for each name, fitted on the rows `fit`, which hold both labels.

    `advance` is told each share of the work that is done.
    """
    fitted = {}
    for name, values in features.items():
        fitted[name] = fit_logistic(values[fit], labels[fit])
        advance(1 / len(features))
    return fitted


def measure(
    features: dict[str, np.ndarray], classifiers: dict[str, Classifier], labels: np.ndarray, held_out: np.ndarray
) -> list[Shortcut]:
    """AUROC of each classifier on the rows `held_out`, which hold both labels."""
    found = []
    for name, values in features.items():
        constant, score = bool((values == values[0]).all()), classifiers[name]
        area = 0.5 if constant else auroc(labels[held_out], score(values[held_out]))
        positives = int(labels[held_out].sum())
        limits = (0.5, 0.5) if constant else auroc_interval(area, positives, len(held_out) - positives)
        found.append(Shortcut(name, area, *limits, constant))
    return found
