"""Bare steps between those of a training, in its process: they meet the same machine, within a tenth of a second."""

import copy
import time
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from fakereal.benchmarking.loops.limit import BareLoop
from fakereal.runtime.files import write_json

EACH = 4  # steps of one, then of the other
EACH_OF_GPU = 50  # which is waited for after them: what it does while the next are prepared shows in fewer too little


class BareStepsBetween(Callback):
    """Leaves in `to` the images per second of each epoch: `ours`, from its first batch on, and `bare`.

    The training is not changed: what the bare steps draw at random, `Reseed` forgets.
    """

    def __init__(self, to: str):
        self.to = Path(to)
        self.rates: dict[str, list[float]] = {"ours": [], "bare": []}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        network = copy.deepcopy(pl_module.backbone)
        if pl_module.compile_backbone:
            network.compile(dynamic=False)
        side = pl_module.hparams.image_size or trainer.datamodule.size
        shape = (trainer.datamodule.batch_size, 3, side, side)
        self.bare = BareLoop(network, pl_module.optimizer, shape, trainer.precision == "bf16-mixed")
        self.each = EACH if self.bare.device.type == "cpu" else EACH_OF_GPU

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: object, batch: object, batch_idx: int) -> None:
        if not batch_idx:
            self.seconds, self.images = {"ours": 0.0, "bare": 0.0}, {"ours": 0, "bare": 0}
            self.began = self._now()

    def on_train_batch_end(self, trainer: L.Trainer, module: object, outputs: object, batch: dict, index: int) -> None:
        self.images["ours"] += len(batch["image"])
        if trainer.is_last_batch or index % self.each == self.each - 1:
            self._lap("ours")
            for _ in range(self.each):
                self.bare.step()
            self.images["bare"] += self.each * len(self.bare.pixels)
            self._lap("bare")
        if trainer.is_last_batch:
            for name, rates in self.rates.items():
                rates.append(self.images[name] / self.seconds[name])

    def on_train_end(self, *_: object) -> None:
        write_json(self.to, self.rates)

    def _lap(self, name: str) -> None:
        now = self._now()
        self.seconds[name], self.began = self.seconds[name] + now - self.began, now

    def _now(self) -> float:
        if self.bare.device.type != "cpu":
            torch.get_device_module(self.bare.device).synchronize()
        return time.perf_counter()
