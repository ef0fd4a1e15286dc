"""When a training stops: early, or as it is told to; and last.ckpt, from which it goes on."""

import logging
import math
import signal
import time
from pathlib import Path
from typing import Annotated, Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping
from lightning_utilities.core.apply_func import apply_to_collection
from pydantic import Field

from fakereal.config.monitor import mode_of
from fakereal.runs.commands import resume_command
from fakereal.runs.folders import Unusable, command_of, in_placed_sweep

log = logging.getLogger(__name__)
ASKED_EVERY = 8  # steps, where there are several ranks: a GPU waits at each question for what was queued before
SCHEDULER = (signal.SIGUSR2,) if hasattr(signal, "SIGUSR2") else ()  # sent before time is over


def early_stopping(
    monitor: str = "val/accuracy",
    patience: Annotated[int, Field(ge=1)] = 3,
    min_delta: Annotated[float, Field(ge=0)] = 0.0,
) -> EarlyStopping:
    """Stops after `patience` validations that did not improve the monitored metric by more than min_delta."""
    return _ResumableEarlyStopping(monitor, min_delta=min_delta, patience=patience, mode=mode_of(monitor))


class _ResumableEarlyStopping(EarlyStopping):
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.wait_count >= self.patience:  # the run that is resumed had stopped already
            trainer.should_stop = True


class LastCheckpoint(Checkpoint):
    """`last.ckpt` after each epoch, every so many minutes within one (None: never), and when the run is told to stop.

    (ModelCheckpoint's `save_last` writes only when the best one was written too.) On Ctrl-C or SIGTERM the step
    is finished (with several ranks up to ASKED_EVERY), or the epoch if it is in validation; then last.ckpt is
    written, and the process says how to go on and exits with 128 + the signal. A handler that raised at once could
    leave a step half done, and then no checkpoint would be exact.
    """

    def __init__(self, dirpath: str, every_minutes: Annotated[float, Field(gt=0)] | None = 10.0):
        self.path = Path(dirpath) / "last.ckpt"
        self.every, self.saved = 60 * (every_minutes or math.inf), time.monotonic()
        self.received: int | None = None
        self.taken: dict[str, Any] | None = None  # a checkpoint that is not written yet
        self.previous: dict[int, Any] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.saved = time.monotonic()
        # Not in setup: Lightning then adds its own handler, which ends a run between two epochs with status 0.
        # A scheduler's own signal is heard where something answers it (submitit, which then begins the job again).
        scheduler = [number for number in SCHEDULER if callable(signal.getsignal(number))]
        for number in (signal.SIGINT, signal.SIGTERM, *scheduler):
            try:
                self.previous[number] = signal.signal(number, self._note)
            except ValueError:  # not in the main thread, where signals cannot be had
                return
        # Before each batch Lightning asks all ranks for a SIGTERM, which comes to us now, and a GPU waits for it.
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        for number, handler in self.previous.items():
            # Lightning has put back what was there before its own; its own once more would keep the Trainer alive.
            if signal.getsignal(number) == self._note:
                signal.signal(number, handler)
        self.previous.clear()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self.teardown(trainer, pl_module, "fit")  # which Lightning leaves out then

    def _note(self, number: int, frame: Any) -> None:
        if self.received is not None:  # asked twice: at once
            raise KeyboardInterrupt
        self.received = number
        log.warning("Received %s: stopping after this step", signal.Signals(number).name)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        # The gradients of a part of a step are not saved, nor is that a validation is to follow, which would be lost.
        validates = trainer.val_check_batch and not (batch_idx + 1) % trainer.val_check_batch
        whole = not (batch_idx + 1) % trainer.accumulate_grad_batches and not validates
        asked = trainer.world_size == 1 or not trainer.global_step % ASKED_EVERY
        due = self.received is not None or time.monotonic() - self.saved > self.every
        if whole and asked and not trainer.is_last_batch and self._some_rank(trainer, due):
            self._take(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self._take(trainer)

    def _take(self, trainer: L.Trainer) -> None:
        # To be written soon, but not yet: Lightning logs the figures of a step and of an epoch after these hooks, and a
        # run that is killed between would go on without them. A copy, as averaging overwrites weights in between.
        checkpoint = trainer._checkpoint_connector.dump_checkpoint()  # on all ranks: some of it is gathered
        self.taken = apply_to_collection(checkpoint, torch.Tensor, _copied) if trainer.is_global_zero else {}

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        self._write(trainer)

    def on_train_epoch_start(self, trainer: L.Trainer, *_: Any) -> None:
        self._write(trainer)

    def on_train_end(self, trainer: L.Trainer, *_: Any) -> None:
        self._write(trainer)

    def _write(self, trainer: L.Trainer) -> None:
        """And exits where that was asked for."""
        if self.taken is None:
            return
        for logger in trainer.loggers:
            logger.save()  # flushes: what was logged before a checkpoint outlives a kill after it
        trainer.strategy.save_checkpoint(self.taken, self.path)
        trainer.strategy.barrier()
        self.taken = None
        self.saved = time.monotonic()
        if self._some_rank(trainer, self.received is not None):
            self._exit()

    @staticmethod
    def _some_rank(trainer: L.Trainer, decision: bool) -> bool:
        """All ranks save or stop at the same step, or none."""
        several = trainer.world_size > 1
        return trainer.strategy.reduce_boolean_decision(decision, all=False) if several else decision

    def _exit(self) -> None:
        previous = self.previous.get(self.received)
        if self.received in SCHEDULER and callable(previous):
            log.warning("Stopped; the scheduler restarts this job, and it resumes from here")
            previous(self.received, None)
            time.sleep(60)  # on other ranks it returns: to exit would kill the first before it has asked
        log.warning("Stopped; nothing is lost. Resume with: %s", _go_on(self.path.parent.parent))
        raise SystemExit(128 + (self.received or signal.SIGTERM))


def _copied(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", copy=True)


def _go_on(run: Path) -> str:
    if command_of(run) == "tune":
        return "the same command"
    try:
        whole = "\nor the whole sweep with the same command" if in_placed_sweep(run) else ""
        return resume_command(run) + whole
    except Unusable:  # there is no .hydra: hydra.output_subdir=null
        return f'the same command and "hydra.run.dir={run}" ckpt_path=last'
