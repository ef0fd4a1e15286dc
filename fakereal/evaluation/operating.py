"""Operating points: for each limit of false alarms the threshold that keeps it on validation, and what it finds."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from fakereal.evaluation.calibration import choose_threshold
from fakereal.evaluation.intervals import wilson

MAX_FPRS = (0.1, 0.05, 0.01, 0.001)
FEWEST = 5


def operating_points(labels: np.ndarray, probabilities: np.ndarray) -> list[dict[str, Any]]:
    """`measured_at` of the lowest threshold whose false-positive rate is at most each of MAX_FPRS.

    labels (N,) of 0 and 1, probabilities (N,) of FAKE. A limit that allows fewer than FEWEST false alarms is left out:
    the threshold would be that of a few images.
    """
    real = int((labels == 0).sum())
    limits = [limit for limit in MAX_FPRS if limit * real >= FEWEST]
    chosen = [(limit, choose_threshold(probabilities, labels, "fpr", limit)) for limit in limits]
    return measured_at(chosen, labels, probabilities)


def measured_at(
    chosen: Iterable[tuple[float, float]], labels: np.ndarray, probabilities: np.ndarray
) -> list[dict[str, Any]]:
    """A row for each (max_fpr, threshold): `fpr`, the share of REAL called FAKE, and `recall_fake`.

    With Wilson intervals as NAME_low and NAME_high; None where there are no images of the class.
    """
    rows = []
    for max_fpr, threshold in chosen:
        row: dict[str, Any] = {"max_fpr": max_fpr, "threshold": threshold}
        for name, label in (("fpr", 0), ("recall_fake", 1)):
            own = probabilities[labels == label]
            called = int((own >= threshold).sum())
            figures = (called / len(own), *wilson(called, len(own))) if len(own) else (None, None, None)
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), figures, strict=True))
        rows.append(row)
    return rows
