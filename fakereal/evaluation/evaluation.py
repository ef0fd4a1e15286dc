"""All figures of a set of predictions: one place for every command that has some."""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fakereal import CLASSES
from fakereal.evaluation.calibration import (
    EPSILON,
    calibration_error_by_chance,
    calibration_error_of_counts,
    called_fake,
    log_losses,
    precision_at,
    squared_errors,
)
from fakereal.evaluation.intervals import TAIL, bootstrap, named, of_mean, of_two_rates, wilson
from fakereal.evaluation.ranking import (
    auroc_with_interval,
    average_precision_with_interval,
    fpr_at_tpr,
    values_and_ranks,
)

PREVALENCES = (0.1, 0.01)  # of FAKE among what a detector meets; in most test splits it is one half


@dataclass
class Evaluation:
    """Probabilities of FAKE (N,), labels (N,) of 0 and 1, and the threshold that turns one into the other.

    ValueError for other labels, for what is no probability (logits, nan), and without any image.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    threshold: float

    def __post_init__(self) -> None:
        self.labels, self.probabilities = np.asarray(self.labels), np.asarray(self.probabilities)
        shapes = self.labels.shape, self.probabilities.shape
        if len(set(shapes)) > 1 or self.labels.ndim != 1 or not len(self.labels):
            raise ValueError(f"labels and probabilities must be (N,) with N > 0, not {shapes[0]} and {shapes[1]}")
        if not np.isin(self.labels, (0, 1)).all():
            raise ValueError(f"labels must be 0 (REAL) or 1 (FAKE), not {np.unique(self.labels)[:5]}")
        if not ((self.probabilities >= 0) & (self.probabilities <= 1)).all():  # nan is neither
            raise ValueError("probabilities must lie in [0, 1]: of logits, give sigmoid(logits)")

    @functools.cached_property
    def predictions(self) -> np.ndarray:
        return called_fake(self.probabilities, self.threshold).astype(np.int64)

    @property
    def both(self) -> bool:
        """Whether there are images of both classes; of one alone neither ranking nor precision is defined."""
        return 0 < int(self.labels.sum()) < len(self.labels)

    def confusion(self) -> np.ndarray:
        """Counts (2, 2): rows are true classes, columns predicted ones, in the order REAL, FAKE."""
        counts = np.zeros((2, 2), dtype=np.int64)
        np.add.at(counts, (self.labels.astype(int), self.predictions), 1)
        return counts

    def per_class(self) -> list[dict[str, Any]]:
        """Precision and recall with Wilson intervals, F1 with one of both rates, and support, for each class.

        None is what is not defined: recall of a class without images, precision of one that no image was called,
        and all but recall where `both` is False.
        """
        counts = self.confusion()
        rows = []
        for label, cls in enumerate(CLASSES):
            right, said, there = counts[label, label], counts[:, label].sum(), counts[label].sum()
            f1, f1_interval = self.f1(label) if self.both else (None, None)
            rows.append(
                {
                    "class": cls,
                    "precision": right / said if said and self.both else None,
                    "precision_interval": wilson(right, said),
                    "recall": right / there if there else None,
                    "recall_interval": wilson(right, there),
                    "f1": f1,
                    "f1_interval": f1_interval,
                    "support": int(there),
                }
            )
        return rows

    def accuracy(self, mask: np.ndarray | None = None) -> tuple[float, tuple[float, float], int]:
        """Share of right predictions, its Wilson interval and N; of the images in the mask (N,) where given."""
        right = self.predictions == self.labels
        right = right if mask is None else right[mask]
        return float(right.mean()), wilson(int(right.sum()), len(right)), len(right)

    @functools.cached_property
    def _ranked(self) -> tuple[np.ndarray, np.ndarray]:
        return values_and_ranks(self.probabilities)

    def log_loss(self) -> tuple[float, tuple[float, float]]:
        """Mean negative log-likelihood, in nats, with Student's interval."""
        return of_mean(self.labels, log_losses(self.labels, self.probabilities), most=-math.log(EPSILON))

    def calibration_error(self) -> tuple[float, tuple[float, float]]:
        """Expected calibration error over bins of equal mass, with its bootstrap interval.

        This begins at 0 where perfectly calibrated probabilities may have as large an error by chance.
        """
        values, ranks = self._ranked
        values = values.astype(np.float64)
        figure = functools.partial(calibration_error_of_counts, values)
        value, (low, high) = bootstrap(figure, self.labels, ranks, biased=True)
        if low and value <= calibration_error_by_chance(values, ranks, 1 - TAIL):
            low = 0.0
        return value, (low, high)

    def brier(self) -> tuple[float, tuple[float, float]]:
        """Brier score with Student's interval."""
        return of_mean(self.labels, squared_errors(self.labels, self.probabilities), most=1.0)

    def fpr_at_95_tpr(self) -> tuple[float, tuple[float, float]]:
        """Share of REAL called FAKE where 95% of FAKE are found; the wider of its bootstrap and Wilson intervals."""
        real = int((self.labels == 0).sum())
        value, (low, high) = bootstrap(fpr_at_tpr, self.labels, self._ranked[1])
        least, most = wilson(round(value * real), real)
        return value, (min(low, least), max(high, most))

    def precision_at(self, prevalence: float) -> tuple[float, tuple[float, float]]:
        """Precision of FAKE where `prevalence` of all images are FAKE, with an interval of both rates."""
        (tn, fp), (fn, tp) = self.confusion().tolist()

        def precision(found: np.ndarray, alarms: np.ndarray) -> np.ndarray:
            return precision_at(prevalence, found, alarms)

        return of_two_rates(precision, (tp, tp + fn), (fp, fp + tn))

    def f1(self, label: int) -> tuple[float, tuple[float, float]]:
        """F1 of a class (harmonic mean of precision and recall), with an interval of both classes' rates."""
        counts = self.confusion()
        there, others = counts[label].sum(), counts[1 - label].sum()
        right, wrong = counts[label, label], counts[1 - label, label]

        def f1(recall: np.ndarray, alarms: np.ndarray) -> np.ndarray:
            return 2 * there * recall / (there * (1 + recall) + others * alarms)

        return of_two_rates(f1, (right, there), (wrong, others))

    def auroc(self) -> tuple[float, tuple[float, float]]:
        """Area under the ROC curve with its score interval (Newcombe 2006)."""
        return auroc_with_interval(self.labels, self.probabilities)

    def average_precision(self) -> tuple[float, tuple[float, float]]:
        """Average precision of FAKE with its interval."""
        return average_precision_with_interval(self.labels, self.probabilities)

    def curves(self) -> dict[str, np.ndarray]:
        """`fpr` and `tpr` of the ROC curve, `precision` and `recall` of the precision-recall curve."""
        import torch  # here: reports import this module, and have no need of torch
        from torchmetrics.functional.classification import binary_precision_recall_curve, binary_roc

        p, y = torch.from_numpy(self.probabilities), torch.from_numpy(self.labels.astype(np.int64))
        fpr, tpr, _ = binary_roc(p, y)
        precision, recall, _ = binary_precision_recall_curve(p, y)
        return {
            name: value.numpy() for name, value in dict(fpr=fpr, tpr=tpr, precision=precision, recall=recall).items()
        }

    def flat(self, prefix: str) -> dict[str, Any]:
        """Everything by name, intervals as NAME_low and NAME_high; None, without interval, where not defined."""
        figures: dict[str, Any] = {f"{prefix}images": len(self.labels), f"{prefix}threshold": self.threshold}

        def add(name: str, value: float | None, interval: tuple[float, float] = (0.0, 1.0)) -> None:
            figures.update({prefix + name: None} if value is None else named(prefix + name, value, interval))

        value, interval, _ = self.accuracy()
        add("accuracy", value, interval)
        for row in self.per_class():
            cls = row["class"].lower()
            add(f"precision_{cls}", row["precision"], row["precision_interval"])
            add(f"recall_{cls}", row["recall"], row["recall_interval"])
            add(f"f1_{cls}", row["f1"], row["f1_interval"])
        undefined = (None,)
        add("auroc", *(self.auroc() if self.both else undefined))
        add("average_precision", *(self.average_precision() if self.both else undefined))
        add("loss", *self.log_loss())
        add("ece", *self.calibration_error())
        add("brier", *self.brier())
        add("fpr_at_95_tpr", *(self.fpr_at_95_tpr() if self.both else undefined))
        for prevalence in PREVALENCES:
            defined = self.both and self.predictions.any()
            add(f"precision_fake_at_{prevalence:g}", *(self.precision_at(prevalence) if defined else undefined))
        (tn, fp), (fn, tp) = self.confusion().tolist()
        return figures | {f"{prefix}{name}": n for name, n in dict(tn=tn, fp=fp, fn=fn, tp=tp).items()}
