"""The end of a training: best.ckpt is validated once more and calibrated, and its figures are gathered."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import WeightAveraging

from fakereal.data.datamodule import ImageDataModule
from fakereal.data.split import fingerprints
from fakereal.evaluation.calibration import Calibration, Fitted, sigmoid
from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.intervals import named
from fakereal.evaluation.operating import OperatingPoint, operating_points
from fakereal.models.checkpoint import digest_of
from fakereal.models.classifier import Classifier
from fakereal.models.distance.head_inputs import watched
from fakereal.models.distance.reference import Reference
from fakereal.presentation.plots import reliability_figure, save_png, show_saved
from fakereal.presentation.rows import write_rows
from fakereal.runtime.errors import UserError
from fakereal.training.callbacks import Throughput
from fakereal.training.checkpoints import AtomicCheckpointIO, BestCheckpoint, keep_untrained, load_best
from fakereal.training.figures import tensorboard_of
from fakereal.training.seen import TrainedBefore, ValidationFeatures


def best_metrics(
    trainer: L.Trainer, classifier: Classifier, data: ImageDataModule, calibration: Calibration | None, out: Path
) -> dict[str, Any]:
    """The figures of best.ckpt, at threshold 0.5 and calibrated, and what the run cost.

    Temperature, threshold and the distance of images from these are fitted here, on validation, and kept in best.ckpt.
    Of a network that was not trained best.ckpt is written here.
    """
    checkpoints = next(callback for callback in trainer.callbacks if isinstance(callback, BestCheckpoint))
    epochs, (best, best_epoch) = trainer.current_epoch, ("", 0)
    if trainer.max_epochs:
        if not checkpoints.best_model_path:
            raise UserError(
                "No epoch was validated, so there is no best.ckpt: lower trainer.check_val_every_n_epoch or raise "
                "trainer.max_epochs."
            )
        best, best_epoch = load_best(checkpoints, classifier)
    # An averaging callback would swap its last average in for the weights of best.ckpt.
    trainer.callbacks = [callback for callback in trainer.callbacks if not isinstance(callback, WeightAveraging)]
    loggers, trainer.loggers = trainer.loggers, []  # the curves are complete: no point is added to them
    with watched(classifier) as inputs:
        seen = ValidationFeatures(inputs)
        trainer.callbacks.append(seen)
        [figures] = trainer.validate(classifier, datamodule=data, verbose=False)
    trainer.loggers = loggers

    best = best or keep_untrained(checkpoints, trainer)
    logits, labels = (values.numpy() for values in classifier.validated())
    fitted = calibration.fit(logits, labels) if calibration else Fitted()
    classifier.temperature, classifier.threshold = fitted.temperature, fitted.threshold
    used = ("train", "val") if trainer.max_epochs else ("val",)
    reference = seen.reference(data, used[0])
    if trainer.is_global_zero:
        points = operating_points(labels, sigmoid(logits / fitted.temperature))
        keep(fitted, points, reference, fingerprints_of(data, used), best)
        (out / "operating_points.csv").unlink(missing_ok=True)  # of a training before
        if points:
            write_rows(out / "operating_points.csv", points)
        draw(trainer, logits, labels, fitted, out)
    trainer.strategy.barrier()
    before = next((callback.count for callback in trainer.callbacks if isinstance(callback, TrainedBefore)), 0)
    speed = next((callback for callback in trainer.callbacks if isinstance(callback, Throughput)), None)
    cost = {}
    if speed and speed.seconds:
        cost = {"train_seconds": speed.seconds, "images_per_second": speed.images / speed.seconds}
    return {
        **validation_figures(logits, labels, fitted),
        # Not the loss: of certain mistakes the tests' log-loss, and with it the interval, stays finite.
        **{name: value for name, value in figures.items() if name.startswith("val/") and name != "val/loss"},
        **({"val/trained_on_before": before} if before else {}),
        "epochs": epochs,
        **cost,
        "parameters": sum(parameter.numel() for parameter in classifier.parameters()),
        "best_epoch": best_epoch,
        "checkpoint": best,
        "checkpoint_digest": digest_of(Path(best)),
    }


def validation_figures(logits: np.ndarray, labels: np.ndarray, fitted: Fitted) -> dict[str, Any]:
    """All figures at threshold 0.5 with their intervals, and those that calibration changes after it."""
    raw = Evaluation(labels, sigmoid(logits), 0.5).flat("val/")
    del raw["val/threshold"]  # the metrics' own, not the fitted one
    # The metrics call a precision 0 where no image was called so: of no trials it may be anything.
    for name in ("val/precision_real", "val/precision_fake"):
        raw = {f"{name}_low": 0.0, f"{name}_high": 1.0} | raw
    after = Evaluation(labels, sigmoid(logits / fitted.temperature), fitted.threshold)
    changed = {
        "accuracy": after.accuracy()[:2],
        **{f"recall_{row['class'].lower()}": (row["recall"], row["recall_interval"]) for row in after.per_class()},
        "loss": after.log_loss(),
        "ece": after.calibration_error(),
        "brier": after.brier(),
    }
    calibrated = {}
    for name, (value, interval) in changed.items():
        calibrated |= named(f"val/calibrated/{name}", value, interval)
    chosen = {"temperature": fitted.temperature, "threshold": fitted.threshold}
    return raw | calibrated | chosen


def fingerprints_of(data: ImageDataModule, names: Sequence[str]) -> torch.Tensor:
    """Of the images of some splits, by which a test knows them wherever they lie; int64, sorted."""
    rows = np.concatenate([data.splits[name].rows for name in names])
    return torch.from_numpy(np.unique(fingerprints(data.images.table[rows])))


def keep(fitted: Fitted, points: list[OperatingPoint], reference: Reference, trained: torch.Tensor, path: str) -> None:
    """Writes temperature, threshold, other thresholds, what the images were like and which they were into best.ckpt."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    found = {**vars(fitted), "operating_points": points, "reference": reference.plain()}
    checkpoint["fakereal"] |= found | {"trained": trained}
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)


def draw(trainer: L.Trainer, logits: np.ndarray, labels: np.ndarray, fitted: Fitted, out: Path) -> None:
    """The reliability diagram before and after, as reliability.png and in TensorBoard."""
    curves = {
        "as trained": (labels, sigmoid(logits)),
        f"temperature {fitted.temperature:.2f}": (labels, sigmoid(logits / fitted.temperature)),
    }
    figure = reliability_figure(curves, "Validation")
    save_png(figure, out / "reliability.png")
    if board := tensorboard_of(trainer):
        show_saved(board, "val/reliability", figure, trainer.global_step)
