"""What cheap features alone achieve, from an audit of the runs' data, beside the runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakereal.runs.commands import audit_command
from fakereal.runs.folders import Unusable, expand, read_json, require, results_below
from fakereal.runs.image_digests import ImageDigests
from fakereal.runs.trained import LeftOut, Run

FIGURES = tuple(f"{name}{end}" for name in ("accuracy", "auroc") for end in ("", "_low", "_high"))
REQUIRED = tuple(f"val/{name}" for name in ("images", "loss", *FIGURES))


@dataclass
class Baselines:
    """Figures by name, best on validation first, with `title`; None where no audit of these images has them."""

    folder: Path | None
    figures: dict[str, dict[str, Any]]
    command: str  # which measures them

    @property
    def images(self) -> int:
        """How many validation images they rest on."""
        return next(iter(self.figures.values()))["val/images"]


def read_baselines(audits: Any, runs: list[Run]) -> tuple[Baselines, list[LeftOut]]:
    """Those of the newest audit of the images that the runs were trained on, below `audits`."""
    roots, _ = expand(audits or [])
    folders = {folder.resolve(): folder for folder in (*roots, *results_below(roots))}.values()
    left_out, found = [], []
    for folder in folders:
        path = folder / "audit.json"
        if not path.is_file():
            continue
        try:
            said = read_json(path)
            if _of_the_same(said, runs[0]):
                found.append((path.stat().st_mtime, folder, _figures(said)))
        except Unusable as reason:
            left_out.append(LeftOut(str(folder), f"an audit: {reason}"))
    command = audit_command(runs[0].folder)
    if not found:
        return Baselines(None, {}, command), left_out
    _, folder, figures = max(found, key=lambda item: item[0])
    ordered = sorted(figures.items(), key=lambda item: -item[1]["val/accuracy"])
    return Baselines(folder, dict(ordered), command), left_out


def _of_the_same(said: dict[str, Any], run: Run) -> bool:
    data = said.get("data")
    return isinstance(data, dict) and "digest" in data and ImageDigests.of_provenance(data).same_as(run.images)


def _figures(said: dict[str, Any]) -> dict[str, dict[str, Any]]:
    figures = said.get("baselines")
    if not isinstance(figures, dict) or not figures:
        raise Unusable("audit.json has no baselines: validation was too small, or it was written by an earlier version")
    for name, one in figures.items():
        if not isinstance(one, dict) or not isinstance(one.get("title"), str):
            raise Unusable(f"audit.json says nothing about the baseline {name}")
        tested = tuple(f"test/{figure}" for figure in FIGURES) if "test/accuracy" in one else ()
        require(one, (*REQUIRED, *tested), (), of="audit.json")
    return figures
