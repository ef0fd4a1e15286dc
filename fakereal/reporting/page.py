"""One content, two forms: report.html with its figures inside, report.md with PNG files beside it."""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fakereal import CLASSES
from fakereal.reporting.charts import INK
from fakereal.reporting.content import Block, Chart, Section
from fakereal.reporting.plots import save_png
from fakereal.reporting.svg import inline_svg

TEMPLATES = Path(__file__).parent / "templates"


def write_pages(out: Path, title: str, headline: str, conclusion: list[Block], sections: list[Section], origin: str):
    """Writes report.html, report.md and figures/NAME.png below `out`."""
    words = {
        "title": title,
        "headline": headline,
        "conclusion": conclusion,
        "sections": sections,
        "origin": origin,
        "classes": CLASSES,
    }
    page = _environment(autoescape=True).get_template("report.html.jinja").render(words, svg=_svg)
    text = _environment(autoescape=False).get_template("report.md.jinja").render(words)
    charts = [block for section in sections for block in section.blocks if isinstance(block, Chart)]
    for chart in charts:
        (out / "figures").mkdir(exist_ok=True)
        save_png(chart.figure, out / "figures" / f"{chart.name}.png")
    (out / "report.md").write_text(re.sub(r"\n{3,}", "\n\n", text).strip() + "\n", encoding="utf-8")
    (out / "report.html").write_text(page, encoding="utf-8")


def _environment(autoescape: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["md"] = escape_markdown
    return environment


def escape_markdown(text: str) -> str:
    """Text as Markdown that reads as it is, in a table too."""
    return re.sub(r"([\\`*|<>\[\]])", r"\\\1", " ".join(text.split()))


def _svg(chart: Chart) -> Markup:
    return Markup(inline_svg(chart.figure, chart.name, chart.title, chart.description, INK))
