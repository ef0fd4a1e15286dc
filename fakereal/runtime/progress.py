"""How far long work is: a bar on a terminal, a line now and then in a log."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich import progress as rich_progress
from rich.console import Console

log = logging.getLogger(__name__)


@contextmanager
def progress(name: str, done: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """A function that is to be told the number of bytes of each chunk.

    Args:
        done: bytes that are there already, of an earlier transfer.
        total: bytes of the whole; None where it is not known.
    """
    if not sys.stderr.isatty():
        yield _log_lines(name, done, total)
        return
    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.DownloadColumn(),
        rich_progress.TransferSpeedColumn(),
        rich_progress.TimeRemainingColumn(),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, completed=done, total=total)
        yield lambda size: bar.advance(task, size)


def _log_lines(name: str, done: int, total: int | None) -> Callable[[int], None]:
    """One line for each tenth, or for each 10 MB where the total is not known."""
    start, begun = done, time.monotonic()
    step = total / 10 if total else 10e6
    end = total or float("inf")
    due = min((done // step + 1) * step, end)

    def advance(size: int) -> None:
        nonlocal done, due
        done += size
        if done < due:
            return
        due = min((done // step + 1) * step, end)
        rate = (done - start) / max(time.monotonic() - begun, 1e-3)
        if total:
            left = (total - done) / rate
            log.info("%s: %.0f%% of %.1f MB, %.1f MB/s, %.0f s left",
                     name, 100 * done / total, total / 1e6, rate / 1e6, left)  # fmt: skip
        else:
            log.info("%s: %.1f MB, %.1f MB/s", name, done / 1e6, rate / 1e6)

    return advance


class Counted(Protocol):
    """Work that says how much of it is done, in a unit of its own."""

    done: int
    total: int


@contextmanager
def share_done(title: str, work: Counted, count: int = 0) -> Iterator[Callable[..., None]]:
    """A function to be called whenever the work got on by one image, or so many: shows its share, rate and time left.

    `count`: images that were done before.
    """
    terminal, shown = sys.stderr.isatty(), time.monotonic()
    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.TaskProgressColumn(show_speed=True),
        rich_progress.TextColumn("{task.fields[count]:,} images"),
        rich_progress.TimeRemainingColumn(),
    )
    bar = rich_progress.Progress(*columns, console=Console(stderr=True), disable=not terminal)
    with bar:
        task = bar.add_task(title, total=work.total, count=count)

        def advance(images: int = 1) -> None:
            nonlocal shown, count
            count += images
            if (now := time.monotonic()) - shown > (0.1 if terminal else 10):
                shown = now
                bar.update(task, completed=work.done, total=work.total, count=count)
                if not terminal:
                    log.info("%s: %.0f%%, %s images", title, 100 * work.done / max(work.total, 1), f"{count:,}")

        yield advance


@contextmanager
def bar(title: str, total: float) -> Iterator[Callable[[float], None]]:
    """A function that is told how much more of `total` is done; a terminal shows it with the remaining time."""
    with rich_progress.Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as shown:
        task = shown.add_task(title, total=total)
        yield lambda done: shown.advance(task, done)
