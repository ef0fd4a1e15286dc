"""Learning curves as a figure."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fakereal.presentation.ink import INK, cut, inked
from fakereal.presentation.plots import BLUE, ORANGE, new_figure
from fakereal.runs.curves import Curve

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


def curves_chart(lines: Sequence[Line], name: str) -> Figure:
    """Train solid, validation dashed, over epochs; `name` is "loss" or "accuracy"."""
    figure, axes = new_figure(5.4, 3.4 + 0.17 * (len(lines) + 1))
    for index, line in enumerate(lines):
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        for train, val in line.single:
            axes.plot(*_xy(train), color=colour, alpha=0.45, linewidth=0.8)
            axes.plot(*_xy(val), color=colour, alpha=0.45, linewidth=0.8, linestyle="--")
        few = max(len(line.train), len(line.val)) <= 30
        style = {"color": colour, "linewidth": 1.8, "marker": marker if few else None, "markersize": 3.5}
        axes.plot(*_xy(line.train), **style)
        axes.plot(*_xy(line.val), **style, linestyle="--", markerfacecolor="none")
    axes.set(xlabel="Epoch", ylabel=name.capitalize())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if name == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    handles = [
        Line2D([], [], color=INK, marker="o", markersize=3.5, label="train"),
        Line2D([], [], color=INK, marker="o", markersize=3.5, linestyle="--", mfc="none", label="validation"),
    ]
    axes.legend(handles=handles, labelcolor=INK, framealpha=0, fontsize=9)
    keys = [
        Line2D([], [], color=COLOURS[i % 6], marker=MARKERS[i % 6], markersize=4, label=cut(line.label))
        for i, line in enumerate(lines)
    ]
    figure.legend(handles=keys, loc="outside lower left", labelcolor=INK, framealpha=0, fontsize=9)
    return inked(figure, axes)


def _xy(curve: Curve) -> tuple[list[int], list[float]]:
    epochs = sorted(curve)
    return epochs, [curve[epoch] for epoch in epochs]
