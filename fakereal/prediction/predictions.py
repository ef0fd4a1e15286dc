"""predictions.csv, and how a command that was stopped goes on."""

import csv
import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fakereal.config.shell import pasted
from fakereal.data.store.entries import Entry
from fakereal.prediction.answers import Answer
from fakereal.runtime.errors import UserError
from fakereal.runtime.files import replace, write_json
from fakereal.runtime.text import printable

log = logging.getLogger(__name__)
HEADER = ("path", "label", "prob_fake", "prediction", "error", "far_from_training")
AS_NAMED: Any = {"encoding": "utf-8", "errors": "surrogateescape"}  # names of any bytes stay as they are
SAME = ("checkpoint_digest", "tta", "threshold", "precision")  # what the answers depend on


class PredictionsFile:
    """predictions.csv, a row an image in their order; `counts` is of FAKE, REAL and, for those in error, "".

    It is written as the answers come, to predictions.csv.part: only a whole one has the name. What a command left that
    was stopped is kept, and the next one goes on after it. `kept`: how many images that are.

    Args:
        question: who is asked, and how; left in predictions.json. A command goes on if it says the SAME.
        batch_size: images answered at a time. Of the answers that are kept, whole batches are, so that the next are
            answered together as they would have been.

    Raises:
        UserError: on entering, where the answers kept are to another question, or another command writes here. Nothing
            is lost.
    """

    def __init__(self, folder: Path, question: dict[str, Any], batch_size: int):
        self.folder, self.question, self.batch_size = folder, question, batch_size
        self.path, self.part = folder / "predictions.csv", folder / "predictions.csv.part"
        self.said = folder / "predictions.json.part"
        self.lock = FileLock(folder / ".predicting.lock")
        self.counts: Counter[str] = Counter()
        self.kept = 0

    def __enter__(self) -> "PredictionsFile":
        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            remedy = "Wait for it, or give another directory."
            raise UserError(f"hydra.run.dir={self.folder}: another process is predicting there. {remedy}") from None
        try:
            self._keep()
        except BaseException:
            self.lock.release()
            raise
        self.file = self.part.open("a", newline="", **AS_NAMED)
        self.writer = csv.writer(self.file)
        if not self.kept:
            self.writer.writerow(HEADER)
        return self

    def _keep(self) -> None:
        """Cuts off what a stopped command did not write to the end, and counts the rest."""
        good, counts = 0, Counter()
        for number, (row, end) in enumerate(_rows(self.part), start=1):
            counts[row[3]] += 1
            if number % self.batch_size == 0:
                self.kept, good, self.counts = number, end, counts.copy()
        if self.kept:
            self._refuse_another_question()
            bad = f", of which {self.counts['']:,} could not be read and are not tried again" if self.counts[""] else ""
            log.info("Going on after %s images that were answered before%s", f"{self.kept:,}", bad)
        with self.part.open("ab") as file:
            file.truncate(good)
        write_json(self.said, self.question)

    def _refuse_another_question(self) -> None:
        try:
            said = json.loads(self.said.read_text())
            other = [key for key in SAME if said[key] != json.loads(json.dumps(self.question[key]))]
        except (OSError, ValueError, KeyError, TypeError):
            said, other = {}, ["question"]
        if other:
            was = ", ".join(f"{key} {said.get(key, 'not known')}" for key in other)
            now = ", ".join(f"{self.question.get(key, 'known')}" for key in other)
            self._refuse(f"{self.kept:,} answers", f"of another question: {was}; now {now}")

    def _refuse(self, what: str, why: str) -> None:
        raise UserError(
            f"{printable(self.part)} holds {what} of a command that was stopped, {why}. Delete the file to begin anew, "
            "or give another hydra.run.dir."
        )

    def left(self, images: Iterable[Entry]) -> Iterator[Entry]:
        """The images that are not answered yet; UserError where those answered before were others."""
        images = iter(images)
        for number, (row, _) in enumerate(islice(_rows(self.part), self.kept), start=1):
            entry = next(images, None)
            if entry is None or entry.name != row[0]:
                now = "there is none" if entry is None else f"it is {printable(entry.name)}"
                self._refuse("answers", f"about other images: number {number:,} was {printable(row[0])}, now {now}")
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
        elif not self.counts:
            self.part.unlink()
            self.said.unlink()
        elif not issubclass(kind, UserError):  # which says what to do
            log.warning(
                "Stopped after %s images; their rows are in %s. The same command goes on there with %s",
                f"{self.counts.total():,}", printable(self.part), pasted(f"hydra.run.dir={self.folder}"),
            )  # fmt: skip
        self.lock.release()


def _rows(path: Path) -> Iterator[tuple[list[str], int]]:
    """The rows below the header that were written whole, and where in the file each ends; none where it is not ours."""
    end, whole = 0, True

    def lines() -> Iterator[str]:
        nonlocal end, whole
        with path.open("rb") as file:
            for line in file:
                end, whole = end + len(line), line.endswith(b"\r\n")
                yield line.decode(**AS_NAMED)

    try:
        reader = csv.reader(lines())
        if tuple(next(reader, ())) != HEADER:
            return
        for row in reader:
            if len(row) != len(HEADER) or not whole:
                return
            yield row, end
    except (FileNotFoundError, csv.Error):
        return
