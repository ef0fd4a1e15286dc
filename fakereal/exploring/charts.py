"""Figures of a data set."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from fakereal import CLASSES
from fakereal.exploring.measures import Measure
from fakereal.exploring.pixels import Mean
from fakereal.presentation.ink import INK, inked, logarithmic
from fakereal.presentation.plots import BLUE, ORANGE, new_figure
from fakereal.presentation.thumbnails import thumbnail

COLOURS = dict(zip(CLASSES, (BLUE, ORANGE), strict=True))
BINS = 40
TILE, GAP, ACROSS = 72, 4, 8  # pixels of an image on a sheet, of a gap; images in a row
FLOOR = 1e-9  # of power, far below that of rounding to 8 bits


def counts_chart(counts: dict[str, dict[str, int]]) -> Figure:
    """Images of each class in each split, side by side."""
    figure, axes = new_figure(5.4, 3.2)
    for number, name in enumerate(CLASSES):
        places = np.arange(len(counts)) + (number - 0.5) * 0.4
        heights = [split[name] for split in counts.values()]
        axes.bar(
            places, heights, 0.38, color=COLOURS[name], hatch="//" if number else None, edgecolor="white", label=name
        )
        for place, height in zip(places, heights, strict=True):
            axes.annotate(f"{height:,}", (place, height), (0, 3), textcoords="offset points", ha="center", color=INK,
                          fontsize=8)  # fmt: skip
    axes.set_xticks(range(len(counts)), list(counts))
    axes.set(xlabel="Split", ylabel="Images")
    axes.margins(y=0.12)
    axes.legend(labelcolor=INK, framealpha=0)
    return inked(figure, axes)


def measure_chart(measure: Measure, label: np.ndarray) -> Figure:
    """How a measure is distributed over the images of each class; logarithmic where it spans 30:1."""
    figure, axes = new_figure(5.4, 3.2)
    low, high = measure.values.min(), measure.values.max()
    wide = low > 0 and high / low >= 30
    edges = np.geomspace(low, high, BINS + 1) if wide else np.linspace(low, high, BINS + 1)
    for number, name in enumerate(CLASSES):
        held = measure.values[label == number]
        if len(held):
            shares = np.histogram(held, edges)[0] / len(held)
            axes.stairs(shares, edges, color=COLOURS[name], linestyle="--" if number else "-", linewidth=2, label=name)
    if wide:
        logarithmic(axes)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set(xlabel=f"{measure.title} [{measure.unit}]", ylabel="Share of the class")
    axes.legend(labelcolor=INK, framealpha=0)
    return inked(figure, axes)


def correlation_chart(found: list[Measure], matrix: np.ndarray) -> Figure:
    """Pearson's correlation of each two measures, in words where one is constant."""
    figure, axes = new_figure(5.4, 4.6)
    axes.imshow(np.nan_to_num(matrix), cmap="PuOr", vmin=-1, vmax=1)
    for (row, column), value in np.ndenumerate(matrix):
        text = "constant" if np.isnan(value) else f"{value:.2f}"
        colour = "white" if abs(np.nan_to_num(value)) > 0.6 else "black"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    names = [measure.title for measure in found]
    axes.set_xticks(range(len(found)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(found)), names)
    inked(figure, axes)
    axes.grid(visible=False)
    return figure


def spectrum_chart(mean: Mean, limits: tuple[float, float]) -> Figure:
    """log10 of the mean power over horizontal and vertical cycles an image; `limits` of the colours."""
    figure, axes = new_figure(4.4, 3.6)
    half = len(mean.spectrum) / 2
    shown = axes.imshow(log_power(mean), cmap="cividis", vmin=limits[0], vmax=limits[1],
                        extent=(-half, half, half, -half))  # fmt: skip
    axes.set(xlabel="Horizontal cycles per image", ylabel="Vertical cycles per image")
    bar = figure.colorbar(shown, ax=axes, label="log10 of the mean power")
    bar.ax.tick_params(colors=INK)
    bar.ax.yaxis.label.set_color(INK)
    inked(figure, axes)
    axes.grid(visible=False)
    return figure


def log_power(mean: Mean) -> np.ndarray:
    """(S, S); zero frequency, which the mean power has not, as its neighbours."""
    power = mean.spectrum.copy()
    centre = len(power) // 2
    power[centre, centre] = power[centre, centre - 1]
    return np.log10(power + FLOOR)


def sheet(images: np.ndarray) -> np.ndarray:
    """Images uint8 (N, S, S, 3) in rows of ACROSS on one white ground."""
    tiles = [thumbnail(image, TILE) for image in images]
    side, rows = len(tiles[0]), -(-len(tiles) // ACROSS)
    across = min(ACROSS, len(tiles))
    ground = np.full((rows * (side + GAP) - GAP, across * (side + GAP) - GAP, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = (place * (side + GAP) for place in divmod(number, ACROSS))
        ground[top : top + side, left : left + side] = tile
    return ground
