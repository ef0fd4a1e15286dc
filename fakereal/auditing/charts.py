"""Figures of an audit, and pairs of images side by side."""

import numpy as np
from matplotlib.figure import Figure

from fakereal import CLASSES
from fakereal.auditing.shortcuts import Shortcut
from fakereal.presentation.ink import INK, inked
from fakereal.presentation.plots import BLUE, ORANGE, new_figure
from fakereal.presentation.thumbnails import thumbnail

SIDE = 96  # pixels of an image in a picture
GAP = 4
CLASS_COLOURS = (BLUE, ORANGE)


def shortcuts_chart(shortcuts: list[Shortcut], threshold: float) -> Figure:
    """AUROC with interval of each shortcut, against chance and the threshold."""
    figure, axes = new_figure(5.8, 1.5 + 0.34 * len(shortcuts))
    places = range(len(shortcuts))[::-1]
    for place, shortcut in zip(places, shortcuts, strict=True):
        colour = ORANGE if shortcut.low > threshold else BLUE
        axes.plot((shortcut.low, shortcut.high), (place, place), color=colour, linewidth=3, solid_capstyle="butt")
        axes.plot(shortcut.auroc, place, "o" if colour == BLUE else "D", color=colour, markersize=6)
    axes.axvline(0.5, color=INK, alpha=0.5, linewidth=1, label="chance")
    axes.axvline(threshold, color=ORANGE, linestyle="--", linewidth=1, label=f"shortcut above {threshold:g}")
    axes.set_yticks(list(places), [shortcut.title for shortcut in shortcuts])
    axes.set(xlabel="AUROC on held-out images", ylim=(-0.7, len(shortcuts) - 0.3))
    axes.set_xlim(min(0.45, *(shortcut.low for shortcut in shortcuts)) - 0.01, 1.01)
    figure.legend(loc="outside lower right", ncols=2, labelcolor=INK, framealpha=0, fontsize=9)
    return inked(figure, axes)


def spectra_chart(spectrum: np.ndarray, label: np.ndarray) -> Figure:
    """Mean log power over cycles an image for each class, with bands of one standard deviation of the images."""
    figure, axes = new_figure(5.4, 3.6)
    cycles = np.arange(1, spectrum.shape[1] + 1)
    for cls, (name, colour) in enumerate(zip(CLASSES, CLASS_COLOURS, strict=True)):
        held = spectrum[label == cls]
        if len(held):
            mean, spread = held.mean(0), held.std(0)
            axes.plot(cycles, mean, color=colour, linestyle="-" if not cls else "--", linewidth=2, label=name)
            axes.fill_between(cycles, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
    axes.set(xlabel="Cycles per image", ylabel="log10 of the mean power")
    axes.legend(labelcolor=INK, framealpha=0)
    return inked(figure, axes)


def colours_chart(mean: np.ndarray, label: np.ndarray) -> Figure:
    """Mean red, green and blue (N, 3) of each class as bars."""
    figure, axes = new_figure(5.4, 3.6)
    for cls, (name, colour) in enumerate(zip(CLASSES, CLASS_COLOURS, strict=True)):
        held = mean[label == cls]
        if len(held):
            means = held.mean(0)
            places = np.arange(3) + (cls - 0.5) * 0.4
            axes.bar(places, means, 0.38, color=colour, hatch="//" if cls else None, edgecolor="white", label=name)
            for place, value in zip(places, means, strict=True):
                axes.annotate(
                    f"{value:.3f}", (place, value), (0, 3), textcoords="offset points", ha="center", color=INK
                )
    axes.set_xticks(range(3), ("red", "green", "blue"))
    axes.set(ylabel="Mean, 0 to 1", ylim=(0, axes.get_ylim()[1] * 1.12))
    axes.legend(labelcolor=INK, framealpha=0, loc="upper right", ncols=2, bbox_to_anchor=(1, 1.14))
    return inked(figure, axes)


def side_by_side(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two images (S, S, 3) uint8 as one of height SIDE, or of a multiple of S near it, with a gap of white."""
    pair = [thumbnail(image, SIDE) for image in (first, second)]
    return np.concatenate([pair[0], np.full((len(pair[0]), GAP, 3), 255, dtype=np.uint8), pair[1]], axis=1)
