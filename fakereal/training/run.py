"""One training run, from a config to `metrics.json`."""

import logging
from pathlib import Path
from typing import Any

import lightning as L
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.callbacks import LearningRateMonitor, WeightAveraging
from omegaconf import DictConfig

from fakereal.config.build import build, build_all
from fakereal.config.errors import UserError
from fakereal.config.schema import check
from fakereal.data.sources import printable
from fakereal.data.store import write_json
from fakereal.models.checkpoint import file_digest, load_weights, read_checkpoint
from fakereal.models.classifier import Classifier
from fakereal.training.callbacks import Throughput
from fakereal.training.checkpoints import BestCheckpoint, load_best
from fakereal.training.environment import prepare, refuse_unsafe_ddp
from fakereal.training.figures import log_hparams
from fakereal.training.memory import explained_out_of_memory
from fakereal.training.provenance import provenance
from fakereal.training.summary import print_summary

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> dict[str, Any]:
    """Trains as the config says; leaves checkpoints, metrics.json and provenance.json in Hydra's directory."""
    check(cfg)
    refuse_unsafe_ddp(cfg)
    out = Path(HydraConfig.get().runtime.output_dir)
    resume = find_resume(cfg.ckpt_path, out)
    prepare(cfg)

    L.seed_everything(cfg.seed, verbose=False)
    # Where weights come from a checkpoint, those of the internet are not asked for.
    without = {"pretrained": False, "weights": None} if resume or cfg.init_from else {}
    classifier = build(cfg.model, optimizer=build(cfg.optimizer), scheduler=build(cfg.scheduler), **without)
    if resume:
        load_weights(classifier, read_checkpoint(resume), resume, "ckpt_path")  # told here if they do not fit
    elif cfg.init_from:
        start = read_checkpoint(cfg.init_from, "init_from")
        own = {name: getattr(classifier, name) for name in ("mean", "std", "pos_weight")}  # this run's config
        load_weights(classifier, start | {"state_dict": start["state_dict"] | own}, cfg.init_from, "init_from")
    data = build(cfg.data)
    callbacks, loggers = build_all(cfg.callbacks), build_all(cfg.logger)
    if not loggers:  # it refuses to run where nobody listens
        callbacks = [callback for callback in callbacks if not isinstance(callback, LearningRateMonitor)]
    trainer = build(cfg.trainer, callbacks=callbacks, logger=loggers)

    (out / "metrics.json").unlink(missing_ok=True)  # there again when the run is complete
    with explained_out_of_memory(data.batch_size, classifier.hparams.image_size):
        trainer.fit(classifier, datamodule=data, ckpt_path=resume)
        metrics = best_metrics(trainer, classifier, data)
    log_hparams(trainer, hparams(cfg), metrics)
    if trainer.is_global_zero:
        write_json(out / "provenance.json", provenance(trainer, data, list(HydraConfig.get().overrides.task)))
        write_json(out / "metrics.json", metrics)
        print_summary(cfg, metrics, out)
    return metrics


def find_resume(ckpt_path: str | None, out: Path) -> str | None:
    """The checkpoint to resume from, if any; UserError where an explicit one cannot be used."""
    if not isinstance(ckpt_path, str | None):
        raise UserError(f"ckpt_path={list(ckpt_path)}: a training resumes from one checkpoint. Give one path.")
    if ckpt_path != "last":
        if ckpt_path:
            read_checkpoint(ckpt_path)
        return ckpt_path
    last = out / "checkpoints" / "last.ckpt"
    if not last.exists():
        log.info("ckpt_path=last: there is no %s yet; training starts anew", last)
        return None
    read_checkpoint(last)
    log.info("Resuming from %s", last)
    return str(last)


def best_metrics(trainer: L.Trainer, classifier: Classifier, data: L.LightningDataModule) -> dict[str, Any]:
    """The figures of best.ckpt, validated once more, and what the run cost."""
    checkpoints = trainer.checkpoint_callback
    if not isinstance(checkpoints, BestCheckpoint):
        raise UserError("callbacks.checkpoint is needed: metrics.json holds the figures of best.ckpt.")
    speed = next((c for c in trainer.callbacks if isinstance(c, Throughput)), None)
    epochs = trainer.current_epoch
    best, best_epoch = load_best(checkpoints, classifier)
    # An averaging callback would swap its last average in for the weights of best.ckpt.
    trainer.callbacks = [callback for callback in trainer.callbacks if not isinstance(callback, WeightAveraging)]
    loggers, trainer.loggers = trainer.loggers, []  # the curves are complete: no point is added to them
    [figures] = trainer.validate(classifier, datamodule=data, verbose=False)
    trainer.loggers = loggers
    cost = {}
    if speed and speed.seconds:
        cost = {"train_seconds": speed.seconds, "images_per_second": speed.images / speed.seconds}
    return {
        **{name: value for name, value in sorted(figures.items()) if name.startswith("val/")},
        **confusion(classifier),
        "epochs": epochs,
        **cost,
        "parameters": sum(parameter.numel() for parameter in classifier.parameters()),
        "best_epoch": best_epoch,
        "checkpoint": best,
        "checkpoint_digest": file_digest(Path(best)),
    }


def confusion(classifier: Classifier) -> dict[str, int]:
    """How many images the last validation saw, and its true and false negatives and positives (FAKE: positive)."""
    (tn, fp), (fn, tp) = classifier.val_confusion.compute().tolist()
    return {"val/images": tn + fp + fn + tp, "val/tn": tn, "val/fp": fp, "val/fn": fn, "val/tp": tp}


def hparams(cfg: DictConfig) -> dict[str, Any]:
    """What TensorBoard's HPARAMS tab compares runs by: the usual keys, and whatever was overridden."""
    usual = {
        "model": cfg.model.backbone,
        "optimizer.lr": cfg.optimizer.lr,
        "data.batch_size": cfg.data.batch_size,
        "trainer.max_epochs": cfg.trainer.max_epochs,
        "seed": cfg.seed,
    }
    given = [word.lstrip("+~").partition("=") for word in HydraConfig.get().overrides.task]
    return {**{key: printable(value) for key, _, value in given if key not in usual}, **usual}
