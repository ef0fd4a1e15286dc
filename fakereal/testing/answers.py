"""What classifiers answer about the images of a test: each runs through the split, and what they say is kept."""

from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig

from fakereal.config.build import build
from fakereal.models.distance.from_training import Watch
from fakereal.models.distance.tally import Tally
from fakereal.runtime.errors import UserError
from fakereal.training.callbacks import progress_bar
from fakereal.training.profiling import profiler_of


def one_device(node: DictConfig, *callbacks: Callback) -> L.Trainer:
    """A trainer that answers in the order of images, whatever the node says of devices; at most a profile is left."""
    bars = [progress_bar()] if node.enable_progress_bar else []
    one = {"devices": 1, "num_nodes": 1, "strategy": "auto", "limit_test_batches": 1.0, "fast_dev_run": False}
    profiler = profiler_of(node, Path(HydraConfig.get().runtime.output_dir))
    return build(node, callbacks=[*bars, *callbacks], logger=False, enable_checkpointing=False, **one, **profiler)


def refuse_no_numbers(probabilities: np.ndarray, ckpt_path: object) -> None:
    """UserError where one of the probabilities (members, N) is nan: it would count as REAL."""
    if bad := int((~np.isfinite(probabilities)).any(0).sum()):
        raise UserError(
            f"ckpt_path={ckpt_path}: the network gave no number (nan) for {bad:,} of {probabilities.shape[1]:,} "
            "images. Try trainer.precision=32-true."
        )


class Probabilities(Callback):
    """`members`: for each classifier tested, float32 (N,) probabilities of FAKE in the order of the test split."""

    def __init__(self) -> None:
        self.members: list[np.ndarray] = []
        self.batches: list[torch.Tensor] = []

    def on_test_start(self, *_: Any) -> None:
        self.batches = []

    def on_test_batch_end(self, trainer: Any, pl_module: Any, outputs: torch.Tensor, *_: Any) -> None:
        self.batches.append(outputs.float().cpu())

    def on_test_end(self, *_: Any) -> None:
        self.members.append(torch.cat(self.batches).numpy())


class FarImages(Callback):
    """Counts, batch by batch, the images whose content lies far from those of training; none without a `watch`."""

    def __init__(self, watch: Watch | None, far: Tally):
        self.watch, self.far = watch, far

    def on_test_batch_start(self, *_: Any) -> None:
        if self.watch:
            self.watch.begin()

    def on_test_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        if self.watch:
            self.far.add(self.watch.content(batch["image"]))
