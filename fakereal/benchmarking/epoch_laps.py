"""Laps of a Lightning Trainer."""

import lightning as L
from lightning.pytorch.callbacks import Callback

from fakereal.benchmarking.laps import Lap


class EpochLaps(Callback):
    """Makes a lap of the training part of each epoch of a Lightning Trainer.

    Args:
        loading: a lap begins before the first batch is loaded, as it must where workers load ahead: they would work
            while others have their turn. Without, it begins at the first batch: at the epoch's start
            `fakereal.train` writes last.ckpt of the epoch before.
    """

    def __init__(self, loading: bool = False) -> None:
        self.lap, self.images, self.loading = Lap(), 0, loading

    def on_train_epoch_start(self, *_: object) -> None:
        if self.loading:
            self._begin()

    def on_train_batch_start(self, trainer: L.Trainer, module: object, batch: object, batch_idx: int) -> None:
        if not batch_idx and not self.loading:
            self._begin()

    def _begin(self) -> None:
        self.images = 0
        self.lap.wait()

    def on_train_batch_end(self, trainer: L.Trainer, module: object, outputs: object, batch: object, *_: int) -> None:
        self.images += len(batch["image"] if isinstance(batch, dict) else batch[0])
        if trainer.is_last_batch:
            self.lap.done(self.images, trainer.strategy.root_device)
