"""best.ckpt: which validation it is of, how it is written, and how it is read again."""

import logging
import math
import os
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from fakereal.config.monitor import mode_of
from fakereal.runtime.errors import UserError
from fakereal.runtime.files import replace

log = logging.getLogger(__name__)


class BestCheckpoint(ModelCheckpoint):
    """`best.ckpt`: the weights after the validation with the best monitored metric, of equals that of the least loss.

    Of few images many epochs have the same accuracy, and the first of them is hardly the best. The name holds no "=",
    which Hydra's grammar would not take in `ckpt_path=`.
    """

    def __init__(self, dirpath: str, monitor: str = "val/accuracy"):
        super().__init__(
            dirpath=dirpath,
            filename="best",
            monitor=monitor,
            mode=mode_of(monitor),
            enable_version_counter=False,  # best.ckpt is replaced, not joined by best-v1.ckpt
        )
        self.loss = math.inf  # of the best

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """What a run before said of its best.ckpt, metrics.json, is there again when this one is complete."""
        super().on_train_start(trainer, pl_module)
        (Path(self.dirpath).parent / "metrics.json").unlink(missing_ok=True)

    def check_monitor_top_k(self, trainer: L.Trainer, current: torch.Tensor | None = None) -> bool:
        better, loss = super().check_monitor_top_k(trainer, current), trainer.callback_metrics["val/loss"].item()
        if not better and current is not None and current == self.best_model_score:
            better = loss < self.loss
        self.loss = loss if better else self.loss
        return better

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"loss": self.loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The best so far goes along when the run's directory was moved, or a new one goes on from it."""
        self.loss = state_dict.get("loss", math.inf)
        here, old = Path(self.dirpath) / "best.ckpt", state_dict["best_model_path"]
        if old and state_dict["dirpath"] != self.dirpath:
            if not here.exists() and Path(old).exists():
                here.parent.mkdir(parents=True, exist_ok=True)
                part = here.with_name(f"best.{os.getpid()}.part")
                shutil.copyfile(old, part)
                part.replace(here)
            if here.exists():
                best = {"best_model_path": str(here), "kth_best_model_path": str(here), "last_model_path": ""}
                kept = {"dirpath": self.dirpath, "best_k_models": {str(here): state_dict["best_model_score"]}}
                state_dict = state_dict | best | kept
        super().load_state_dict(state_dict)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old checkpoint and then takes its place: a crash or a full disk leaves the old one.

    The first of a run is read again, as all that reads checkpoints does: what cannot be must not show after hours.
    """

    looked_at = False

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        part = f"{path}.part"
        try:
            super().save_checkpoint(checkpoint, part, storage_options)
            if not self.looked_at:
                _refuse_code(part)
                self.looked_at = True
            replace(part, path)
        except OSError as error:
            raise UserError(
                f"{path} cannot be written ({error.strerror or error}); the previous one is kept. "
                "Free some space, and resume with the same command and ckpt_path=last."
            ) from error
        finally:
            Path(part).unlink(missing_ok=True)


def _refuse_code(path: str) -> None:
    try:
        torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        raise UserError(
            f"A checkpoint would contain {found[1] if found else 'code'} besides weights and plain values, and could "
            "not be read again. A callback's state_dict and a data module's settings must give plain values, such as "
            "float(x), str(path) and lists of these."
        ) from error


def keep_untrained(checkpoint: BestCheckpoint, trainer: L.Trainer) -> str:
    """best.ckpt, by its path, where there was no epoch: of the weights as they came, with no training to go on with."""
    path = Path(checkpoint.dirpath) / "best.ckpt"
    trainer.save_checkpoint(path, weights_only=True)
    return str(path)


def load_best(checkpoint: ModelCheckpoint, classifier: L.LightningModule) -> tuple[str, int]:
    """Puts the weights of the best checkpoint into the classifier; its path and epoch, counted from 1."""
    path = checkpoint.best_model_path
    best = torch.load(path, map_location="cpu", weights_only=True)
    classifier.load_state_dict(best["state_dict"])
    return str(path), best["epoch"] + 1
