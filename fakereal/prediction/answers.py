"""What is said about each image, and the line about it."""

import json
import math
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from fakereal import CLASSES
from fakereal.evaluation.calibration import called_fake
from fakereal.runtime.text import printable

WIDTH = 60  # names up to it are padded, so that the answers stand below each other


class Answer(NamedTuple):
    """Of one image: the probability that it is FAKE, the class, FAKE from `threshold` on, or why there are none.

    `far`: in what it lies far from the training images, "size" and "content"; None where that is not known.
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
        return cls(path, probability, CLASSES[int(called_fake(probability, threshold))], threshold=threshold)

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
        said = {"path": self.path, "prediction": self.prediction, **figures, "far_from_training": self.far}
        return json.dumps(said)


def write_lines(answers: Sequence[Answer], as_json: bool) -> None:
    """A line an answer to standard output; a reader who has gone away (`| head`) ends that, not the work."""
    width = max((length for answer in answers if (length := len(printable(answer.path))) <= WIDTH), default=0)
    lines = [answer.json() if as_json else answer.line(width) for answer in answers]
    try:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
