"""What a sweep leaves beside its jobs: its table, current after each job, and printed when the command ends."""

import atexit
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from fakereal.config.ranks import rank
from fakereal.runs.outcome import Unfinished, failed_before, forget_failure, record_failure
from fakereal.sweeps.table import as_text, read_jobs, tabulate, without_intervals, write_tables

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


WIDE = 10_000  # characters, more than any table has


class SweepResults(Callback):
    """Hydra's callback around the jobs of a multirun; in a single run it does nothing."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        # Hydra raises after the last job if one failed, and then on_multirun_end is not called.
        if rank():
            return
        monitor = str(config.get("monitor", "val/accuracy"))
        atexit.register(show_results, Path(config.hydra.sweep.dir), monitor, time.time())

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        if config.hydra.mode != RunMode.MULTIRUN or rank():
            return
        folder = Path(config.hydra.runtime.output_dir)
        if job_return.status == JobStatus.FAILED:
            record_failure(folder, job_return._return_value)
        elif job_return._return_value == job_return._return_value:  # not nan: left to another process
            forget_failure(folder)
        write_tables(Path(config.hydra.sweep.dir), str(config.get("monitor", "val/accuracy")))


def show_results(sweep: Path, monitor: str, began: float) -> None:
    """Prints the sweep's table when the command ends, and names the jobs that failed since it `began`."""
    if not any(sweep.glob("*/.hydra")):
        return
    write_tables(sweep, monitor)  # a job that was killed right at its end has not, and is launched no more
    from rich.console import Console

    jobs = read_jobs(sweep)
    # A pipe has no width: nothing is folded for it.
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else WIDE)
    console.print(f"Sweep by {monitor}")  # not as the table's title, which would be folded to its width
    console.print(_fitting(*tabulate(jobs, monitor), monitor, console))
    console.print(f"Results: {sweep / 'results.csv'}")
    earlier = []
    for job in jobs:
        if not job.problem or job.pruned:
            continue
        if failed_before(sweep / job.name, began):
            earlier.append(job.name)
            continue
        chosen = " ".join(f"{key}={value}" for key, value in job.overrides.items())
        said = "is not finished" if isinstance(job.problem, Unfinished) else f"failed: {job.problem}"
        console.print(f"Job {job.name} ({chosen}) {said}", style="red")
    if earlier:
        told = f"Failed in an earlier command, and not retried by this one: {', '.join(earlier)}"
        console.print(f"{told} (results.csv says why)")


def _fitting(header: list[str], body: list[list[Any]], monitor: str, console: "Console") -> "Table":
    """The table, of which on a narrow terminal intervals and then the last columns are left out: no figure is cut."""
    for columns, lines, broken in _narrower(header, body, monitor):
        table = _table(columns, lines, broken)
        if console.measure(table, options=console.options.update_width(WIDE)).maximum <= console.width:
            break
    return table


def _narrower(header: list[str], body: list[list[Any]], monitor: str) -> Iterator[tuple[list[str], list[list], bool]]:
    """Header and body, ever narrower, and whether headings are broken."""
    yield header, body, False
    header, body = without_intervals(header, body)
    yield header, body, False
    for name in [None, *reversed(header[1:-1])]:
        if name != monitor:
            kept = [place for place, other in enumerate(header) if other != name]
            header, body = [header[place] for place in kept], [[line[place] for place in kept] for line in body]
            yield header, body, True


def _table(header: list[str], body: list[list[Any]], broken: bool) -> "Table":
    from rich.table import Table
    from rich.text import Text

    columns, lines = as_text(header, body)
    table = Table()
    for name in columns[:-1]:
        table.add_column(re.sub(r"(?<=[./_])", "\n", name) if broken else name)
    for line in lines:
        table.add_row(*(Text(cell, no_wrap=True) for cell in line[:-1]))
    return table
