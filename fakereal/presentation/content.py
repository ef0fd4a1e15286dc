"""The parts of a page: what both templates, HTML and Markdown, are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from matplotlib.figure import Figure

from fakereal import CLASSES


@dataclass
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass
class Command:
    """A shell command, ready to paste."""

    kind: ClassVar[str] = "command"
    text: str


@dataclass
class Table:
    """Cells as text; columns that are empty in all rows are dropped."""

    kind: ClassVar[str] = "table"
    header: Sequence[str]
    rows: list[list[str]]
    marked: int | None = None

    def __post_init__(self) -> None:
        used = [any(row[column] for row in self.rows) for column in range(len(self.header))]
        self.header = [cell for cell, use in zip(self.header, used, strict=True) if use]
        self.rows = [[cell for cell, use in zip(row, used, strict=True) if use] for row in self.rows]
        self.numeric = [
            all(row[column][:1] in "0123456789-<+" for row in self.rows) for column in range(len(self.header))
        ]


@dataclass
class Confusion:
    """Counts of true REAL and FAKE (rows) called REAL and FAKE (columns)."""

    title: str
    counts: tuple[tuple[int, int], tuple[int, int]]

    @property
    def shares(self) -> list[list[float]]:
        return [[count / max(1, sum(row)) for count in row] for row in self.counts]


@dataclass
class Confusions:
    """Several matrices side by side; in Markdown the rows of a table."""

    kind: ClassVar[str] = "confusions"
    matrices: list[Confusion]

    def table(self) -> Table:
        header = ["", *(f"{true} called {called}" for true in CLASSES for called in CLASSES)]
        rows = [[m.title, *(f"{count:,}" for row in m.counts for count in row)] for m in self.matrices]
        return Table(header, rows)


@dataclass
class Chart:
    """A figure; `name` is its file's and its element's, `title` and `description` what is read out in its place."""

    kind: ClassVar[str] = "chart"
    name: str
    title: str
    description: str
    figure: Figure


@dataclass
class Picture:
    """Pixels (H, W, 3) uint8 and what they show."""

    pixels: np.ndarray
    caption: str


@dataclass
class Pictures:
    """Pictures in a row, of a full column's width if `wide`; `name` begins the names of their files."""

    kind: ClassVar[str] = "pictures"
    name: str
    pictures: list[Picture]
    wide: bool = False


@dataclass
class Tiles:
    """Small pictures below a title, many in a row; in Markdown `whole`, one picture of them all, in a file `name`."""

    kind: ClassVar[str] = "tiles"
    name: str
    title: str
    pictures: list[Picture]
    whole: Picture


@dataclass
class Verdict:
    """One thing that was looked at, how bad it is, and what to do about it."""

    level: Literal["ok", "note", "warning"]
    about: str
    text: str
    remedy: str = ""


@dataclass
class Verdicts:
    """A line each."""

    kind: ClassVar[str] = "verdicts"
    lines: list[Verdict]


Block = Text | Command | Table | Confusions | Chart | Pictures | Tiles | Verdicts


@dataclass
class Section:
    """A heading with what stands below it."""

    slug: str
    title: str
    blocks: list[Block] = field(default_factory=list)


def percent(value: float) -> str:
    return f"{value:.2%}"


def four(value: float) -> str:
    return f"{value:.4f}"


def with_interval(figure: tuple[float, float, float], form=percent) -> str:
    """`92.47% (91.93% to 92.97%)`."""
    value, low, high = map(form, figure)
    return f"{value} ({low} to {high})"


def known_interval(figures: dict[str, Any], name: str, form=percent) -> str:
    """A figure with its interval NAME_low, NAME_high; alone where an older version kept none; "" where not defined."""
    if figures.get(name) is None:
        return ""
    if f"{name}_high" not in figures:
        return form(figures[name])
    return with_interval((figures[name], figures[f"{name}_low"], figures[f"{name}_high"]), form)


def p_value(p: float) -> str:
    return "<0.0001" if p < 1e-4 else f"{p:.4f}"
