"""Figures that compare runs; one panel each, so that they stack on a narrow screen."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fakereal.presentation.ink import INK, cut, inked, logarithmic
from fakereal.presentation.plots import BLUE, ORANGE, new_figure

DARK = 0.8  # a share whose blue needs white letters


@dataclass
class Point:
    """A run: x, its accuracy with interval, and its reference (`#1`)."""

    x: float | str
    y: tuple[float, float, float]
    ref: str


def cost_chart(points: Sequence[Point], front: Sequence[int]) -> Figure:
    """Accuracy against seconds of training; the points numbered in `front` are the Pareto front."""
    figure, axes = new_figure(5.4, 3.9)
    _scatter(axes, [point.x for point in points], points)
    best = sorted((points[i].x, points[i].y[0], points[i].ref) for i in front)
    axes.step([x for x, *_ in best], [y for _, y, _ in best], where="post", color=ORANGE, linewidth=1.5, zorder=3)
    axes.plot([x for x, *_ in best], [y for _, y, _ in best], "D", color=ORANGE, label="Pareto front", zorder=4)
    if _wide([point.x for point in points]):
        logarithmic(axes)
    axes.margins(x=0.08)
    _annotate(axes, best)
    axes.set(xlabel="Seconds of training", ylabel="Validation accuracy")
    axes.legend(loc="lower right", labelcolor=INK, framealpha=0, fontsize=9)
    return inked(figure, axes)


def setting_chart(points: Sequence[Point], key: str) -> Figure:
    """Accuracy against one hyperparameter: numbers on an axis, logarithmic where they span 10:1; else a row a value."""
    if not all(isinstance(point.x, int | float) for point in points):
        return _rows_chart(points, key)
    figure, axes = new_figure(5.4, 3.6)
    axes.margins(x=0.12)
    values = [point.x for point in points]
    _scatter(axes, values, points)
    if _wide(values):
        logarithmic(axes)
    if len(set(values)) <= 8 and _apart(sorted(set(values)), axes):
        axes.set_xticks(sorted(set(values)), [f"{value:.4g}" for value in sorted(set(values))])
        axes.set_xticks([], minor=True)
    axes.set(xlabel=key, ylabel="Validation accuracy")
    return inked(figure, axes)


def _rows_chart(points: Sequence[Point], key: str) -> Figure:
    """A row for each value, in the order of the points, which is the best first: long values stay readable."""
    names = list(dict.fromkeys(str(point.x) for point in points))
    figure, axes = new_figure(5.4, 1.2 + 0.26 * max(3, len(names)))
    rows, accuracy = [names.index(str(point.x)) for point in points], [point.y[0] for point in points]
    axes.errorbar(accuracy, rows, xerr=_spans(points), fmt="none", ecolor=INK, alpha=0.25, linewidth=1)
    axes.plot(accuracy, rows, "o", color=BLUE, alpha=0.85, markersize=5)
    axes.set_yticks(range(len(names)), [cut(name, 34) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set(xlabel="Validation accuracy", ylabel=key)
    return inked(figure, axes)


def heat_map(values: Sequence[Sequence[float | None]], rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Shares (R, C) from 0.5, which is chance, to 1, as colours with their percentages; None stays empty."""
    figure, axes = new_figure(2.6 + 0.62 * len(columns), 1.3 + 0.34 * len(rows))
    shares = np.array([[np.nan if value is None else value for value in row] for row in values], dtype=float)
    axes.imshow(shares, cmap="Blues", vmin=0.5, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(shares):
        if np.isfinite(value):
            colour = "white" if value > DARK else "black"
            axes.text(column, row, f"{100 * value:.1f}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(columns)), [cut(name, 24) for name in columns], rotation=30, ha="right")
    axes.set_yticks(range(len(rows)), [cut(name, 40) for name in rows])
    inked(figure, axes).axes[0].grid(visible=False)
    return figure


def pareto_front(seconds: Sequence[float], values: Sequence[float]) -> list[int]:
    """Indices of the points that no other equals or beats in both: faster and higher."""
    front, highest = [], float("-inf")
    for index in sorted(range(len(seconds)), key=lambda i: (seconds[i], -values[i])):
        if values[index] > highest:
            front.append(index)
            highest = values[index]
    return front


def _scatter(axes: Axes, xs: Sequence[float], points: Sequence[Point]) -> None:
    axes.errorbar(xs, [p.y[0] for p in points], _spans(points), fmt="none", ecolor=INK, alpha=0.25, linewidth=1)
    axes.plot(xs, [p.y[0] for p in points], "o", color=BLUE, alpha=0.85, markersize=5)
    axes.yaxis.set_major_formatter(PercentFormatter(1))


def _spans(points: Sequence[Point]) -> list[list[float]]:
    """How far the intervals reach below and above."""
    return [[y - low for y, low, _ in (p.y for p in points)], [high - y for y, _, high in (p.y for p in points)]]


def _annotate(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """References beside points, the last one's first; none where it would cover another."""
    axes.autoscale_view()  # the transforms below are those of the final limits
    taken: list[tuple[float, float]] = []
    for x, y, ref in reversed(points):
        place = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))
        if all(abs(place[0] - across) > 0.09 or abs(place[1] - up) > 0.06 for across, up in taken):
            axes.annotate(ref, (x, y), (6, 6), textcoords="offset points", color=INK, fontsize=9)
            taken.append((place[0], place[1]))


def _apart(values: Sequence[float], axes: Axes) -> bool:
    """Whether labels below these places, ascending, would not cover each other."""
    axes.autoscale_view()  # the transform below is that of the final limits
    places = [axes.transAxes.inverted().transform(axes.transData.transform((value, 0)))[0] for value in values]
    return all(right - left > 0.1 for left, right in pairwise(places))


def _wide(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) >= 10
