"""What all figures of a benchmark share: where to work, how often, and what a result is."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fakereal.benchmarking.images import write_tree
from fakereal.benchmarking.laps import Contender
from fakereal.runtime.errors import UserError

MANY = 20_000  # images of the figures that need many


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        figure: what was measured, and `subject` on what.
        against: whom we are compared with; empty for a figure that stands alone.
        value: the ratio, or the figure itself in `unit`; `low` and `high` are the least and greatest of `repeats`.
        ours, theirs: medians of both sides in `unit`.
        wanted: the least (or, if `at_most`, the greatest) value that is good enough; None: no bound.
    """

    figure: str
    subject: str
    against: str
    value: float
    low: float
    high: float
    repeats: int
    unit: str
    ours: float | None = None
    theirs: float | None = None
    wanted: float | None = None
    at_most: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether the median is good enough; None where no bound was set."""
        if self.wanted is None:
            return None
        return self.value <= self.wanted if self.at_most else self.value >= self.wanted

    @classmethod
    def ratio(
        cls, figure: str, subject: str, against: str, unit: str, ours: Sequence[float], theirs: Sequence[float], **bound
    ) -> "Row":
        """Ours to theirs, round by round; `bound` is `wanted` and `at_most`."""
        ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
        medians = {"ours": statistics.median(ours), "theirs": statistics.median(theirs)}
        return cls(figure, subject, against, *spread(ratios), len(ratios), unit, **medians, **bound)

    @classmethod
    def alone(cls, figure: str, subject: str, unit: str, values: Sequence[float], **bound) -> "Row":
        """A figure that is compared with nothing."""
        return cls(figure, subject, "", *spread(values), len(values), unit, **bound)


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, least and greatest."""
    return statistics.median(values), min(values), max(values)


@dataclass
class Bench:
    """A folder to work in, and how often everything is repeated.

    Args:
        folder: temporary; trees, stores, runs and logs lie below it.
        repeats: rounds in which each contender has one turn, after one that is not counted.
        overrides: what every command is given, for instance the number of threads.
        seconds: the longest that one lap may take.
    """

    folder: Path
    repeats: int
    overrides: list[str]
    seconds: float = 900.0
    _trees: dict[int, Path] = field(default_factory=dict)

    def tree(self, images: int) -> Path:
        """A folder with so many training images, written once."""
        if images not in self._trees:
            self._trees[images] = write_tree(self.folder / f"images_{images}", images)
        return self._trees[images]

    @property
    def env(self) -> dict[str, str]:
        """Environment of every process: decoded images stay below the folder."""
        return {"FAKEREAL_CACHE": str(self.folder / "cache")}

    def command(self, name: str, *words: str, status: int = 0) -> float:
        """Runs `fakereal.NAME` to its end, which must be with that status; the seconds that it took."""
        return self.python("-m", f"fakereal.{name}", *words, status=status)

    def python(self, *words: str, status: int = 0) -> float:
        """`command`, of any Python."""
        began = time.perf_counter()
        command, env = [sys.executable, *words], {**os.environ, **self.env}
        done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=self.folder, check=False)
        if done.returncode != status:
            said = f"{' '.join(words)} ended with status {done.returncode}, not {status}"
            raise UserError(f"{said}:\n{done.stderr[-2000:]}")
        return time.perf_counter() - began

    def seconds_to_first_lap(self, name: str, command: Sequence[str]) -> float:
        """From the start of a process to the end of its first lap."""
        began = time.perf_counter()
        with self.contenders({name: command}, f"first_{name}") as [contender]:
            contender.first_lap()
            return time.perf_counter() - began

    @contextmanager
    def contenders(self, commands: dict[str, Sequence[str]], name: str) -> Iterator[list[Contender]]:
        """A process for each command, all living side by side; none outlives the block.

        They start one after the other: what one tries out before it is ready, no other disturbs.
        """
        logs = self.folder / "logs" / name
        logs.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            racing = []
            for who, words in commands.items():
                contender = Contender(who, words, logs / f"{who}.log", self.seconds, self.env)
                racing.append(stack.enter_context(closing(contender)))
                contender.wait()
            yield racing

    def race(self, racing: Sequence[Contender]) -> dict[str, list[float]]:
        """Images per second of each contender in each round, after a round that is not counted.

        Each round is begun by another one: nobody always runs first.
        """
        rates: dict[str, list[float]] = {contender.name: [] for contender in racing}
        for contender in racing:
            contender.lap()
        for number in range(self.repeats):
            first = number % len(racing)
            for contender in [*racing[first:], *racing[:first]]:
                rates[contender.name].append(contender.lap())
        return rates
