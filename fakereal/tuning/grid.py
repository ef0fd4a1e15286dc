"""A grid: every combination of what is searched, once."""

import math
import warnings
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BruteForceSampler


class Grid(BruteForceSampler):
    """Every combination once, in random order.

    Optuna's own would stop the study at the last of them, which raises where a study is asked and told instead of
    being given a function: here the search counts the `combinations`.
    """

    def __init__(self, seed: int | None = None):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # since 2022
            super().__init__(seed)

    def after_trial(self, *args: Any) -> None:
        """Nothing."""


def combinations(distributions: dict[str, BaseDistribution]) -> int | None:
    """How many there are; None where a range has no steps."""
    counts = [_count(distribution) for distribution in distributions.values()]
    return None if None in counts else math.prod(counts)


def _count(distribution: Any) -> int | None:
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if distribution.step is None:
        return None
    return round((distribution.high - distribution.low) / distribution.step) + 1
