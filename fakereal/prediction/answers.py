"""What is said about each image: a line, a row of predictions.csv, and the counts of all."""

import csv
import json
import logging
import math
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fakereal import CLASSES
from fakereal.runtime.files import replace
from fakereal.runtime.text import printable

log = logging.getLogger(__name__)
HEADER = ("path", "label", "prob_fake", "prediction", "error", "far_from_training")
WIDTH = 60  # names up to it are padded, so that the answers stand below each other


class Answer(NamedTuple):
    """Of one image: the probability that it is FAKE, the class, FAKE from `threshold` on, or why there are none.

    `far`: in what it lies far from the training images, "size" and "content"; None where nobody measured that.
    """

    path: str
    prob_fake: float = math.nan
    prediction: str = ""
    error: str = ""
    threshold: float = math.nan
    far: tuple[str, ...] | None = None

    @classmethod
    def of(cls, path: str, probability: float, threshold: float) -> "Answer":
        """FAKE from the threshold on, as in a test."""
        if math.isnan(probability):  # not REAL, though it is below any threshold
            return cls(path, error="the network gave no number (nan)")
        return cls(path, probability, CLASSES[int(probability >= threshold)], threshold=threshold)

    def line(self, width: int) -> str:
        """For people: the name, padded to `width`, and the answer."""
        said = f"ERROR {printable(self.error)}" if self.error else f"{self.prediction:4} {self.prob_fake:.4f}"
        said += f"  far from training in {' and '.join(self.far)}" if self.far else ""
        return f"{printable(self.path):{width}}  {said}"

    def json(self) -> str:
        """For programs: `path` with `prediction`, `prob_fake`, `threshold` and `far_from_training`, or with `error`."""
        if self.error:
            return json.dumps({"path": self.path, "error": self.error})
        known = {"prob_fake": self.prob_fake, "threshold": self.threshold}
        figures = {name: float(f"{value:.7g}") for name, value in known.items() if not math.isnan(value)}
        far = {} if self.far is None else {"far_from_training": self.far}
        return json.dumps({"path": self.path, "prediction": self.prediction, **figures, **far})


class Predictions:
    """predictions.csv, a row an image in their order; `counts` is of FAKE, REAL and, for those in error, "".

    It is written as the answers come, to predictions.csv.part: only a whole one has the name.
    """

    def __init__(self, folder: Path):
        self.path, self.part = folder / "predictions.csv", folder / "predictions.csv.part"
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> "Predictions":
        # newline and surrogateescape: a name of any bytes comes out as it is
        self.file = self.part.open("w", newline="", encoding="utf-8", errors="surrogateescape")
        self.writer = csv.writer(self.file)
        self.writer.writerow(HEADER)
        return self

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
        elif self.counts:
            log.warning("Stopped after %s images; their rows are in %s", f"{self.counts.total():,}", self.part)
        else:
            self.part.unlink()


def write_lines(answers: Sequence[Answer], as_json: bool) -> None:
    """A line an answer to standard output; a reader who has gone away (`| head`) ends that, not the work."""
    width = max((length for answer in answers if (length := len(printable(answer.path))) <= WIDTH), default=0)
    lines = [answer.json() if as_json else answer.line(width) for answer in answers]
    try:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
