"""Figures of a binary classifier, by matplotlib's object interface (no global state, no display)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fakereal import CLASSES
from fakereal.evaluation.calibration import calibration_error, reliability
from fakereal.evaluation.intervals import wilson
from fakereal.presentation.ink import any_letters, cut
from fakereal.runtime.text import printable

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#777777"  # Okabe & Ito's colour-blind-safe palette


def new_figure(width: float = 4.8, height: float = 4.4) -> tuple[Figure, Axes]:
    """A figure of that many inches with one axes."""
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def confusion_figure(counts: np.ndarray, title: str) -> Figure:
    """Counts (2, 2), rows the true classes and columns the predicted ones, with shares of each row."""
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axes = new_figure()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(2):
        for column in range(2):
            text = f"{counts[row, column]:,}\n{shares[row, column]:.1%}"
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=13)
    axes.set(xticks=(0, 1), yticks=(0, 1), xlabel="Predicted class", ylabel="True class", title=title)
    axes.set_xticklabels(CLASSES)
    axes.set_yticklabels(CLASSES, rotation=90, va="center")
    return figure


def roc_figure(false_positive_rate: np.ndarray, true_positive_rate: np.ndarray, area: str) -> Figure:
    """The ROC curve; `area` is its AUROC with interval, as text."""
    figure, axes = new_figure()
    axes.plot((0, 1), (0, 1), color=GREY, linestyle="--", label="chance")
    axes.plot(false_positive_rate, true_positive_rate, color=BLUE, linewidth=2, label=f"AUROC {area}")
    axes.set(
        xlabel="False-positive rate (REAL called FAKE)",
        ylabel="True-positive rate (FAKE called FAKE)",
        title="ROC curve",
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def precision_recall_figure(recall: np.ndarray, precision: np.ndarray, area: str, prevalence: float) -> Figure:
    """The precision-recall curve of FAKE; `area` is the average precision with interval, as text."""
    figure, axes = new_figure()
    axes.axhline(prevalence, color=GREY, linestyle="--", label="chance")
    axes.plot(recall, precision, color=ORANGE, linewidth=2, label=f"average precision {area}")
    axes.set(
        xlabel="Recall of FAKE",
        ylabel="Precision of FAKE",
        title="Precision-recall curve",
        xlim=(-0.01, 1.01),
    )
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    return figure


def reliability_figure(curves: dict[str, tuple[np.ndarray, np.ndarray]], title: str) -> Figure:
    """Share of FAKE against mean probability, in bins of equal mass, of named (labels, probabilities)."""
    figure, axes = new_figure()
    axes.plot((0, 1), (0, 1), color=GREY, linestyle="--", label="perfectly calibrated")
    for (name, (labels, probabilities)), colour, mark in zip(curves.items(), (ORANGE, BLUE), "so", strict=False):
        said, were, counts = reliability(labels, probabilities)
        low, high = np.array([wilson(round(w * n), int(n)) for w, n in zip(were, counts, strict=True)]).T
        bars = (np.clip(were - low, 0, None), np.clip(high - were, 0, None))
        label = f"{name}: ECE {calibration_error(labels, probabilities):.4f}"
        axes.errorbar(said, were, bars, color=colour, marker=mark, markersize=4, linewidth=1.2, label=label)
    axes.set(
        xlabel="Mean probability of FAKE",
        ylabel="Share of FAKE",
        title=f"Reliability: {title}",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return figure


def groups_figure(groups: Sequence[dict[str, Any]], count: int) -> Figure:
    """Both recalls with their intervals and the AUROC of each group, from the top; `count`: how many there are."""
    figure, axes = new_figure(6.4, 1.4 + 0.3 * max(3, len(groups)))
    for name, colour, shift, label in (
        ("recall_real", BLUE, -0.13, "REAL called REAL"),
        ("recall_fake", ORANGE, 0.13, "FAKE called FAKE"),
    ):
        known = [(at + shift, *_reach(row, name)) for at, row in enumerate(groups) if row[name] is not None]
        if known:
            places, values, below, above = zip(*known, strict=True)
            axes.errorbar(values, places, xerr=(below, above), fmt="o", color=colour, markersize=4, label=label)
    if known := [(row["auroc"], at) for at, row in enumerate(groups) if row["auroc"] is not None]:
        axes.plot(*zip(*known, strict=True), "D", color=GREY, markersize=4, label="AUROC")
    axes.axvline(0.5, color=GREY, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(groups)), [cut(printable(row["group"]), 40) for row in groups])
    title = "By group" if len(groups) == count else f"By group: the {len(groups)} least accurate of {count:,}"
    axes.set(xlim=(-0.02, 1.02), ylim=(len(groups) - 0.4, -0.6), xlabel="Share (AUROC: area)", title=title)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _reach(row: dict[str, Any], name: str) -> tuple[float, float, float]:
    """A figure, and how far its interval reaches below and above."""
    return row[name], row[name] - row[f"{name}_low"], row[f"{name}_high"] - row[name]


def save_png(figure: Figure, path: Path) -> Path:
    """Writes the figure; returns the path."""
    with any_letters():
        figure.savefig(path)
    return path


def show_saved(board: Any, tag: str, figure: Figure, step: int | None = None) -> None:
    """Shows a figure that `save_png` wrote in TensorBoard, by the pixels drawn then: `add_figure` would draw again."""
    board.add_image(tag, np.asarray(figure.canvas.buffer_rgba())[..., :3], step, dataformats="HWC")
