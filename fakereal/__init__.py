"""Train, sweep and test classifiers that tell real images from AI-generated ones."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from fakereal.prediction.detector import Detector

__version__ = "0.1.0"

# The index of a class is its label. FAKE is the positive class: the one logit is the log-odds of FAKE.
CLASSES = ("REAL", "FAKE")
REVIEW = "An answer supports human review; it does not replace it."


def load(
    ckpt_path: "str | PathLike | Sequence[str | PathLike]",
    *,
    accelerator: str = "auto",
    precision: str | None = None,
    tta: str | None = None,
    threshold: float | None = None,
    threads: int | None = None,
) -> "Detector":
    """A trained classifier, or several, to ask about images: `fakereal.load("best.ckpt").predict(images)`.

    See `fakereal.prediction.detector.Detector`, which takes the same.
    """
    from fakereal.prediction.detector import Detector  # imports torch: commands import this package first

    return Detector(
        ckpt_path, accelerator=accelerator, precision=precision, tta=tta, threshold=threshold, threads=threads
    )
