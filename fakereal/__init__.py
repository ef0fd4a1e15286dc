"""Train, sweep and test classifiers that tell real images from AI-generated ones."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fakereal.prediction.detector import Detector

__version__ = "0.1.0"

# The index of a class is its label. FAKE is the positive class: the one logit is the log-odds of FAKE.
CLASSES = ("REAL", "FAKE")


def load(ckpt_path: Any, **options: Any) -> "Detector":
    """A trained classifier, or several, to ask about images: `fakereal.load("best.ckpt").predict(images)`.

    See `fakereal.prediction.detector.Detector`, which takes the options.
    """
    from fakereal.prediction.detector import Detector  # imports torch: commands import this package first

    return Detector(ckpt_path, **options)
