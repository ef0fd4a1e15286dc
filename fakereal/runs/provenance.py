"""Where a result comes from: code, versions, data, device, command."""

import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch
from hydra.core.hydra_config import HydraConfig

import fakereal
from fakereal.data.datamodule import ImageDataModule
from fakereal.runtime.hardware import hardware

PACKAGES = (
    "torch",
    "torchvision",
    "lightning",
    "timm",
    "torchmetrics",
    "hydra-core",
    "omegaconf",
    "numpy",
    "pillow",
)


def provenance(trainer: L.Trainer, data: ImageDataModule) -> dict[str, Any]:
    """All that another person needs to get the same figures, or to see why they differ."""
    job, overrides = HydraConfig.get().job, list(HydraConfig.get().overrides.task)
    # A cluster's job is begun by another program, which has no words of ours.
    words = sys.argv[1:] if Path(sys.argv[0]).stem == job.config_name else overrides
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": ["python", "-m", f"fakereal.{job.config_name}", *words],
        "overrides": overrides,
        "git": git_state(),
        "versions": {"fakereal": fakereal.__version__, "python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
        "system": platform.platform(),
        "hardware": hardware(),
        "device": str(trainer.strategy.root_device),
        "devices": trainer.world_size,
        "precision": str(trainer.precision),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "data": data.describe(),
    }


def git_state() -> dict[str, Any] | None:
    """Commit of the checkout that the package lies in, and whether it was changed since; None outside of one."""
    folder = Path(fakereal.__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        # An installed package may lie below somebody else's repository.
        if not (git("ls-files", "__init__.py") and (commit := git("rev-parse", "HEAD"))):
            return None
        return {"commit": commit, "changed": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.TimeoutExpired):
        return None
