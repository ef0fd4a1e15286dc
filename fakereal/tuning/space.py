"""The search space, from overrides in Hydra's sweep grammar."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from fakereal.config.search import SEARCH_KEYS
from fakereal.config.words import key_of
from fakereal.runtime.errors import UserError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

EXAMPLE = "optimizer.lr='tag(log, interval(1e-5, 1e-2))'"


class Space(NamedTuple):
    """What is searched, by key, and the overrides that all trials share."""

    distributions: dict[str, "BaseDistribution"]
    fixed: list[str]

    def overrides(self, values: dict[str, Any]) -> list[str]:
        """Those of one trial."""
        return [*self.fixed, *(f"{key}={value}" for key, value in values.items())]

    def example(self) -> list[str]:
        """The overrides of some trial."""
        kinds = self.distributions.items()
        return self.overrides({key: kind.choices[0] if hasattr(kind, "choices") else kind.low for key, kind in kinds})


def parse_space(words: list[str], loader: ConfigLoader | None = None) -> Space:
    """Of `choice(a,b)` or `a,b`, `range(1,9)`, `interval(0.1,1)`, `int(interval(1,9))`, and `tag(log, ...)` of these.

    A later word replaces an earlier one of the same key. UserError where nothing is searched or a range is empty.
    """
    overrides = {word.get_key_element(): word for word in OverridesParser.create(loader).parse_overrides(words)}
    for key, word in overrides.items():
        if word.is_sweep_override() and key_of(key).partition(".")[0] in (*SEARCH_KEYS, "monitor"):
            raise UserError(
                f"`{word.input_line}`: {key} controls the search itself, for all its trials. Give one value."
            )
    space = {key: _distribution(key, word) for key, word in overrides.items() if word.is_sweep_override()}
    if not space:
        raise UserError(f"There is nothing to search: give a key several values, such as {EXAMPLE}, or search=NAME.")
    fixed = [word for word in overrides.values() if not word.is_sweep_override()]
    return Space(space, [_as_word(word) for word in fixed])


def _as_word(word: Override) -> str:
    key = word.get_key_element()
    return key if word.is_delete() and word.value() is None else f"{key}={word.get_value_element_as_str()}"


def _distribution(key: str, word: Override) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    sweep = word.value()
    tags = set(getattr(sweep, "tags", None) or ())
    log = "log" in tags
    said = f"{key}={word.input_line.partition('=')[2] if word.input_line else sweep}"
    try:
        if other := tags - {"log"}:
            raise ValueError(f"the tag {', '.join(map(repr, sorted(other)))} has no meaning here; only `log` does")
        if isinstance(sweep, IntervalSweep) and not (math.isfinite(sweep.start) and math.isfinite(sweep.end)):
            raise ValueError("its ends must be finite numbers")
        if isinstance(sweep, IntervalSweep):
            whole = isinstance(sweep.start, int) and isinstance(sweep.end, int)
            return (IntDistribution if whole else FloatDistribution)(sweep.start, sweep.end, log=log)
        if isinstance(sweep, RangeSweep):
            values = list(sweep.range())
            if not values:
                raise ValueError("the range is empty")
            first, last, step = values[0], values[-1], sweep.step
            if isinstance(first, int):
                return IntDistribution(first, last, log=log, step=1 if log else step)
            last = round(last, 12)  # 0.30000000000000004
            return FloatDistribution(first, last, log=log, step=None if log else step)
        return CategoricalDistribution(tuple(dict.fromkeys(word.sweep_string_iterator())))
    except (ValueError, TypeError, AssertionError) as error:
        raise UserError(
            f"`{said}` cannot be searched: {str(error).rstrip('.')}. Write, for instance, {EXAMPLE}."
        ) from None
