"""How well scores rank FAKE above REAL, the same for all commands.

Scores are sorted once, and not for each resample.
"""

import numpy as np

from fakereal.evaluation.intervals import auroc_interval, bootstrap

TINY = np.finfo(float).tiny  # in the place of a divisor of 0


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Chance that an image of label 1 scores above one of label 0, ties counting half; nan where one is absent.

    labels (N,) of 0 and 1, scores (N,), finite. Exact (Hanley & McNeil 1982).
    """
    return _area(np.asarray(labels), _ranks(scores))


def auroc_with_interval(labels: np.ndarray, scores: np.ndarray) -> tuple[float, tuple[float, float]]:
    """`auroc` with its score interval; both labels must be there."""
    area, fake = auroc(labels, scores), int((np.asarray(labels) == 1).sum())
    return area, auroc_interval(area, fake, len(labels) - fake)


def balanced_average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Average precision as it were with as many images of each label, both of which must be there.

    Sets of which one has more images of label 0 than another compare by it; by average precision they do not.
    """
    real, fake = (np.cumsum(counts[::-1]) for counts in _counts(np.asarray(labels), _ranks(scores)))
    found, alarms = fake / fake[-1], real / real[-1]
    return float(np.diff(found, prepend=0) @ (found / np.maximum(found + alarms, TINY)))


def average_precision_with_interval(labels: np.ndarray, scores: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Mean precision over the images of label 1, each at its own score, with its bootstrap interval."""
    labels, ranks = np.asarray(labels), _ranks(scores)
    return _average_precision(labels, ranks), bootstrap(_average_precision, labels, ranks)


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 that are in the order of the scores, equal where those are."""
    return np.unique(scores, return_inverse=True)[1]


def _counts(labels: np.ndarray, ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images of label 0 and of label 1 at each rank, from the lowest."""
    real, fake = (np.bincount(ranks[labels == label], minlength=int(ranks.max()) + 1) for label in (0, 1))
    return real, fake


def _average_precision(labels: np.ndarray, ranks: np.ndarray) -> float:
    real, fake = (counts[::-1] for counts in _counts(labels, ranks))
    found, called = np.cumsum(fake), np.cumsum(real + fake)
    return float(fake @ (found / np.maximum(called, 1)) / found[-1])


def _area(labels: np.ndarray, ranks: np.ndarray) -> float:
    real, fake = _counts(labels, ranks)
    pairs = int(real.sum()) * int(fake.sum())
    return float(fake @ (np.cumsum(real) - real / 2) / pairs) if pairs else float("nan")
