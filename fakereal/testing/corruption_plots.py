"""Curves over the severities of each corruption, and the corrupted images themselves."""

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fakereal import CLASSES
from fakereal.data.transforms.corruptions import CORRUPTIONS, corrupt
from fakereal.presentation.plots import BLUE, GREY, ORANGE

COLUMNS = 5  # panels in a row


def curves_figure(rows: list[dict[str, Any]], title: str) -> Figure:
    """A panel a corruption: accuracy, oracle accuracy and AUROC with 95% intervals against severity.

    `rows` are of all cells, the clean one first.
    """
    names = list(dict.fromkeys(row["corruption"] for row in rows[1:]))
    columns, lines = min(COLUMNS, len(names)), -(-len(names) // COLUMNS)
    figure = Figure(figsize=(max(6.2, 3.1 * columns), 2.9 * lines + 0.9), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for name, axes in zip(names, panels, strict=False):
        _curves(axes, name, [rows[0], *(row for row in rows if row["corruption"] == name)])
    for axes in panels[len(names) :]:
        axes.remove()
    lowest = min(row[f"{figure}_low"] for row in rows for figure in ("accuracy", "auroc"))
    panels[0].set_ylim(max(0, lowest - 0.03), 1.01)
    figure.suptitle(title)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4 if columns > 3 else 2, fontsize=9)
    return figure


def _curves(axes: Axes, name: str, rows: list[dict[str, Any]]) -> None:
    places = np.arange(len(rows))
    values = {key: np.array([row[key] for row in rows]) for key, value in rows[0].items() if isinstance(value, float)}
    for key, label, colour, mark in (
        ("accuracy", "accuracy at the frozen threshold", BLUE, "o"),
        ("auroc", "AUROC (ranking)", ORANGE, "s"),
    ):
        axes.fill_between(places, values[f"{key}_low"], values[f"{key}_high"], color=colour, alpha=0.2, linewidth=0)
        axes.plot(places, values[key], color=colour, marker=mark, markersize=4, label=label)
    oracle = values["oracle_accuracy"]
    axes.plot(
        places, oracle, color=BLUE, linestyle="--", linewidth=1.2, label="accuracy at the best threshold (oracle)"
    )
    axes.axhline(values["accuracy"][0], color=GREY, linestyle=":", linewidth=1, label="accuracy on clean images")
    axes.set_xticks(places, ["clean", *(row["strength"] for row in rows[1:])], fontsize=8)
    if max(len(row["strength"]) for row in rows) > 5:
        axes.tick_params("x", labelrotation=25)
    axes.set_title(name, fontsize=11)
    axes.set_xlabel(CORRUPTIONS[name].axis, fontsize=9)
    axes.grid(alpha=0.3)


def examples_figure(images: torch.Tensor, index: torch.Tensor, cells: list[tuple[str, int]], seed: int) -> Figure:
    """One image of each class, uint8 (2, 3, H, W) in the order of CLASSES, under each cell; the first is clean.

    A row a corruption, a column a severity.
    """
    names, severities = (list(dict.fromkeys(cell[part] for cell in cells[1:])) for part in (0, 1))
    side = max(images.shape[-2:])
    figure = Figure(figsize=(2 * (len(severities) + 1) + 0.4, 1.3 * len(names) + 0.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(names), len(severities) + 1, squeeze=False)
    for name, line in zip(names, panels, strict=True):
        for severity, axes in zip((0, *severities), line, strict=True):
            pair = corrupt(images, name, severity, seed=seed, index=index).permute(0, 2, 3, 1).numpy()
            gap = np.full((pair.shape[1], max(1, side // 16), 3), 255, dtype=np.uint8)
            axes.imshow(np.concatenate([pair[0], gap, pair[1]], axis=1), interpolation="nearest")
            axes.set(xticks=(), yticks=())
            axes.spines[:].set_visible(False)
            corruption = CORRUPTIONS[name]
            text = corruption.text(corruption.strengths[severity - 1]) if severity else "clean"
            axes.set_title(f"{severity}: {text}" if severity else text, fontsize=8, pad=2)
        line[0].set_ylabel(name, fontsize=9)
    figure.suptitle(f"{' | '.join(CLASSES)} under each corruption and severity", fontsize=11)
    return figure
