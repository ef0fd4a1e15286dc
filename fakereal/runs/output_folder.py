"""A folder for output that cannot be had, or is another command's, is told before any work."""

import os
import tempfile
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from fakereal.runs.folders import TRAINS, command_of
from fakereal.runtime.text import printable

BLOCK = 4096  # bytes


class OutputFolder(Callback):
    """Asked by Hydra before it makes the folder of a command or of a sweep; ends the process if it cannot be used."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        known = HydraConfig.instance()
        before, known.cfg = known.cfg, config  # as Hydra has it next: the folder is named after the command
        try:
            folder = config.hydra.run.dir
        finally:
            known.cfg = before
        _refuse_anothers(Path(folder), config.hydra.job.config_name)
        _try("hydra.run.dir", folder)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        _try("hydra.sweep.dir", config.hydra.sweep.dir)


def _refuse_anothers(folder: Path, command: str) -> None:
    """Ends the process where another command's results lie: some would be replaced, and its settings all."""
    if not os.path.isfile(folder / ".hydra" / "hydra.yaml"):  # unlike Path's, False for whatever cannot be a path too
        return
    owner = command_of(folder)
    if owner != command and not {owner, command} <= TRAINS:
        raise SystemExit(
            f"hydra.run.dir={printable(folder)} holds what fakereal.{owner} left, which fakereal.{command} would "
            "damage. Give another directory."
        )


def _try(key: str, folder: str) -> None:
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(bytes(BLOCK))  # an empty one would find room on a full disk too
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        # Hydra makes a warning of what a callback raises, unless it ends the process.
        raise SystemExit(f"{key}={printable(folder)} cannot be written ({reason}). Give another one.") from None
