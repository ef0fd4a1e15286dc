"""Which checkpoints a run keeps, when it stops early, and how it ends well when it is told to stop."""

import logging
import math
import os
import pickle
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Annotated, Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning_utilities.core.apply_func import apply_to_collection
from pydantic import Field

from fakereal.evaluation.monitor import mode_of
from fakereal.runs.commands import resume_command
from fakereal.runs.folders import Unusable, command_of, in_placed_sweep
from fakereal.runtime.errors import UserError
from fakereal.runtime.files import replace

log = logging.getLogger(__name__)
ASKED_EVERY = 8  # steps, where there are several ranks: a GPU waits at each question for what was queued before
SCHEDULER = (signal.SIGUSR2,) if hasattr(signal, "SIGUSR2") else ()  # sent before time is over


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
