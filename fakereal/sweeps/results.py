"""A sweep's table, `results.csv` and `results.md`, made anew from the job directories after each job."""

import atexit
import csv
import io
import logging
import math
import re
import sys
from pathlib import Path
from typing import Any

from filelock import FileLock
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from fakereal.config.ranks import rank
from fakereal.config.search import SEARCH_KEYS
from fakereal.evaluation.monitor import mode_of
from fakereal.reporting.folders import PRUNED, Unusable, number_of, read_json, read_overrides
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


class SweepResults(Callback):
    """Hydra's callback around the jobs of a multirun; in a single run it does nothing."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        # Hydra raises after the last job if one failed, and then on_multirun_end is not called.
        if rank():
            return
        atexit.register(report, Path(config.hydra.sweep.dir), str(config.get("monitor", "val/accuracy")))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        if config.hydra.mode != RunMode.MULTIRUN or rank():
            return
        folder = Path(config.hydra.runtime.output_dir)
        error = folder / "error.txt"
        if job_return.status == JobStatus.FAILED:
            failure = job_return._return_value
            error.write_text(f"{type(failure).__name__}: {failure}\n", encoding="utf-8", errors="backslashreplace")
        else:
            error.unlink(missing_ok=True)
        write_results(Path(config.hydra.sweep.dir), str(config.get("monitor", "val/accuracy")))


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
        log.warning("%s is open in another program and stays as it is: the next job brings it up to date", path)
        part.unlink()


def report(sweep: Path, monitor: str) -> None:
    """Prints the sweep's table when the command ends, and names the jobs that failed."""
    if not any(sweep.glob("*/.hydra")):
        return
    write_results(sweep, monitor)  # a job that was killed right at its end has not, and is launched no more
    from rich.console import Console
    from rich.table import Table

    rows = read_jobs(sweep)
    header, body = as_text(*tabulate(rows, monitor))
    table = Table()
    for name in header[:-1]:
        table.add_column(name, overflow="fold", no_wrap=not sys.stdout.isatty())
    for line in body:
        table.add_row(*line[:-1])
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 200)
    console.print(f"Sweep by {monitor}")  # not as the table's title, which would be folded to its width
    console.print(table)
    console.print(f"Results: {sweep / 'results.csv'}")
    for row in rows:
        if row["error"] and not row["error"].startswith(PRUNED):
            chosen = " ".join(f"{key}={value}" for key, value in row["overrides"].items())
            said = "is not finished" if row["error"] == UNFINISHED else f"failed: {row['error']}"
            console.print(f"Job {row['job']} ({chosen}) {said}", style="red")
