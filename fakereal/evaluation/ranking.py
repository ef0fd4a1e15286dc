"""How well scores rank FAKE above REAL, the same for all commands.

Scores are sorted once, and not for each resample or group.
"""

import numpy as np

from fakereal.evaluation.intervals import auroc_interval, average_precision_interval, bootstrap


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Chance that an image of label 1 scores above one of label 0, ties counting half; nan where one is absent.

    labels (N,) of 0 and 1, scores (N,), finite. Exact (Hanley & McNeil 1982).
    """
    labels, scores = np.asarray(labels), np.asarray(scores)
    return area_between(np.sort(scores[labels == 0]), scores[labels == 1])


def auroc_with_interval(labels: np.ndarray, scores: np.ndarray) -> tuple[float, tuple[float, float]]:
    """`auroc` with its score interval; both labels must be there."""
    area, fake = auroc(labels, scores), int((np.asarray(labels) == 1).sum())
    return area, auroc_interval(area, fake, len(labels) - fake)


def area_between(real: np.ndarray, fake: np.ndarray) -> float:
    """`auroc` of the scores of each label, those of label 0 (R,) ascending: many sets may be ranked against them."""
    pairs = len(real) * len(fake)
    twice = np.searchsorted(real, fake, "left").sum() + np.searchsorted(real, fake, "right").sum()
    return float(twice / (2 * pairs)) if pairs else float("nan")


def balanced_average_precision(real: np.ndarray, fake: np.ndarray) -> float:
    """Average precision as it were with as many images of each label, from scores as in `area_between`.

    Sets of which one has more images of label 0 than another compare by it; by average precision they do not.
    """
    found = 1 - np.searchsorted(np.sort(fake), fake, "left") / len(fake)
    alarms = 1 - np.searchsorted(real, fake, "left") / len(real)
    return float((found / (found + alarms)).mean())


def average_precision_with_interval(labels: np.ndarray, scores: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Mean precision over the images of label 1, each at its own score, with an interval.

    Of a bootstrap and of `average_precision_interval` the lower and the upper end: the first is too narrow where few
    images are ranked wrong, and the other knows scores of normal distributions alone.
    """
    labels = np.asarray(labels)
    value, resampled = bootstrap(average_precision, labels, values_and_ranks(scores)[1])
    fake = int((labels == 1).sum())
    low, high = zip(resampled, average_precision_interval(value, fake, len(labels) - fake), strict=True)
    return value, (min(low), max(high))


def values_and_ranks(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different scores (R,), ascending, and the place (N,) of each score among them."""
    return np.unique(scores, return_inverse=True)


def average_precision(real: np.ndarray, fake: np.ndarray) -> float:
    """Of the images of label 0 and of label 1 (R,) at each rank, from the lowest."""
    found, called = np.cumsum(fake[::-1]), np.cumsum((real + fake)[::-1])
    return float(fake[::-1] @ (found / np.maximum(called, 1)) / found[-1])


def fpr_at_tpr(real: np.ndarray, fake: np.ndarray, tpr: float = 0.95) -> float:
    """Share of REAL images called FAKE at the highest threshold that finds `tpr` of the FAKE ones.

    Of the images of each class (R,) at each rank, from the lowest.
    """
    found = np.cumsum(fake)
    cut = np.searchsorted(found, int(np.floor((1 - tpr) * found[-1])), "right")
    return float(real[cut:].sum() / real.sum())
