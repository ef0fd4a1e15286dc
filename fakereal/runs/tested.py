"""Results of `fakereal.test`, joined to the runs whose checkpoints they tested."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fakereal import CLASSES
from fakereal.runs.folders import Unusable, read_json, require
from fakereal.runs.image_digests import ImageDigests
from fakereal.runs.ledger import members_of
from fakereal.runs.trained import LeftOut, Run

NAMED = ("checkpoint", "checkpoint_digest", "data_digest")
SEEN = "test/seen_in_training"
WITH_INTERVAL = ("", "_low", "_high")
REQUIRED = (
    *(f"test/accuracy{end}" for end in WITH_INTERVAL),
    *(f"test/{name}" for name in ("images", "tn", "fp", "fn", "tp")),
)
AUROC = tuple(f"test/auroc{end}" for end in WITH_INTERVAL)
LEAKED = tuple(f"test/without_leaked/accuracy{end}" for end in WITH_INTERVAL)


@dataclass(eq=False)
class Tested:
    """One look at a test split; `looks` counts those of the same checkpoints at the same images."""

    folder: Path
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    looks: int = 1

    @property
    def images(self) -> ImageDigests:
        return ImageDigests.of(self.metrics)

    @property
    def digests(self) -> tuple[str, ...]:
        """Of the tested checkpoint, or of each one of an ensemble."""
        return members_of(self.metrics)

    @property
    def tta(self) -> set[str]:
        """The networks' test-time augmentation; empty where it is not known, as of tests by an earlier version."""
        said = str(self.metrics.get("tta") or given(self, "tta=").removeprefix("tta="))
        return set(said.split(",")) - {"", "null"}

    @property
    def age(self) -> tuple[str, int]:
        """Greater is newer."""
        return str(self.provenance.get("time", "")), int(self.metrics.get("look", 0))

    @property
    def seen(self) -> int:
        """How many of its images were trained or validated on; 0 also where that is not known."""
        return int(self.metrics.get(SEEN, 0))


def given(test: Tested, start: str) -> str:
    """What the test's command line gave for keys that start so."""
    return " ".join(word for word in map(str, test.provenance.get("overrides", ())) if word.startswith(start))


def data_of(test: Tested) -> str:
    """On which images: what the command line gave, else the kind of data."""
    data = test.provenance.get("data")
    return given(test, "data") or (str(data.get("class", "")) if isinstance(data, dict) else "")


@dataclass
class Joined:
    """Joined by where they belong."""

    of_run: dict[Run, Tested]
    ensembles: list[Tested]
    elsewhere: list[tuple[Run | None, Tested, str]]
    of_others: list[tuple[Run, Tested]]  # of runs on other data
    strangers: list[Tested]  # of checkpoints that belong to none of these


def read_tests(folders: Iterable[Path]) -> tuple[list[Tested], list[LeftOut]]:
    """Every readable test result among directories with a metrics.json; what is none is passed over."""
    tests, left_out = [], []
    for folder in folders:
        try:
            metrics = read_json(folder / "metrics.json")
            require(metrics, REQUIRED, NAMED, (*LEAKED, SEEN))
            if _both_classes(metrics):  # of one alone AUROC is not defined
                require(metrics, AUROC, ())
            tests.append(Tested(folder, metrics, read_json(folder / "provenance.json")))
        except Unusable as reason:
            left_out.append(LeftOut(str(folder), f"a test result: {reason}"))
    return tests, left_out


def _both_classes(metrics: dict[str, Any]) -> bool:
    return metrics["test/tn"] + metrics["test/fp"] > 0 and metrics["test/fn"] + metrics["test/tp"] > 0


def join(tests: list[Tested], runs: list[Run], others: Sequence[Run] = ()) -> Joined:
    """Joined to runs, and to `others` on other data, by the checkpoint's digest.

    Of several looks the newest counts, and one as the checkpoint answers by itself before all with another threshold
    or test-time augmentation.
    """
    by_digest = {run.metrics["checkpoint_digest"]: run for run in runs}
    of_others = {(run.metrics["checkpoint_digest"],): run for run in others}
    newest: dict[tuple, Tested] = {}
    for test in sorted(tests, key=lambda test: (not _overridden(test), test.age)):
        key = (test.digests, test.metrics["data_digest"], test.metrics["test/images"], test.seen)
        test.looks = newest[key].looks + 1 if key in newest else 1
        newest[key] = test
    joined = Joined({}, [], [], [], [])
    for test in newest.values():
        known = [by_digest[digest] for digest in test.digests if digest in by_digest]
        if test.digests in of_others:
            joined.of_others.append((of_others[test.digests], test))
        elif not known:
            joined.strangers.append(test)
        elif why := _elsewhere(test, known[0]):
            joined.elsewhere.append((known[0] if len(test.digests) == 1 else None, test, why))
        elif len(test.digests) == 1:
            joined.of_run[known[0]] = test
        else:
            joined.ensembles.append(test)
    return joined


def _overridden(test: Tested) -> bool:
    return bool(given(test, "threshold=") or given(test, "tta="))


def _elsewhere(test: Tested, run: Run) -> str:
    """Why a test is not one on the test split of the run's data; empty where it is."""
    if not test.images.same_as(run.images):
        return "other images"
    if test.seen:
        return f"another split of the same images, {test.seen:,} of them trained or validated on"
    try:
        images = sum(run.provenance["data"]["splits"]["test"].values())
    except (KeyError, TypeError, AttributeError):
        return ""
    return "" if images == test.metrics["test/images"] else "another split of the same images"


@dataclass(eq=False)
class Predictions:
    """Rows of a predictions.csv, sorted by path: labels (N,) bool, probabilities of FAKE (N,), right (N,) bool."""

    paths: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    right: np.ndarray

    def covers_the_same(self, other: "Predictions") -> bool:
        """Whether both hold the same images with the same labels."""
        return self.paths == other.paths and np.array_equal(self.labels, other.labels)


def read_predictions(test: Tested) -> Predictions:
    """Unusable where the file is not there, was cut short, or does not tell its rows apart."""
    path = test.folder / "predictions.csv"
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = sorted((row["path"], row["label"], float(row["prob_fake"]), row["prediction"])
                          for row in csv.DictReader(file))  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise Unusable(f"predictions.csv cannot be read ({error})") from None
    if len(rows) != test.metrics["test/images"]:
        raise Unusable(f"predictions.csv has {len(rows):,} rows for {test.metrics['test/images']:,} images")
    paths = tuple(row[0] for row in rows)
    if len(set(paths)) != len(paths):
        raise Unusable("predictions.csv names an image twice")
    if unknown := {row[column] for row in rows for column in (1, 3)} - set(CLASSES):
        raise Unusable(f"predictions.csv has a label that is not a class: {min(unknown, key=str)!r}")
    labels = np.array([row[1] == CLASSES[1] for row in rows])
    right = np.array([row[1] == row[3] for row in rows])
    probabilities = np.array([row[2] for row in rows])
    if not np.isfinite(probabilities).all():
        raise Unusable("predictions.csv has a probability that is not a number")
    return Predictions(paths, labels, probabilities, right)
