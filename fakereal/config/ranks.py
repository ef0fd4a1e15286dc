"""Ranks that torchrun or Slurm started for one training: told without torch, before Hydra makes a directory."""

import os
from datetime import datetime

from fakereal.runtime.errors import UserError


def from_outside() -> bool:
    """Whether this process is one of several that torchrun or Slurm (srun) started for the same work."""
    return "TORCHELASTIC_RUN_ID" in os.environ or int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1


def rank() -> int:
    """Of this process among them; 0 where it is alone."""
    return int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", 0))) if from_outside() else 0


def started(form: str, name: str | None = None) -> str:
    """The `name`, or else the time, as `datetime.strftime` writes it, or the name that all ranks of a launch share.

    A resolver for directories. UserError where ranks, each with a clock of its own, have no such name.
    """
    if name is not None:
        return str(name)
    if not from_outside():
        return datetime.now().strftime(form)
    if (run := os.environ.get("TORCHELASTIC_RUN_ID")) is None:
        return f"slurm-{os.environ['SLURM_JOB_ID']}-{os.environ['SLURM_STEP_ID']}"
    if run == "none":  # torchrun's default
        raise UserError(
            "The ranks that torchrun started cannot agree on a directory. Give torchrun --standalone "
            "(or --rdzv-id=NAME), or hydra.run.dir=DIR; in a sweep, sweep=NAME."
        )
    return f"torchrun-{run}"
