"""Learning curves: the figures of each epoch, read from the CSV logger's files."""

import csv
import math
from collections.abc import Iterable
from pathlib import Path

Curve = dict[int, float]
METRICS = ("train/loss", "val/loss", "train/accuracy", "val/accuracy")


def read_curves(run: Path) -> dict[str, Curve]:
    """Figures by epoch, counted from 1; empty where the run has no CSV log.

    Each resume adds a version of the file, and the later one wins where both tell of an epoch.
    """
    curves: dict[str, Curve] = {}
    for path in sorted(run.glob("csv/version_*/metrics.csv"), key=_version):
        try:
            with path.open(newline="", encoding="utf-8", errors="replace") as file:
                for row in csv.DictReader(file):
                    _add(row, curves)
        except (OSError, csv.Error):
            continue
    return curves


def _version(path: Path) -> int:
    number = path.parent.name.removeprefix("version_")
    return int(number) if number.isdecimal() else -1


def _add(row: dict[str, str], curves: dict[str, Curve]) -> None:
    for name in METRICS:
        if row.get(name) and row.get("epoch"):
            try:
                epoch, value = int(float(row["epoch"])) + 1, float(row[name])
            except ValueError:  # the last line of a killed run may be cut short
                continue
            if math.isfinite(value):
                curves.setdefault(name, {})[epoch] = value


def mean_curve(curves: Iterable[Curve]) -> Curve:
    """The mean over the epochs that all have."""
    curves = [curve for curve in curves if curve]
    shared = set.intersection(*map(set, curves)) if curves else set()
    return {epoch: sum(curve[epoch] for curve in curves) / len(curves) for epoch in sorted(shared)}
