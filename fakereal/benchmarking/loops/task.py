"""What every loop is told: the work, as one JSON argument, and the same overrides as `fakereal.train`."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import lightning as L
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import nn

from fakereal.config import CONF
from fakereal.config.build import build
from fakereal.runtime.hardware import cores

TRIED_AT_LEAST = 8  # batches, where an epoch has as many


@dataclass(frozen=True)
class Task:
    """A training to be timed.

    Args:
        tree: folder with train/REAL and train/FAKE.
        images: how many a lap trains on.
        augment: whether images are flipped and cropped.
        laps: how many are asked for.
        overrides: what `fakereal.train` is given for the same work.
        workers: of the DataLoader; -1: one a core; None: what is fastest is found out first.
    """

    tree: str
    images: int
    augment: bool
    laps: int
    overrides: list[str]
    workers: int | None = None

    def argument(self) -> str:
        """For the command line of a loop."""
        return json.dumps(asdict(self))


def begin() -> tuple[Task, DictConfig, torch.device]:
    """The task of this process, the config that `fakereal.train` has for it, and the device that it takes."""
    task = Task(**json.loads(sys.argv[1]))
    cfg = composed("train", task.overrides)
    return task, cfg, L.Fabric(accelerator=cfg.trainer.accelerator, devices=1).device


def composed(name: str, overrides: list[str]) -> DictConfig:
    """The config of a command; this process has the same threads, but is not set up otherwise (`prepare`)."""
    with initialize_config_dir(CONF, version_base="1.3"):
        cfg = compose(name, overrides)
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    torch.set_float32_matmul_precision("high")
    return cfg


def network_of(cfg: DictConfig) -> nn.Module:
    """The network alone: float images (B, 3, H, W) to logits (B, 1)."""
    return build(cfg.model).backbone


def batches_to_try(task: Task, batch_size: int) -> int:
    """On how many batches each number of workers is tried."""
    batches = -(-task.images // batch_size)
    return min(batches, max(TRIED_AT_LEAST, batches // 4))


def best_workers(task: Task, try_out: Callable[[int], Callable[[], object]]) -> int:
    """The number of DataLoader workers that the task names, or else the fastest of those tried.

    `try_out` warms a loader with so many workers up, by going through it whole (what is loaded ahead would be waited
    for later), and returns what is to be timed.
    """
    if task.workers is not None:
        return cores() if task.workers == -1 else task.workers
    seconds = {}
    for workers in sorted({0, max(1, cores() // 2), cores()}):
        timed = try_out(workers)
        began = time.perf_counter()
        timed()
        seconds[workers] = time.perf_counter() - began
    return min(seconds, key=seconds.get)
