"""Where the time goes, where somebody asks; else the work that Lightning does around each step for nobody, left out."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.profilers import (
    AdvancedProfiler,
    PassThroughProfiler,
    Profiler,
    PyTorchProfiler,
    SimpleProfiler,
)
from omegaconf import DictConfig, OmegaConf

from fakereal.runtime.errors import UserError

PROFILERS = {
    "simple": SimpleProfiler,
    "advanced": AdvancedProfiler,
    "pytorch": partial(PyTorchProfiler, acc_events=True),  # of training and validation, not of what came last
}
OF_A_STEP = (
    *("on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward"),
    *("on_before_optimizer_step", "on_train_batch_end"),
)
_NOTHING = nullcontext()


class Unprofiled(PassThroughProfiler):
    """Measures nothing, as Lightning's default, which makes a generator for each of 150 parts of a step for it."""

    def profile(self, action_name: str) -> AbstractContextManager:
        return _NOTHING


def profiler_of(trainer: DictConfig, out: Path) -> dict[str, Profiler]:
    """`profiler` for a trainer of these settings, which writes to `out`; nothing where it is given by its `_target_`.

    UserError where none has the name.
    """
    choice = trainer.get("profiler")
    if OmegaConf.is_config(choice):
        return {}
    if choice is None:
        return {"profiler": Unprofiled()}
    if choice not in PROFILERS:
        raise UserError(f"trainer.profiler={choice} is unknown; choose null or one of {', '.join(PROFILERS)}.")
    return {"profiler": PROFILERS[choice](dirpath=out, filename="profile")}


def skip_idle_hooks(callbacks: Iterable[Callback]) -> None:
    """Takes from each callback those hooks of a step that it does not have of its own: Lightning calls what it can."""
    for callback in callbacks:
        for name in OF_A_STEP:
            if getattr(getattr(callback, name), "__func__", None) is getattr(Callback, name):
                setattr(callback, name, None)
