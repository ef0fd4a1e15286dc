"""One content, two forms: an HTML page with its figures inside, and Markdown with PNG files beside it."""

import re
import time
from functools import partial
from pathlib import Path

from markupsafe import Markup
from PIL import Image

import fakereal
from fakereal import CLASSES
from fakereal.presentation.content import Block, Chart, Pictures, Section, Tiles
from fakereal.presentation.ink import INK
from fakereal.presentation.plots import save_png
from fakereal.presentation.rendering import templates_of
from fakereal.presentation.svg import inline_svg

TEMPLATES = Path(__file__).parent / "templates"


def write_pages(
    out: Path,
    title: str,
    headline: str,
    conclusion: list[Block],
    sections: list[Section],
    command: str,
    name: str | None = None,
) -> None:
    """Writes NAME.html, NAME.md and figures below `out`; NAME is that of the command unless given."""
    name = name or command
    words = {
        "title": title,
        "headline": headline,
        "conclusion": conclusion,
        "sections": sections,
        "origin": f"Made by fakereal {fakereal.__version__} {command} on {time.strftime('%Y-%m-%d %H:%M')}.",
        "classes": CLASSES,
    }
    page = templates_of(TEMPLATES, autoescape=True).get_template("page.html.jinja").render(words, svg=_svg)
    text = templates_of(TEMPLATES, autoescape=False).get_template("page.md.jinja").render(words)
    for block in (block for section in sections for block in section.blocks):
        if isinstance(block, Chart | Pictures | Tiles):
            (out / "figures").mkdir(exist_ok=True)
        if isinstance(block, Chart):
            save_png(block.figure, out / "figures" / f"{block.name}.png")
        elif isinstance(block, Tiles):
            Image.fromarray(block.whole.pixels).save(out / "figures" / f"{block.name}.png")
        elif isinstance(block, Pictures):
            for number, picture in enumerate(block.pictures, start=1):
                Image.fromarray(picture.pixels).save(out / "figures" / f"{block.name}_{number}.png")
    # A path on Linux may hold bytes that are no text: they are shown escaped.
    write = partial(Path.write_text, encoding="utf-8", errors="backslashreplace")
    write(out / f"{name}.md", re.sub(r"\n{3,}", "\n\n", text).strip() + "\n")
    write(out / f"{name}.html", page)


def _svg(chart: Chart) -> Markup:
    return Markup(inline_svg(chart.figure, chart.name, chart.title, chart.description, INK))
