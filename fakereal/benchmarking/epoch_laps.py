"""Laps of a Lightning Trainer."""

import lightning as L
from lightning.pytorch.callbacks import Callback

from fakereal.benchmarking.laps import Lap


class EpochLaps(Callback):
    """Makes a lap of the training part of each epoch of a Lightning Trainer, from its first batch on."""

    def __init__(self) -> None:
        self.lap, self.images = Lap(), 0

    def on_train_batch_start(self, trainer: L.Trainer, module: object, batch: object, batch_idx: int) -> None:
        if not batch_idx:  # not at the start of the epoch, where last.ckpt of the one before is written
            self.images = 0
            self.lap.wait()

    def on_train_batch_end(self, trainer: L.Trainer, module: object, outputs: object, batch: object, *_: int) -> None:
        self.images += len(batch["image"] if isinstance(batch, dict) else batch[0])
        if trainer.is_last_batch:
            self.lap.done(self.images, trainer.strategy.root_device)
