"""What is cheap: majority, colours, power spectrum and facts of the file alone, judged as a network is."""

from typing import Any

import numpy as np

from fakereal.auditing.features import FILE, PIXEL
from fakereal.auditing.logistic import Classifier, fit_logistic
from fakereal.evaluation.calibration import sigmoid
from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.intervals import named
from fakereal.runs.image_digests import ImageDigests
from fakereal.runs.ledger import FIGURES

MAJORITY = "majority"
TITLES = {MAJORITY: "the commoner class", **PIXEL, "file": FILE["file"]}
DIGEST = "baselines"  # in the ledger, in place of a checkpoint's


def baselines(
    features: dict[str, np.ndarray],
    classifiers: dict[str, Classifier],
    labels: np.ndarray,
    splits: dict[str, np.ndarray],
) -> dict[str, dict[str, Any]]:
    """By name: title, parameters, and SPLIT/FIGURE of each split's rows, with intervals, as a network's.

    features (N, F) and labels (N,) of all images; the classifiers were fitted on the rows of `train`, as the one of the
    commoner class is here. FAKE from even odds on: nothing is selected, neither a threshold nor a feature.
    """
    majority = {MAJORITY: np.zeros((len(labels), 1), np.float32)}
    fitted = {MAJORITY: fit_logistic(majority[MAJORITY][splits["train"]], labels[splits["train"]]), **classifiers}
    found = {}
    for name, title in TITLES.items():
        if name not in fitted:
            continue  # generated images have no files
        values = (features | majority)[name]
        found[name] = {"title": title, "parameters": 1 if name == MAJORITY else values.shape[1] + 1}
        for split, rows in splits.items():
            if split == "train":
                continue
            log_odds = fitted[name](values[rows])
            evaluation = Evaluation(labels[rows].astype(np.float32), sigmoid(log_odds).astype(np.float32), 0.5)
            found[name] |= _figures(evaluation, f"{split}/")
    return found


def _figures(evaluation: Evaluation, prefix: str) -> dict[str, Any]:
    *accuracy, images = evaluation.accuracy()
    with_interval = {"accuracy": accuracy, "auroc": evaluation.auroc(), "loss": evaluation.log_loss()}
    figures: dict[str, Any] = {f"{prefix}images": images}
    for name, (value, interval) in with_interval.items():
        figures |= named(prefix + name, value, interval)
    return figures


def look(found: dict[str, dict[str, Any]], images: ImageDigests) -> dict[str, Any]:
    """What the ledger is told of a look at test: by the figures of validation's best, where there is one."""
    best = max(found.values(), key=lambda figures: figures["val/accuracy"], default={"title": "shortcuts alone"})
    said = {"checkpoint": f"baseline: {best['title']}", "checkpoint_digest": DIGEST, **images.named()}
    return said | {name: best[name] for name in FIGURES if name in best}
