"""What TensorBoard shows beside the scalars: images as trained on, confusion matrix, PR curve, gallery, HPARAMS."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from omegaconf import DictConfig
from torchvision.utils import make_grid

from fakereal.config.build import build_all
from fakereal.data.loader import Split
from fakereal.evaluation.calibration import sigmoid
from fakereal.evaluation.evaluation import Evaluation
from fakereal.explanation.gallery import Examined, make_gallery, show_sheets
from fakereal.presentation.plots import confusion_figure

GRID = 32  # images shown
GALLERY = 8  # images a cell


class TrainingFigures(Callback):
    """A grid of augmented training images at the start; confusion matrix and PR curve of each validation.

    Learning rate and loss of a step are logged once an epoch at least.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        trainer.log_every_n_steps = min(trainer.log_every_n_steps, max(1, trainer.num_training_batches))

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
        step = trainer.global_step - 1  # the last step that was done, as Lightning's own figures have it
        board.add_pr_curve("val/precision_recall", label, probability, step)
        figure = confusion_figure(Evaluation(label, probability, pl_module.threshold).confusion(), "Validation")
        board.add_figure("val/confusion_matrix", figure, step)


def build_loggers(nodes: DictConfig | None, step: int | None) -> list[Logger]:
    """Those of a run that goes on at `step`, if any: TensorBoard hides what a killed one had logged from there on."""
    purge = {} if step is None else {"purge_step": step}
    return build_all(nodes, lambda node: purge if node._target_.endswith(".TensorBoardLogger") else {})


def tensorboard_of(trainer: L.Trainer) -> Any:
    """The SummaryWriter of the run's TensorBoard logger; None where there is none, or on other ranks."""
    if not trainer.is_global_zero:
        return None
    loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    return loggers[0].experiment if loggers else None


def show_gallery(trainer: L.Trainer, classifier: Any) -> None:
    """Errors, doubtful images and sure hits of the last validation, which is best.ckpt's; on one device alone."""
    board = tensorboard_of(trainer)
    if board is None or trainer.world_size > 1:  # what several gathered is not in the order of the images
        return
    logits, labels = (values.numpy() for values in classifier.validated())
    val = trainer.val_dataloaders.dataset  # in its order, of which trainer.limit_val_batches may leave some out
    seen = Split(val.images, val.rows[: len(labels)])
    evaluation = Evaluation(labels, sigmoid(logits / classifier.temperature), classifier.threshold)
    sheets = make_gallery(Examined([classifier], evaluation, seen), GALLERY, trainer.strategy.root_device)
    show_sheets(board, "val", sheets, trainer.global_step)
    board.flush()


def log_hparams(trainer: L.Trainer, chosen: dict[str, Any], metrics: dict[str, float]) -> None:
    """Fills TensorBoard's HPARAMS tab: what was chosen for this run, and its final validation metrics."""
    final = {f"hp/{name}": metrics[name] for name in ("val/accuracy", "val/auroc", "val/loss")}
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
            logger.log_hyperparams(chosen, final)
            logger.save()
