"""The metrics that select, and which way is better. Imported at each start of a sweep, so without torch."""

from typing import Literal

from fakereal.runtime.errors import UserError

MODES: dict[str, Literal["min", "max"]] = {
    "val/accuracy": "max",
    "val/auroc": "max",
    "val/average_precision": "max",
    "val/loss": "min",
    "val/f1_fake": "max",
    "val/f1_real": "max",
    "val/precision_fake": "max",
    "val/precision_real": "max",
    "val/recall_fake": "max",
    "val/recall_real": "max",
}


def mode_of(monitor: str) -> Literal["min", "max"]:
    """Whether less or more of a metric is better; UserError for one that `MODES` does not name."""
    if monitor not in MODES:
        raise UserError(f"monitor={monitor!r} is none of {', '.join(MODES)}.")
    return MODES[monitor]
