"""What a person or a program sees of the answers while they come."""

import logging
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fakereal.prediction.answers import Answer, write_lines
from fakereal.runtime.text import printable

log = logging.getLogger(__name__)
LINES = 50  # images that a terminal shows a line each; of more it shows how far they are
NAMED = 20  # bad files named beside a bar


class Shown:
    """Lines on standard output, a bar on standard error, or both where they do not meet on one terminal."""

    def __init__(self, total: int | None, as_json: bool, doing: str = "Predicting", done: int = 0):
        self.total, self.as_json, self.done = total, as_json, done
        self.lines = as_json or not sys.stdout.isatty()
        self.bad = 0
        columns = (
            TextColumn(doing),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:,.0f} images/s"),
            TimeRemainingColumn(),
        )
        self.bar = Progress(*columns, console=Console(stderr=True), redirect_stdout=False)

    def __enter__(self) -> "Shown":
        self.begun = False
        if self.total is not None:
            self._begin(self.total)
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar.live.is_started:  # else it would end a line that there is not
            self.bar.stop()

    def _begin(self, count: int) -> None:
        """Decides what is shown of so many images."""
        self.begun, many = True, count > LINES
        self.lines = self.lines or not many
        self.task = self.bar.add_task("", total=self.total, rate=0, completed=self.done)
        if many and sys.stderr.isatty() and not (self.lines and sys.stdout.isatty()):
            self.bar.start()

    def show(self, answers: Sequence[Answer]) -> None:
        if not self.begun:
            self._begin(len(answers))
        if self.lines:
            write_lines(answers, self.as_json)
        else:
            self._name_bad([answer for answer in answers if answer.error])
        self.bar.update(self.task, advance=len(answers), rate=self.bar.tasks[0].speed or 0)

    def _name_bad(self, answers: Sequence[Answer]) -> None:
        for answer in answers[: max(0, NAMED - self.bad)]:
            log.warning("%s: %s", printable(answer.path), printable(answer.error))
        self.bad += len(answers)
