"""Temperature and decision threshold, fitted on validation; and how well probabilities are calibrated."""

import logging
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import Field

from fakereal.config.schema import refuse_wrong_values

log = logging.getLogger(__name__)
BINS = 15
FEWEST_ALARMS = 5  # on validation, that a limit of false alarms must allow: else its threshold is that of a few images
TEMPERATURES = (0.05, 20.0)
Rate = TypeVar("Rate", float, np.ndarray)
EPSILON = 1e-7  # the negative log-likelihood of a certain mistake stays finite


@dataclass(frozen=True)
class Fitted:
    """What turns a logit into a decision: FAKE where sigmoid(logit / temperature) >= threshold."""

    temperature: float = 1.0
    threshold: float = 0.5
    rule: str = ""  # by which the threshold was chosen: that of `Calibration`, or "given"; empty: it was not
    max_fpr: float | None = None  # of the rule "fpr"


class Calibration:
    """How temperature and threshold are found, from the logits of best.ckpt on validation alone.

    Args:
        temperature: divide logits by the temperature that minimises their negative log-likelihood (Guo et al.
            2017), or leave them.
        threshold: the cut that maximises accuracy, or Youden's index (true- minus false-positive rate, Youden
            1950), or the lowest whose false-positive rate is at most `max_fpr`; or a probability.
        max_fpr: share of REAL images that may be called FAKE, for `threshold="fpr"`.
        min_images: of each class; with fewer on validation nothing is fitted.
    """

    def __init__(
        self,
        temperature: bool = True,
        threshold: Literal["accuracy", "youden", "fpr"] | Annotated[float, Field(gt=0, lt=1)] = "accuracy",
        max_fpr: Annotated[float, Field(gt=0, lt=1)] = 0.01,
        min_images: Annotated[int, Field(ge=1)] = 200,
    ):
        refuse_wrong_values(Calibration, locals())
        self.temperature, self.threshold = temperature, threshold
        self.max_fpr, self.min_images = max_fpr, min_images

    def fit(self, logits: np.ndarray, labels: np.ndarray) -> Fitted:
        """From logits (N,) and labels (N,) of 0 and 1; a log line where there are too few images.

        ValueError for logits that are no numbers.
        """
        if not np.isfinite(logits).all():
            raise ValueError("logits must be finite numbers")
        chosen = isinstance(self.threshold, float)
        given, rule = (self.threshold, "given") if chosen else (0.5, "")
        fewest = int(min((labels == 0).sum(), (labels == 1).sum()))
        if fewest < self.min_images:
            asked = f", and calibration.threshold={self.threshold} is not in force" if self.threshold == "fpr" else ""
            log.warning(
                "Not calibrated: validation has %d images of a class, fewer than calibration.min_images=%d; "
                "probabilities are left unchanged, the threshold is %g%s",
                *(fewest, self.min_images, given, asked),
            )
            return Fitted(threshold=given, rule=rule)
        temperature = fit_temperature(logits, labels) if self.temperature else 1.0
        if not isinstance(self.threshold, str):
            return Fitted(temperature, given, rule)
        probabilities = sigmoid(logits / temperature)
        threshold = choose_threshold(probabilities, labels, self.threshold, self.max_fpr)
        if self.threshold == "fpr":
            self._tell_limit(probabilities[labels == 0], threshold)
        return Fitted(temperature, threshold, self.threshold, self.max_fpr if self.threshold == "fpr" else None)

    def _tell_limit(self, real: np.ndarray, threshold: float) -> None:
        """Warns where validation's REAL images (R,) cannot show that a limit of false alarms is kept, or it is not."""
        if (allowed := self.max_fpr * len(real)) < FEWEST_ALARMS:
            log.warning(
                "calibration.max_fpr=%g of validation's %d REAL images are %.1f false alarms, fewer than %d: the "
                "threshold is that of a few images, and on others the rate may be several times as high",
                *(self.max_fpr, len(real), allowed, FEWEST_ALARMS),
            )
        if (rate := float(called_fake(real, threshold).mean())) > self.max_fpr:
            log.warning(
                "No threshold keeps calibration.max_fpr=%g on validation: %.2f%% of REAL images have the highest "
                "probability of all, %.4g. The threshold is that",
                *(self.max_fpr, 100 * rate, threshold),
            )


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits, in float64."""
    from scipy.special import expit

    return expit(np.asarray(logits, dtype=np.float64))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The divisor of the logits (N,) with the least negative log-likelihood, between 0.05 and 20.

    Of labels (N,) that are as sure as so many images can make them, (n + 1) / (n + 2) instead of 1 (Platt 1999): where
    no image is wrong, the likelihood of the labels themselves would ask for endless certainty.
    """
    from scipy.optimize import minimize_scalar

    logits = np.asarray(logits, dtype=np.float64)
    fake, real = (labels == 1).sum(), (labels == 0).sum()
    target = np.where(labels == 1, (fake + 1) / (fake + 2), 1 / (real + 2))

    def loss(log_temperature: float) -> float:
        scaled = logits * np.exp(-log_temperature)
        return float((np.logaddexp(0, scaled) - target * scaled).mean())

    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def called_fake(probabilities: np.ndarray | float, threshold: float) -> np.ndarray:
    """Whether images with these probabilities are called FAKE: in float32, as networks answer, by all commands."""
    return np.asarray(probabilities, np.float32) >= np.float32(threshold)


def choose_threshold(
    probabilities: np.ndarray,
    labels: np.ndarray,
    rule: Literal["accuracy", "youden", "fpr"],
    max_fpr: float = 0.01,
) -> float:
    """The threshold of probabilities (N,) that a rule of `Calibration` asks for; of equals that closest to 0.5.

    It lies midway between two probabilities that are neighbours in float32, or is the upper one.
    """
    probabilities = probabilities.astype(np.float32)
    edges = np.concatenate(([0.0], np.unique(probabilities), [1.0]), dtype=np.float32)
    cuts = (edges[:-1] + edges[1:]) / 2
    cuts = np.where(cuts > edges[:-1], cuts, edges[1:])  # nothing lies between the closest two
    false_positive, true_positive = (_share_from(probabilities[labels == label], cuts) for label in (0, 1))
    if rule == "fpr":
        allowed = false_positive <= max_fpr
        # Cuts ascend: the first is the lowest. None may be: no cut lies above a probability of 1.
        return float(cuts[np.argmax(allowed)] if allowed.any() else cuts[-1])
    real, fake = ((labels == 0).mean(), (labels == 1).mean()) if rule == "accuracy" else (0.5, 0.5)
    score = fake * true_positive - real * false_positive
    best = cuts[np.isclose(score, score.max(), rtol=0, atol=0.5 / len(labels) / len(labels))]
    return float(best[np.argmin(np.abs(best - 0.5))])


def _share_from(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Share of the values that are at least each cut."""
    return (len(values) - np.searchsorted(np.sort(values), cuts, "left")) / len(values)  # 1 - 0.99 is more than 0.01


def log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Negative log-likelihood (N,) in nats, of labels (N,) under probabilities (N,) of FAKE."""
    p = np.clip(probabilities.astype(np.float64), EPSILON, 1 - EPSILON)
    return -np.where(labels == 1, np.log(p), np.log1p(-p))


def squared_errors(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Squared errors (N,) of probabilities (N,) of FAKE: their mean is the Brier score (Brier 1950)."""
    return np.square(probabilities.astype(np.float64) - labels)


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> tuple[np.ndarray, ...]:
    """Of bins of equal mass: mean probability, share of FAKE, and count, each (bins,)."""
    place = np.unique(probabilities, return_inverse=True)[1]
    # Of images of one probability each counts as their share: which of them a bin ends at says nothing.
    shares = (np.bincount(place, labels) / np.bincount(place))[place]
    order = np.argsort(place, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    said = np.array([probabilities[part].mean(dtype=np.float64) for part in parts])
    were = np.array([shares[part].mean() for part in parts])
    return said, were, np.array([len(part) for part in parts])


def calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error over 15 bins of equal mass (Nguyen & O'Connor 2015).

    Chance alone makes it larger than 0: for perfect probabilities that are spread widely, about 0.02 with 2,000 images.
    """
    said, were, counts = reliability(labels, probabilities)
    return float(np.average(np.abs(said - were), weights=counts))


def calibration_error_of_counts(values: np.ndarray, real: np.ndarray, fake: np.ndarray, bins: int = BINS) -> float:
    """`calibration_error` of the different probabilities (R,), ascending, and the images of each label that have them.

    Without sorting, for resamples.
    """
    counts = real + fake
    until = np.cumsum(counts)
    most, longer = divmod(int(until[-1]), bins)
    edges = np.arange(bins + 1) * most + np.minimum(np.arange(bins + 1), longer)  # as np.array_split has them
    place = np.searchsorted(until, edges, "left")
    within = edges - (until[place] - counts[place])  # of the images of one probability, how many lie before the edge

    def sums(each: np.ndarray) -> np.ndarray:
        """Of the bins, where a rank's images have `each` together: they count as their share."""
        before = np.cumsum(each)[place] - each[place]
        return np.diff(before + each[place] * within / np.maximum(counts[place], 1))

    return float(np.abs(sums(counts * values) - sums(fake)).sum() / until[-1])


def precision_at(prevalence: float, true_positive_rate: Rate, false_positive_rate: Rate) -> Rate:
    """Share of FAKE among the images called FAKE, where `prevalence` of all are FAKE; 0 where none is called so."""
    right = prevalence * true_positive_rate
    called = right + (1 - prevalence) * false_positive_rate
    return right / np.maximum(called, np.finfo(np.float64).tiny)


def calibration_error_by_chance(
    values: np.ndarray, ranks: np.ndarray, quantile: float, *, draws: int = 200, seed: int = 0
) -> float:
    """The quantile of the calibration error where probabilities are right: labels are drawn from them.

    Consistency resampling (Bröcker & Smith 2007). values (R,): the different probabilities, ascending; ranks (N,): of
    which of them each image is.
    """
    generator, probabilities = np.random.default_rng(seed), values[ranks].astype(np.float32)
    counts = np.bincount(ranks, minlength=len(values))

    def error() -> float:
        fake = generator.random(len(ranks), np.float32) < probabilities
        drawn = np.bincount(ranks[fake], minlength=len(values))
        return calibration_error_of_counts(values, counts - drawn, drawn)

    return float(np.quantile([error() for _ in range(draws)], quantile))
