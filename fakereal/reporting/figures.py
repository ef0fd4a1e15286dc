"""A run's figures with their intervals, over seeds, and beside a published one."""

from typing import NamedTuple

import numpy as np

from fakereal.evaluation.intervals import prediction_interval, t_interval
from fakereal.presentation.content import four, percent, with_interval
from fakereal.runs.tested import Tested
from fakereal.runs.trained import Run


class Figure(NamedTuple):
    """A value with its 95% interval."""

    value: float
    low: float
    high: float


def validation_images(run: Run) -> int:
    """How many images the validation figures rest on."""
    return int(run.metrics["val/images"])


def validation_accuracy(run: Run) -> Figure:
    """With its Wilson interval."""
    return Figure(*(run.metrics[f"val/accuracy{end}"] for end in ("", "_low", "_high")))


def figure_of(test: Tested, name: str) -> Figure:
    """A figure that the test wrote with its interval; KeyError where it did not."""
    return Figure(*(float(test.metrics[f"test/{name}{end}"]) for end in ("", "_low", "_high")))


def auroc_of(test: Tested) -> str:
    """AUROC with its interval, in words."""
    defined = test.metrics.get("test/auroc") is not None
    return with_interval(figure_of(test, "auroc"), four) if defined else "not defined: one class only"


class OverSeeds(NamedTuple):
    """n values: mean, standard deviation (n - 1), and the 95% t-interval of the mean."""

    n: int
    mean: float
    deviation: float
    low: float
    high: float


def over_seeds(values: list[float], most: float = 1.0) -> OverSeeds | None:
    """None of fewer than two values. They lie between 0 and `most`, and so does the interval."""
    if len(values) < 2:
        return None
    (low, high), deviation = t_interval(values), float(np.std(values, ddof=1))
    return OverSeeds(len(values), float(np.mean(values)), deviation, max(low, 0.0), min(high, most))


def accuracies(runs: list[Run], split: str, tests: dict[Run, Tested]) -> list[Figure]:
    """Accuracy on "val" or "test" of each of the runs that has one."""
    if split == "val":
        return [validation_accuracy(run) for run in runs]
    return [figure_of(tests[run], "accuracy") for run in runs if run in tests]


class Reproduction(NamedTuple):
    """The figure that a configuration names, and ours beside it, where there is one.

    `seeds`: of how many `ours` is the mean; `further`: of several, where one more may lie.
    """

    accuracy: float
    split: str
    source: str
    ours: Figure | None = None
    seeds: int = 1
    further: tuple[float, float] | None = None

    @property
    def verdict(self) -> str:
        """Where the published figure lies, in words.

        It is one training's: the more seeds we have, the narrower is the interval of their mean, and of theirs another
        would lie beside it, too.
        """
        if self.ours is None:
            return "we have not tested"
        low, high = self.further or self.ours[1:]
        where = "where one more seed may lie" if self.further else "our interval"
        if low <= self.accuracy <= high:
            return where if self.further else f"in {where}"
        return f"{'below' if self.accuracy < low else 'above'} {where}"

    @property
    def kind(self) -> str:
        """What `ours` is, in words."""
        if self.further is None:
            return "one run, Wilson interval"
        low, high = map(percent, self.further)
        return f"mean of {self.seeds} seeds, t-interval; one more may lie from {low} to {high}"


def published(runs: list[Run], tests: dict[Run, Tested]) -> Reproduction | None:
    """Of runs that differ in the seed alone; None where their configuration names no figure."""
    accuracy, split, source = (runs[0].config.get(f"published.{key}") for key in ("accuracy", "split", "source"))
    if not isinstance(accuracy, int | float) or split not in ("val", "test"):
        return None
    figures = accuracies(runs, split, tests)
    if not figures:
        return Reproduction(accuracy, split, str(source))
    values = [figure.value for figure in figures]
    if seeds := over_seeds(values):
        ours, (low, high) = Figure(seeds.mean, seeds.low, seeds.high), prediction_interval(values)
        return Reproduction(accuracy, split, str(source), ours, seeds.n, (max(low, 0.0), min(high, 1.0)))
    return Reproduction(accuracy, split, str(source), figures[0])
