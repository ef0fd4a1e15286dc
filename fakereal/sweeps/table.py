"""A sweep's table, made anew from the job directories: results.csv and results.md."""

import csv
import io
import logging
import math
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from fakereal.config.monitor import mode_of
from fakereal.config.search import SEARCH_KEYS
from fakereal.runs.folders import Unusable, number_of, read_overrides
from fakereal.runs.outcome import PRUNED, Failed, final_metrics
from fakereal.runtime.files import replace

log = logging.getLogger(__name__)
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


@dataclass
class Job:
    """A row of the table.

    Attributes:
        name: of its directory, a number.
        metrics: the numbers of metrics.json; empty where there is a problem.
        problem: why it has none: failed, pruned, not finished, or not to be read.
    """

    name: str
    overrides: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    problem: Unusable | None = None

    @property
    def pruned(self) -> bool:
        """Whether a search gave it up."""
        return isinstance(self.problem, Failed) and self.problem.pruned


def read_jobs(sweep: Path) -> list[Job]:
    """The jobs of a sweep, by number."""
    folders = (path.parent for path in sweep.glob("*/.hydra"))
    return [_read_job(folder) for folder in sorted(folders, key=lambda folder: number_of(folder.name))]


def _read_job(folder: Path) -> Job:
    job = Job(folder.name)
    with suppress(Unusable):  # it begins just now, or was killed as it did
        job.overrides = read_overrides(folder)
    try:
        figures = final_metrics(folder).items()
        job.metrics = {name: value for name, value in figures if isinstance(value, int | float)}
    except Unusable as problem:  # of one job; the others have their rows
        job.problem = problem
    return job


def tabulate(jobs: list[Job], monitor: str) -> tuple[list[str], list[list[Any]]]:
    """Header and body: only overrides that vary, the best by the monitored metric first, failed jobs last.

    The bounds of a figure's interval are columns of their own, NAME_low and NAME_high.
    """
    keys = list(dict.fromkeys(key for job in jobs for key in job.overrides if key.split(".")[0] not in UNTABLED))
    varied = [key for key in keys if len({job.overrides.get(key) for job in jobs}) > 1]
    named = (f"{name}{end}" for name in (monitor, *SHOWN) for end in ("", "_low", "_high"))
    figures = list(dict.fromkeys(name for name in named if any(name in job.metrics for job in jobs)))
    sign = 1 if mode_of(monitor) == "min" else -1
    ranked = sorted(jobs, key=lambda job: _last_if_none(sign * job.metrics.get(monitor, math.nan)))
    header = ["job", *varied, *figures, "error"]
    body = [
        [job.name, *(job.overrides.get(key, "") for key in varied)]
        + [job.metrics.get(figure, "") for figure in figures]
        + [str(job.problem or "").replace("\n", "; ")]
        for job in ranked
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


def write_tables(sweep: Path, monitor: str) -> None:
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
