"""Operating points: for each limit of false alarms the threshold that keeps it on validation, and what it finds."""

from collections.abc import Iterable
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from fakereal.evaluation.calibration import FEWEST_ALARMS, called_fake, choose_threshold
from fakereal.evaluation.intervals import named, wilson

MAX_FPRS = (0.1, 0.05, 0.01, 0.001)
_Share = Annotated[float, Field(ge=0, le=1)]


class OperatingPoint(TypedDict):
    """A threshold for a limit of false alarms, and what it comes to on some images; None without any of the class.

    Shares with their Wilson intervals: `fpr` of REAL called FAKE, `recall_fake` of FAKE called FAKE.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    max_fpr: _Share
    threshold: _Share
    fpr: _Share | None
    fpr_low: _Share | None
    fpr_high: _Share | None
    recall_fake: _Share | None
    recall_fake_low: _Share | None
    recall_fake_high: _Share | None


def operating_points(labels: np.ndarray, probabilities: np.ndarray) -> list[OperatingPoint]:
    """`measured_at` of the lowest threshold whose false-positive rate is at most each of MAX_FPRS.

    labels (N,) of 0 and 1, probabilities (N,) of FAKE. A limit is left out that allows fewer than FEWEST_ALARMS,
    or that no threshold keeps: so many REAL images may have a probability of 1.
    """
    if len(np.unique(labels)) < 2 or not np.isfinite(probabilities).all():
        return []
    real = int((labels == 0).sum())
    limits = [limit for limit in MAX_FPRS if limit * real >= FEWEST_ALARMS]
    chosen = [(limit, choose_threshold(probabilities, labels, "fpr", limit)) for limit in limits]
    return [row for row in measured_at(chosen, labels, probabilities) if row["fpr"] <= row["max_fpr"]]


def measured_at(
    chosen: Iterable[tuple[float, float]], labels: np.ndarray, probabilities: np.ndarray
) -> list[OperatingPoint]:
    """A row for each (max_fpr, threshold), on images with labels (N,) and probabilities of FAKE (N,)."""
    rows: list[OperatingPoint] = []
    for max_fpr, threshold in chosen:
        row: dict[str, Any] = {"max_fpr": max_fpr, "threshold": threshold}
        for name, label in (("fpr", 0), ("recall_fake", 1)):
            own = probabilities[labels == label]
            called = int(called_fake(own, threshold).sum())
            row |= named(name, called / len(own) if len(own) else None, wilson(called, len(own)))
        rows.append(OperatingPoint(**row))
    return rows
