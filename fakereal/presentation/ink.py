"""How charts in pages look: in the ink of the text around them, with axes and labels that stay readable."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

# Black on paper; in the page's SVG it becomes the colour of the text around it, light or dark.
INK = "#010203"


def inked(figure: Figure, axes: Axes) -> Figure:
    """The figure with all its lines and text in INK, on no ground of its own."""
    axes.tick_params(colors=INK, which="both")
    for spine in axes.spines.values():
        spine.set_color(INK)
    for text in (axes.xaxis.label, axes.yaxis.label):
        text.set_color(INK)
    axes.set_facecolor("none")
    axes.grid(color=INK, alpha=0.15)
    return figure


def logarithmic(axes: Axes) -> None:
    """Makes the horizontal axis logarithmic, with plain numbers that leave each other room."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:,.4g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


@contextmanager
def any_letters() -> Iterator[None]:
    """Within it matplotlib draws boxes for letters that no font at hand has, without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
        yield


def cut(text: str, length: int = 60) -> str:
    """A label of at most that many characters, which matplotlib draws as it is."""
    text = text.replace("$", r"\$")  # matplotlib reads a pair of $ as mathematics
    text = f" {text}" if text.startswith("_") else text  # and leaves such labels out of a legend
    return text if len(text) <= length else f"{text[: length - 3]}..."
