"""Confidence intervals of figures measured on a finite test set."""

from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np

CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2


def named(name: str, value: float | None, interval: tuple[float, float] = (0.0, 1.0)) -> dict[str, float | None]:
    """NAME, NAME_low and NAME_high, as all results have them; all None where the value is."""
    low, high = (None, None) if value is None else map(float, interval)
    return {name: None if value is None else float(value), f"{name}_low": low, f"{name}_high": high}


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927); (0, 1) for no trials."""
    from scipy.stats import binomtest

    if not trials:
        return 0.0, 1.0
    interval = binomtest(successes, trials).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def auroc_interval(area: float, positives: int, negatives: int) -> tuple[float, float]:
    """The score interval of an AUROC (Newcombe 2006, part 2, method 5), sound for few images and near 0 and 1."""
    from scipy.optimize import brentq

    z, extra = NormalDist().inv_cdf(1 - TAIL), (positives + negatives) / 2 - 1

    def excess(value: float) -> float:
        spread = 1 + extra * ((1 - value) / (2 - value) + value / (1 + value))
        return (value - area) ** 2 - z * z * value * (1 - value) * spread / (positives * negatives)

    step = 1e-9  # away from the area itself, where 0 and 1 are solutions that are not meant
    low = brentq(excess, 0, area - step) if area > step else 0.0
    high = brentq(excess, area + step, 1) if area < 1 - step else 1.0
    return float(low), float(high)


def average_precision_interval(precision: float, positives: int, negatives: int) -> tuple[float, float]:
    """The score interval of an average precision, for few images and near 1, where resampling finds no errors.

    Its ends are the average precisions from which this one is as far as chance reaches: by the variance of the
    influence function where scores of both labels are normally distributed with the same spread.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtr

    z, furthest = NormalDist().inv_cdf(1 - TAIL), 8.0
    scores = np.linspace(-furthest - 6, furthest + 6, 1500)

    def expected(distance: float) -> tuple[float, float]:
        """The average precision, and its standard error, where the labels' mean scores are as far apart."""
        real, fake = (np.exp(-((scores - mean) ** 2) / 2) for mean in (0.0, distance))
        real, fake = real / real.sum(), fake / fake.sum()
        alarms, found = negatives * ndtr(-scores), positives * ndtr(distance - scores)
        called = np.maximum(alarms + found, np.finfo(float).tiny)
        precisions = found / called
        # What an image of each score adds: its own precision, and what it does to that of all FAKE ones below it.
        of_fake = precisions + np.cumsum(fake * positives * alarms / called**2)
        of_real = -np.cumsum(fake * negatives * found / called**2)
        variance = (
            fake @ (of_fake - fake @ of_fake) ** 2 / positives + real @ (of_real - real @ of_real) ** 2 / negatives
        )
        return float(fake @ precisions), float(variance**0.5)

    def end(reach: float) -> float:
        def excess(distance: float) -> float:
            mean, error = expected(distance)
            return mean - precision - reach * error

        if excess(furthest) < 0:
            return 1.0
        return expected(brentq(excess, -furthest, furthest, xtol=1e-6) if excess(-furthest) < 0 else -furthest)[0]

    return end(-z), end(z)


def bootstrap(
    figure: Callable[[np.ndarray, np.ndarray], float],
    labels: np.ndarray,
    ranks: np.ndarray,
    *,
    resamples: int = 1000,
    seed: int = 0,
    biased: bool = False,
) -> tuple[float, tuple[float, float]]:
    """figure(real, fake) with its percentile interval (Efron 1979), resampled within each class, which holds it.

    `real` and `fake` (R,): how many images of each label have each of the `ranks` (N,), whole numbers from 0: a figure
    of these counts needs no sorting. Too narrow where hardly an image decides: of a few, or of a figure that next to
    none is wrong in.

    `biased`: the figure is 0 at least and grows with noise, and by as much again with that of resampling. Of that the
    upper end is freed once. The lower is the basic interval's (Davison & Hinkley 1997), freed of both.
    """
    generator, size = np.random.default_rng(seed), int(ranks.max()) + 1
    classes = [ranks[labels == label] for label in (0, 1)]

    def drawn(own: np.ndarray) -> np.ndarray:
        return own[generator.integers(0, max(len(own), 1), len(own), np.int32)]

    value = figure(*(np.bincount(own, minlength=size) for own in classes))
    resampled = [figure(*(np.bincount(drawn(own), minlength=size) for own in classes)) for _ in range(resamples)]
    low, high = np.quantile(resampled, (TAIL, 1 - TAIL))
    if biased:
        low, high = max(0.0, 2 * value - high), high - (np.mean(resampled) - value)
    return value, (float(min(low, value)), float(max(high, value)))


def of_mean(labels: np.ndarray, values: np.ndarray, most: float) -> tuple[float, tuple[float, float]]:
    """The mean of values (N,) from 0 to `most`, and Student's interval for as many images of each label (N,)."""
    from scipy.special import stdtrit

    mean, count = float(values.mean(dtype=np.float64)), len(values)
    if count == 1:
        return mean, (0.0, most)
    classes = [own for own in (values[labels == label] for label in (0, 1)) if len(own)]
    if min(map(len, classes)) == 1:  # which has no variance of its own, and may be what the mean is made of
        classes = [values]
    variance = sum(len(own) * float(own.var(ddof=1, dtype=np.float64)) for own in classes) / count**2
    reach = float(stdtrit(count - len(classes), 1 - TAIL)) * variance**0.5
    return mean, (max(mean - reach, 0.0), max(mean, min(mean + reach, most)))


def of_two_rates(
    figure: Callable[[np.ndarray, np.ndarray], np.ndarray],
    first: tuple[int, int],
    second: tuple[int, int],
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> tuple[float, tuple[float, float]]:
    """figure(rate, rate), each rate known by (successes, trials), one trial or more, and its interval, which holds it.

    The rates are drawn from their posteriors under Jeffreys' prior (Brown, Cai & DasGupta 2001), so that a rate of 0 in
    so many images has an interval too, which resampling them would not give it.
    """
    generator = np.random.default_rng(seed)
    drawn = (generator.beta(wins + 0.5, trials - wins + 0.5, draws) for wins, trials in (first, second))
    low, high = np.quantile(figure(*drawn), (TAIL, 1 - TAIL))
    value = float(figure(*(np.array(wins / trials) for wins, trials in (first, second))))
    return value, (float(min(low, value)), float(max(high, value)))


def prediction_interval(values: Sequence[float]) -> tuple[float, float]:
    """Where one more value of the same normal distribution lies (Student's t); two values or more."""
    from scipy.special import stdtrit

    mean, count = float(np.mean(values)), len(values)
    reach = float(stdtrit(count - 1, 1 - TAIL) * np.std(values, ddof=1) * np.sqrt(1 + 1 / count))
    return mean - reach, mean + reach


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Of the mean of values from a normal distribution (Student 1908); two values or more."""
    from scipy.stats import sem, t

    mean, error = float(np.mean(values)), float(sem(values))
    if error == 0:
        return mean, mean
    low, high = t.interval(CONFIDENCE, len(values) - 1, loc=mean, scale=error)
    return float(low), float(high)
