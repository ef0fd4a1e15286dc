"""Tells the study how a trial is doing after each epoch, and ends it where the pruner gives it up."""

from pathlib import Path
from typing import Any

import lightning as L
import optuna
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn

from fakereal.tuning.study import open_storage


class Pruning(Callback):
    """Reports the monitored metric of each validation; raises optuna.TrialPruned at the next epoch's first batch.

    By then last.ckpt is written, so that the job can go on if the same settings are asked for again. Without `trial`,
    the number of the trial in the study, it does nothing.
    """

    def __init__(
        self,
        study: str | None,
        storage: str | None,
        folder: str,
        trial: int | None,
        monitor: str,
        pruner: optuna.pruners.BasePruner,
    ):
        self.study, self.storage, self.folder = study, storage, Path(folder).absolute()
        self.number, self.monitor, self.pruner = trial, monitor, pruner
        self.trial: optuna.Trial | None = None
        self.falls_behind = False

    def on_fit_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        if self.number is None or not trainer.is_global_zero:
            return
        study = optuna.load_study(
            study_name=self.study or self.folder.name,
            storage=open_storage(self.storage, self.folder),
            pruner=self.pruner,
        )
        frozen = study.get_trials(deepcopy=False)[self.number]
        self.trial = optuna.trial.Trial(study, frozen._trial_id)

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking or self.number is None:
            return
        if self.trial is not None:
            self.trial.report(trainer.callback_metrics[self.monitor].item(), trainer.current_epoch)
            self.falls_behind = self.trial.should_prune()
        self.falls_behind = trainer.strategy.broadcast(self.falls_behind)

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if self.falls_behind:
            value = trainer.callback_metrics[self.monitor].item()
            raise optuna.TrialPruned(f"{self.monitor} {value:.4f} after {trainer.current_epoch} epochs falls behind")
