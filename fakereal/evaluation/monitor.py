"""The metric that selects: which way is better. Imported at each start of a sweep, so without torch."""

from typing import Literal


def mode_of(monitor: str) -> Literal["min", "max"]:
    """ "min" for losses, "max" for all other metrics."""
    return "min" if monitor.rsplit("/", 1)[-1] == "loss" else "max"
