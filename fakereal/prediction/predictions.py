"""predictions.csv, and how a stopped command goes on."""

import csv
import io
import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fakereal.data.store.entries import Entry
from fakereal.prediction.answers import Answer
from fakereal.runtime.errors import UserError
from fakereal.runtime.files import replace, write_json
from fakereal.runtime.text import printable

log = logging.getLogger(__name__)
HEADER = ("path", "label", "prob_fake", "prediction", "error", "far_from_training")
AS_NAMED: Any = {"newline": "", "encoding": "utf-8", "errors": "surrogateescape"}  # names of any bytes stay as they are


class Predictions:
    """predictions.csv, a row an image in their order; `counts` is of FAKE, REAL and, for those in error, "".

    It is written as the answers come, to predictions.csv.part: only a whole one has the name. If a command was stopped
    that asked the same, its answers are kept.

    Args:
        question: all that the answers depend on but the images, as JSON has it; left in predictions.json.
        batch_size: images answered at a time. Of the answers that are kept, whole batches are.
    """

    def __init__(self, folder: Path, question: dict[str, Any], batch_size: int):
        self.path, self.part = folder / "predictions.csv", folder / "predictions.csv.part"
        self.said, self.question, self.batch_size = folder / "predictions.json.part", question, batch_size
        self.counts: Counter[str] = Counter()
        self.kept: list[str] = []  # names of the images answered before

    def __enter__(self) -> "Predictions":
        rows = self._answered_before()
        self.kept = [row[0] for row in rows]
        self.counts = Counter(row[3] for row in rows)
        begun = self.part.with_name(f"{self.part.name}.begun")
        with begun.open("w", **AS_NAMED) as file:
            csv.writer(file).writerows([HEADER, *rows])
        replace(begun, self.part)  # before the question: rows of another one are never taken for answers to this
        write_json(self.said, self.question)
        if rows:
            log.info("Going on after %s images that were answered before (distances are counted from here on)",
                     f"{len(rows):,}")  # fmt: skip
        self.file = self.part.open("a", **AS_NAMED)
        self.writer = csv.writer(self.file)
        return self

    def _answered_before(self) -> list[list[str]]:
        """The rows that a stopped command left; none where there are none, or where it asked something else."""
        try:
            with self.part.open(**AS_NAMED) as file:
                text = file.read()
            header, *rows = csv.reader(io.StringIO(text, newline=""))
            same = json.loads(self.said.read_text()) == json.loads(json.dumps(self.question))
        except (OSError, ValueError, csv.Error):
            return []
        if not same or tuple(header) != HEADER:
            log.info("The answers in %s are to another question: they are asked for anew", self.part)
            return []
        if rows and not (text.endswith("\r\n") and len(rows[-1]) == len(HEADER)):
            rows.pop()  # it was cut
        return rows[: len(rows) - len(rows) % self.batch_size]

    def left(self, images: Iterable[Entry]) -> Iterator[Entry]:
        """The images that are not answered yet; UserError where those answered before were others."""
        images = iter(images)
        for row, name in enumerate(self.kept, start=1):
            entry = next(images, None)
            if entry is None or entry.name != name:
                now = "there is none" if entry is None else f"now it is {printable(entry.name)}"
                raise UserError(
                    f"{self.part} holds answers of a command that was stopped, and image {row:,} was "
                    f"{printable(name)}; {now}. Delete the file to begin anew, or give another hydra.run.dir."
                )
        yield from images

    def write(self, answers: Sequence[Answer]) -> None:
        for path, prob_fake, prediction, error, _, far in answers:
            figure = "" if error else f"{prob_fake:.7g}"
            self.writer.writerow((path, "", figure, prediction, error, " ".join(far or ())))
            self.counts[prediction] += 1
        self.file.flush()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.file.close()
        if kind is None:
            replace(self.part, self.path)
            replace(self.said, self.said.with_suffix(""))
        elif self.counts:
            goes_on = f"the same command with hydra.run.dir={printable(self.part.parent)} goes on there"
            log.warning("Stopped after %s images; their rows are in %s: %s",
                        f"{self.counts.total():,}", self.part, goes_on)  # fmt: skip
        else:
            self.part.unlink()
            self.said.unlink()
