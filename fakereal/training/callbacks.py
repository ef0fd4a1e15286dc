"""What happens around the steps of a training run: seeds, speed, guards, and a line an epoch."""

import logging
import sys
import time
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, RichProgressBar

from fakereal.data.draws import derive_seed
from fakereal.runtime.errors import UserError

log = logging.getLogger(__name__)


class _Bar(RichProgressBar):
    def get_metrics(self, *args: Any) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(*args).items() if name != "v_num"}


def progress_bar() -> RichProgressBar:
    """A bar with rate and remaining time on a terminal; silent where output goes to a file."""
    bar = _Bar()
    if not sys.stderr.isatty():
        bar.disable()
    return bar


class Reseed(Callback):
    """Before each step, seeds what draws from the global generators (dropout, drop-path) by (seed, step, rank).

    Lightning saves no random state; so a resumed run draws what the uninterrupted one would have drawn.
    """

    def __init__(self, seed: int):
        self.seed = seed

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        step = trainer.fit_loop.epoch_loop.total_batch_idx
        seed, device = derive_seed(self.seed, step, trainer.global_rank), trainer.strategy.root_device
        # Not torch.manual_seed: it asks for every kind of accelerator each time, at 110 us a step.
        torch.default_generator.manual_seed(seed)
        if device.type != "cpu":
            torch.get_device_module(device).manual_seed(seed)


class Throughput(Callback):
    """Seconds spent in training batches and images trained on; both go on counting after a resume.

    Logs `train/images_per_second` (all devices together) each epoch.
    """

    def __init__(self) -> None:
        self.seconds, self.images = 0.0, 0
        self.epoch_images, self.began, self.paused = 0, 0.0, 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.seconds += pl_module.frozen.seconds if pl_module.frozen else 0.0  # which epochs are spared
        self.epoch_images, self.began = 0, time.perf_counter()  # an epoch that is resumed halfway has no batch 0

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if not batch_idx:  # not at the start of the epoch, where last.ckpt of the one before is written
            self.epoch_images, self.began = 0, time.perf_counter()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.epoch_images += len(batch["image"]) * trainer.world_size
        if trainer.is_last_batch:
            self._close(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.epoch_images:  # it was cut short
            self._close(trainer, pl_module)

    def on_validation_start(self, *_: Any) -> None:
        self.paused = time.perf_counter()

    def on_validation_end(self, *_: Any) -> None:
        self.began += time.perf_counter() - self.paused  # within an epoch it is no training

    def _close(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if (device := trainer.strategy.root_device.type) != "cpu":
            torch.get_device_module(device).synchronize()
        elapsed = time.perf_counter() - self.began
        self.seconds, self.images = self.seconds + elapsed, self.images + self.epoch_images
        rate, self.epoch_images = self.epoch_images / elapsed, 0
        pl_module.log("train/images_per_second", rate, on_step=False, on_epoch=True, rank_zero_only=True)

    def state_dict(self) -> dict[str, float]:
        running = time.perf_counter() - self.began if self.epoch_images else 0.0
        return {"seconds": self.seconds + running, "images": self.images + self.epoch_images}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self.seconds, self.images = state_dict["seconds"], state_dict["images"]


REMEDY = "Lower optimizer.lr, set trainer.gradient_clip_val=1, or train in trainer.precision=32-true."


class FiniteLoss(Callback):
    """Stops the run at the first loss that is not a number or infinite, and says at which step.

    Losses are looked at every `every` steps and at the end of the epoch: doing so each step would make a GPU wait. A
    validation that gives no numbers stops it, too: the last step's weights have no loss of their own.
    """

    def __init__(self, every: int = 50):
        self.every = every
        self.recent: list[tuple[int, torch.Tensor]] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.recent.append((trainer.fit_loop.epoch_loop.total_batch_idx, outputs["loss"]))
        if len(self.recent) == self.every or trainer.is_last_batch:
            self._check(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if self.recent:  # it was cut short
            self._check(trainer)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        logits, _ = pl_module.validated()  # those of all ranks, which raise together
        if bad := int(logits.isnan().sum()):
            raise UserError(
                f"The network gave no number (nan) for {bad:,} of {len(logits):,} validation images (epoch "
                f"{trainer.current_epoch}). {REMEDY}"
            )

    def _check(self, trainer: L.Trainer) -> None:
        steps, losses = zip(*self.recent, strict=True)
        self.recent.clear()
        # Of all ranks, which raise together: one that raised alone would leave the others waiting for it.
        bad = trainer.strategy.reduce((~torch.stack(losses).isfinite()).float(), reduce_op="max")
        if bad.any():
            first = steps[int(bad.argmax())]
            raise UserError(
                f"The loss was not a finite number at step {first} (epoch {trainer.current_epoch}). {REMEDY}"
            )


class EpochLog(Callback):
    """One line in the log for each epoch; with validation's figures where it was validated."""

    def __init__(self) -> None:
        self.validated = False

    def on_train_epoch_start(self, *_: Any) -> None:
        self.validated = False

    def on_validation_end(self, *_: Any) -> None:
        self.validated = True

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # Lightning's metrics stay as they were where an epoch is not validated, or its training cut short.
        new = {"train": trainer.is_last_batch, "val": self.validated}
        figures = {name: value for name, value in trainer.callback_metrics.items() if new.get(name.split("/")[0], True)}
        parts = [f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"]
        for name, form in (
            ("train/loss", "train loss {:.4f}"),
            ("val/loss", "val loss {:.4f}"),
            ("train/accuracy", "train accuracy {:.4f}"),
            ("val/accuracy", "val accuracy {:.4f}"),
            ("val/auroc", "val AUROC {:.4f}"),
            ("train/images_per_second", "{:,.0f} images/s"),
        ):
            if name in figures:
                parts.append(form.format(figures[name].item()))
        if trainer.is_global_zero:
            log.info("  ".join(parts))
