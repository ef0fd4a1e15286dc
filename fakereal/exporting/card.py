"""The model card: what an exported classifier is, what it was measured at, and what it is not for."""

from pathlib import Path
from typing import Any

from fakereal import __version__
from fakereal.exporting.formats import Described
from fakereal.models.checkpoint import Loaded
from fakereal.prediction.about import POINTS, about, results_of, test_table
from fakereal.presentation.rendering import escape_markdown, templates_of

TEMPLATES = Path(__file__).parent / "templates"
# The table of the classifiers.
ROWS = {
    "Backbone": lambda said: escape_markdown(said["backbone"]),
    "Parameters": lambda said: f"{said['parameters']:,}",
    "Input": lambda said: f"{said['image_size']} px" + (", averaged with its mirror" if said["tta"] == "flip" else ""),
    "Temperature": lambda said: f"{said['temperature']:.4f}",
    "Threshold": lambda said: f"{said['threshold']:.4f}" + (f" ({rule_of(said)})" if said["rule"] else ""),
    "Checkpoint (SHA-256)": lambda said: f"`{said['digest'][:16]}`",
}


def write_card(
    out: Path,
    file: Path,
    members: list[Loaded],
    described: Described,
    precision: str,
    tests: str | list[str] | None,
    license: str | None,
) -> Path:
    """Writes model_card.md beside the file; in the folders `tests`, results of these checkpoints are looked for.

    `precision`: a sentence on how other commands answer in theirs; may be empty.
    """
    said = [about(member) for member in members]
    header = ["", *(str(number) for number in range(1, len(said) + 1))] if len(said) > 1 else ["", ""]
    template = templates_of(TEMPLATES, autoescape=False).get_template("model_card.md.jinja")
    page = template.render(
        file=file.name,
        described=described,
        precision=precision,
        members=said,
        points=POINTS,
        table=[header, *([name, *map(text_of, said)] for name, text_of in ROWS.items())],
        tests=[test_table(test, members) for test in results_of(members, tests)],
        license=license,
        version=__version__,
    )
    path = out / "model_card.md"
    path.write_text(page, encoding="utf-8")
    return path


def rule_of(said: dict[str, Any]) -> str:
    return f"fpr at most {said['max_fpr']:g}" if said["rule"] == "fpr" else said["rule"]
