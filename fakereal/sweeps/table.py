"""A sweep's table, made anew from the job directories: results.csv and results.md."""

import csv
import io
import logging
import math
import re
from pathlib import Path
from typing import Any

from filelock import FileLock

from fakereal.config.monitor import mode_of
from fakereal.config.search import SEARCH_KEYS
from fakereal.runs.folders import PRUNED, Unusable, number_of, read_json, read_overrides
from fakereal.runtime.files import replace

log = logging.getLogger(__name__)
UNFINISHED = "not finished"
UNTABLED = {"ckpt_path", *SEARCH_KEYS}  # of overrides: they say how a job goes on, or is chosen
LONG = re.compile(r"-?\d\.\d{5,}(e-?\d+)?")
SHOWN = (
    "val/accuracy",
    "val/auroc",
    "val/loss",
    "epochs",
    "train_seconds",
    "images_per_second",
    "parameters",
)


def read_jobs(sweep: Path) -> list[dict[str, Any]]:
    """A row for each job directory: number, overrides, figures or error."""
    rows = []
    folders = (path.parent for path in sweep.glob("*/.hydra"))
    for folder in sorted(folders, key=lambda folder: number_of(folder.name)):
        row: dict[str, Any] = {"job": folder.name, "overrides": {}, "error": "", "metrics": {}}
        try:
            row["overrides"] = read_overrides(folder)
        except Unusable:
            row["error"] = UNFINISHED  # it begins just now, or was killed as it did
        try:
            if (folder / "error.txt").exists():  # first: a job that is run again keeps its old metrics until it trains
                row["error"] = (folder / "error.txt").read_text(encoding="utf-8", errors="replace").strip()
            elif (folder / "metrics.json").exists():
                figures = read_json(folder / "metrics.json").items()
                row["metrics"] = {name: value for name, value in figures if isinstance(value, int | float)}
            else:
                row["error"] = UNFINISHED
        except (OSError, Unusable) as reason:  # of one job; the others have their rows
            row["error"] = str(reason)
        rows.append(row)
    return rows


def tabulate(rows: list[dict[str, Any]], monitor: str) -> tuple[list[str], list[list[Any]]]:
    """Header and body: only overrides that vary, the best by the monitored metric first, failed jobs last.

    The bounds of a figure's interval are columns of their own, NAME_low and NAME_high.
    """
    keys = list(dict.fromkeys(key for row in rows for key in row["overrides"] if key.split(".")[0] not in UNTABLED))
    varied = [key for key in keys if len({row["overrides"].get(key) for row in rows}) > 1]
    named = (f"{name}{end}" for name in (monitor, *SHOWN) for end in ("", "_low", "_high"))
    figures = list(dict.fromkeys(name for name in named if any(name in row["metrics"] for row in rows)))
    sign = 1 if mode_of(monitor) == "min" else -1
    ranked = sorted(rows, key=lambda row: _last_if_none(sign * row["metrics"].get(monitor, math.nan)))
    header = ["job", *varied, *figures, "error"]
    body = [
        [row["job"], *(row["overrides"].get(key, "") for key in varied)]
        + [row["metrics"].get(figure, "") for figure in figures]
        + [row["error"].replace("\n", "; ")]
        for row in ranked
    ]
    return header, body


def _last_if_none(value: float) -> tuple[bool, float]:
    """As a key to sort by: no number is neither larger nor smaller than others."""
    return math.isnan(value), 0.0 if math.isnan(value) else value


def as_text(header: list[str], body: list[list[Any]]) -> tuple[list[str], list[list[str]]]:
    """The table for people: rounded, and an interval beside its figure."""
    columns = [name for name in header if name.removesuffix("_low").removesuffix("_high") == name]
    lines = []
    for values in (dict(zip(header, line, strict=True)) for line in body):
        if str(values["error"]).startswith(PRUNED):
            values |= {"val/accuracy": "pruned"}
        cells = []
        for name in columns:
            low, high = (values.get(f"{name}{end}", "") for end in ("_low", "_high"))
            cells.append(_cell(values[name]) + (f" ({_cell(low)} to {_cell(high)})" if low != "" else ""))
        lines.append(cells)
    return columns, lines


def without_intervals(header: list[str], body: list[list[Any]]) -> tuple[list[str], list[list[Any]]]:
    """For a narrow terminal."""
    kept = [place for place, name in enumerate(header) if not name.endswith(("_low", "_high"))]
    return [header[place] for place in kept], [[line[place] for place in kept] for line in body]


def write_results(sweep: Path, monitor: str) -> None:
    """Writes both tables; jobs that end at the same time take turns."""
    with FileLock(sweep / ".results.lock"):
        header, body = tabulate(read_jobs(sweep), monitor)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([header, *body])
        _replace(sweep / "results.csv", text.getvalue())
        columns, cells = as_text(header, body)
        lines = [columns, ["---"] * len(columns), *cells]
        _replace(sweep / "results.md", "".join(f"| {' | '.join(line)} |\n" for line in lines))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
    if LONG.fullmatch(str(value)):  # drawn by a search
        return f"{float(value):.4g}"
    return str(value).replace("|", "\\|")


def _replace(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", errors="backslashreplace")
    try:
        replace(part, path)
    except PermissionError:  # Windows, where a spreadsheet has it open
        log.warning("%s is open in another program and is left unchanged: the next job updates it", path)
        part.unlink()
