"""What TensorBoard shows beside the scalars: images as trained on, confusion matrix, PR curve, HPARAMS."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from torchvision.utils import make_grid

from fakereal.evaluation.evaluation import Evaluation
from fakereal.reporting.plots import confusion_figure

GRID = 32  # images shown


class TrainingFigures(Callback):
    """A grid of augmented training images at the start; confusion matrix and PR curve of each validation."""

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx or (board := tensorboard_of(trainer)) is None:
            return
        grid = make_grid(batch["image"][:GRID].cpu(), nrow=8, padding=1)
        board.add_image("train/images_as_augmented", grid, trainer.global_step)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        logits, label = pl_module.validated()  # of all ranks, so before all but one leave
        if (board := tensorboard_of(trainer)) is None:
            return
        probability, label = torch.sigmoid(logits).numpy(), label.numpy()
        step = trainer.global_step
        board.add_pr_curve("val/precision_recall", label, probability, step)
        figure = confusion_figure(Evaluation(label, probability, pl_module.threshold).confusion(), "Validation")
        board.add_figure("val/confusion_matrix", figure, step)


def tensorboard_of(trainer: L.Trainer) -> Any:
    """The SummaryWriter of the run's TensorBoard logger; None where there is none, or on other ranks."""
    if not trainer.is_global_zero:
        return None
    loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    return loggers[0].experiment if loggers else None


def log_hparams(trainer: L.Trainer, chosen: dict[str, Any], metrics: dict[str, float]) -> None:
    """Fills TensorBoard's HPARAMS tab: what was chosen for this run, and its final validation metrics."""
    final = {f"hp/{name}": metrics[name] for name in ("val/accuracy", "val/auroc", "val/loss")}
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
            logger.log_hyperparams(chosen, final)
            logger.save()
