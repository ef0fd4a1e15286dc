"""Two classifiers on the same images: is one better, or is it noise?"""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

BATCH = 20  # resamples at a time: 20,000 images take 3 MB each then, and fit the caches


def mcnemar(right: np.ndarray, other: np.ndarray) -> tuple[int, int, float]:
    """McNemar's exact test (1947) of which predictions (N,) are right.

    Returns: images that only the first gets right, that only the other gets right, and the two-sided p-value.
    """
    from scipy.stats import binomtest

    only, only_other = int(np.sum(right & ~other)), int(np.sum(~right & other))
    if not only + only_other:
        return 0, 0, 1.0
    return only, only_other, float(binomtest(only, only + only_other, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, step-down (Holm 1979), in the order given; scipy has no such function."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = float(highest)
    return adjusted


def auroc_differences(
    labels: np.ndarray,
    scores: Sequence[np.ndarray],
    *,
    resamples: int = 1000,
    seed: int = 0,
    advance: Callable[[int], None] = lambda done: None,
) -> list[tuple[float, float, float]]:
    """AUROC of the first minus that of the second with its 95% interval, for each pair of `scores`.

    Paired percentile bootstrap: images are drawn within each class, and all classifiers are scored on the same
    draw, so that all pairs cost no more than each classifier once.

    Args:
        labels: (N,) bool, both classes present.
        scores: of each classifier (N,), greater for True.
        advance: told how many resamples were done.

    Returns: (difference, low, high) in the order of `itertools.combinations(scores, 2)`.
    """
    from scipy.stats import bootstrap

    positive, negative = np.flatnonzero(labels), np.flatnonzero(~labels)
    rankings = [_Ranking(np.asarray(s)[positive], np.asarray(s)[negative]) for s in scores]
    first, second = np.array(list(combinations(range(len(rankings)), 2))).T

    def differences(positives: np.ndarray, negatives: np.ndarray, axis: int = -1) -> np.ndarray:
        drawn = _counts(np.atleast_2d(positives), len(positive)), _counts(np.atleast_2d(negatives), len(negative))
        areas = np.stack([ranking.auroc(*drawn) for ranking in rankings])
        advance(areas.shape[1])
        return (areas[first] - areas[second]).reshape(len(first), *positives.shape[:-1])

    data = np.arange(len(positive)), np.arange(len(negative))
    observed = differences(*data)
    interval = bootstrap(
        data, differences, n_resamples=resamples, batch=BATCH, vectorized=True, method="percentile", rng=seed
    ).confidence_interval
    return [tuple(map(float, row)) for row in zip(observed, interval.low, interval.high, strict=True)]


class _Ranking:
    """One classifier's order of the images, sorted once: a resample is then a sum over how often each was drawn."""

    def __init__(self, positive: np.ndarray, negative: np.ndarray):
        self.order = np.argsort(negative)
        ordered = negative[self.order]
        self.below = np.searchsorted(ordered, positive, "left")
        self.up_to = np.searchsorted(ordered, positive, "right")  # ties count half

    def auroc(self, positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
        """AUROC (B,) where image i was drawn positive[b, i] or negative[b, i] times."""
        total = np.zeros((len(negative), negative.shape[1] + 1))
        np.cumsum(negative[:, self.order], axis=1, out=total[:, 1:])
        wins = (total.take(self.below, axis=1) + total.take(self.up_to, axis=1)) / 2
        return (positive * wins).sum(1) / (positive.sum(1) * negative.sum(1))


def _counts(drawn: np.ndarray, size: int) -> np.ndarray:
    """How often each of `size` images was drawn (B, size), from indices (B, draws)."""
    offset = drawn + size * np.arange(len(drawn))[:, None]
    return np.bincount(offset.ravel(), minlength=size * len(drawn)).reshape(len(drawn), size)
