"""Figures that compare runs; one panel each, so that they stack on a narrow screen."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fakereal.reporting.curves import Curve
from fakereal.reporting.plots import BLUE, ORANGE, new_figure

# Black on paper; in the page's SVG it becomes the colour of the text around it, light or dark.
INK = "#010203"
# Told apart by the colour-blind, and at 3:1 or more on white and on the dark page.
COLOURS = (BLUE, ORANGE, "#009E73", "#B5609A", "#8C6D31", "#777777")
MARKERS = "os^Dvp"


@dataclass
class Line:
    """Curves of one setting: the mean over its seeds, and each seed's own where there are several."""

    label: str
    train: Curve
    val: Curve
    single: Sequence[tuple[Curve, Curve]] = ()


@dataclass
class Point:
    """A run: x, its accuracy with interval, and its reference (`#1`)."""

    x: float | str
    y: tuple[float, float, float]
    ref: str


def curves_chart(lines: Sequence[Line], name: str) -> Figure:
    """Train solid, validation dashed, over epochs; `name` is "loss" or "accuracy"."""
    figure, axes = new_figure(5.4, 3.4 + 0.17 * (len(lines) + 1))
    for index, line in enumerate(lines):
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        for train, val in line.single:
            axes.plot(*_xy(train), color=colour, alpha=0.3, linewidth=0.8)
            axes.plot(*_xy(val), color=colour, alpha=0.3, linewidth=0.8, linestyle="--")
        few = max(len(line.train), len(line.val)) <= 30
        style = {"color": colour, "linewidth": 1.8, "marker": marker if few else None, "markersize": 3.5}
        axes.plot(*_xy(line.train), **style)
        axes.plot(*_xy(line.val), **style, linestyle="--")
    axes.set(xlabel="Epoch", ylabel=name.capitalize())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if name == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    handles = [Line2D([], [], color=INK, label="train"), Line2D([], [], color=INK, linestyle="--", label="validation")]
    axes.legend(handles=handles, labelcolor=INK, framealpha=0, fontsize=9)
    keys = [
        Line2D([], [], color=COLOURS[i % 6], marker=MARKERS[i % 6], markersize=4, label=_cut(line.label))
        for i, line in enumerate(lines)
    ]
    figure.legend(handles=keys, loc="outside lower left", labelcolor=INK, framealpha=0, fontsize=9)
    return inked(figure, axes)


def cost_chart(points: Sequence[Point], front: Sequence[int]) -> Figure:
    """Accuracy against seconds of training; the points numbered in `front` are the Pareto front."""
    figure, axes = new_figure(5.4, 3.9)
    _scatter(axes, points)
    best = sorted((points[i].x, points[i].y[0], points[i].ref) for i in front)
    axes.step([x for x, *_ in best], [y for _, y, _ in best], where="post", color=ORANGE, linewidth=1.5, zorder=3)
    axes.plot([x for x, *_ in best], [y for _, y, _ in best], "D", color=ORANGE, label="Pareto front", zorder=4)
    if _wide([point.x for point in points]):
        axes.set_xscale("log")
    axes.margins(x=0.08)
    _annotate(axes, best)
    axes.set(xlabel="Seconds of training", ylabel="Validation accuracy")
    axes.legend(loc="lower right", labelcolor=INK, framealpha=0, fontsize=9)
    return inked(figure, axes)


def setting_chart(points: Sequence[Point], key: str) -> Figure:
    """Accuracy against one hyperparameter; numbers on an axis, logarithmic where they span 10:1, else in columns."""
    figure, axes = new_figure(5.4, 3.6)
    _scatter(axes, points)
    values = [point.x for point in points]
    if all(isinstance(value, int | float) for value in values):
        if _wide(values):
            axes.set_xscale("log")
        if len(set(values)) <= 8:
            axes.set_xticks(sorted(set(values)), [f"{value:g}" for value in sorted(set(values))])
            axes.set_xticks([], minor=True)
    else:
        shown = sorted({str(value) for value in values})
        axes.set_xlim(-0.5, len(shown) - 0.5)
        axes.set_xticks(range(len(shown)), [_cut(value, 18) for value in shown])
        if len(shown) > 4:
            axes.tick_params(axis="x", rotation=30)
    axes.set(xlabel=key, ylabel="Validation accuracy")
    return inked(figure, axes)


def pareto_front(seconds: Sequence[float], values: Sequence[float]) -> list[int]:
    """Indices of the points that no other equals or beats in both: faster and higher."""
    front, highest = [], float("-inf")
    for index in sorted(range(len(seconds)), key=lambda i: (seconds[i], -values[i])):
        if values[index] > highest:
            front.append(index)
            highest = values[index]
    return front


def _scatter(axes: Axes, points: Sequence[Point]) -> None:
    names = sorted({str(point.x) for point in points})
    number = all(isinstance(point.x, int | float) for point in points)
    xs = [point.x if number else names.index(str(point.x)) for point in points]
    ys = [point.y[0] for point in points]
    spans = [[y - low for y, low, _ in (p.y for p in points)], [high - y for y, _, high in (p.y for p in points)]]
    axes.errorbar(xs, ys, spans, fmt="none", ecolor=INK, alpha=0.25, linewidth=1)
    axes.plot(xs, ys, "o", color=BLUE, alpha=0.85, markersize=5)
    axes.yaxis.set_major_formatter(PercentFormatter(1))


def _annotate(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """References beside points, the last one's first; none where it would cover another."""
    axes.autoscale_view()  # the transforms below are those of the final limits
    taken: list[tuple[float, float]] = []
    for x, y, ref in reversed(points):
        place = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))
        if all(abs(place[0] - across) > 0.09 or abs(place[1] - up) > 0.06 for across, up in taken):
            axes.annotate(ref, (x, y), (6, 6), textcoords="offset points", color=INK, fontsize=9)
            taken.append((place[0], place[1]))


def _wide(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) >= 10


def _xy(curve: Curve) -> tuple[list[int], list[float]]:
    epochs = sorted(curve)
    return epochs, [curve[epoch] for epoch in epochs]


def _cut(text: str, length: int = 60) -> str:
    text = text.replace("$", r"\$")  # matplotlib reads a pair of $ as mathematics
    return text if len(text) <= length else f"{text[: length - 3]}..."


def inked(figure: Figure, axes: Axes) -> Figure:
    """The figure with all that is neither line nor area in the ink that the page replaces."""
    axes.tick_params(colors=INK, which="both")
    for spine in axes.spines.values():
        spine.set_color(INK)
    for text in (axes.xaxis.label, axes.yaxis.label):
        text.set_color(INK)
    axes.set_facecolor("none")
    axes.grid(color=INK, alpha=0.15)
    return figure
