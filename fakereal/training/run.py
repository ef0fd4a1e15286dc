"""One training run, from a config to `metrics.json`."""

import logging
from pathlib import Path
from typing import Any

import lightning as L
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.callbacks import LearningRateMonitor, ProgressBar, WeightAveraging
from omegaconf import DictConfig

from fakereal.config.build import build, build_all
from fakereal.config.schema import check
from fakereal.config.words import values_of
from fakereal.models.checkpoint import digest_of, ever_trained, read_checkpoint, restore_weights
from fakereal.models.classifier import Classifier
from fakereal.runs.provenance import provenance
from fakereal.runtime.environment import prepare
from fakereal.runtime.errors import UserError
from fakereal.runtime.files import write_json
from fakereal.runtime.memory import explained_out_of_memory, released
from fakereal.runtime.text import printable
from fakereal.sweeps.jobs import in_sweep
from fakereal.training.averaging import SyncBatchNorm
from fakereal.training.best import best_metrics
from fakereal.training.figures import build_loggers, log_hparams, show_gallery, tensorboard_of
from fakereal.training.launched import ending_together
from fakereal.training.profiling import profiler_of, skip_idle_hooks
from fakereal.training.refusals import (
    compare_reading,
    refuse,
    refuse_fewer_epochs,
    refuse_random_head,
    refuse_several_choices,
    refuse_sync_batchnorm_on_cpu,
    refuse_thawing_in_ddp,
    refuse_without_best,
)
from fakereal.training.seen import TrainedBefore
from fakereal.training.spawned import in_ranks, ranks_to_start
from fakereal.training.summary import print_summary

log = logging.getLogger(__name__)
LAST = Path("checkpoints", "last.ckpt")


def train(cfg: DictConfig) -> dict[str, Any]:
    """Trains as the config says; leaves checkpoints, metrics.json and provenance.json in Hydra's directory."""
    refuse_several_choices()
    check(cfg)
    refuse(cfg)
    ranks = ranks_to_start(cfg)
    with released():
        return in_ranks(train_here, cfg, ranks) if ranks else train_here(cfg)


def train_here(cfg: DictConfig) -> dict[str, Any]:
    """`train`, as this process's rank of it."""
    out = Path(HydraConfig.get().runtime.output_dir)
    # A job of a sweep that was begun before goes on; a single run does so when it is asked to.
    goes_on = in_sweep() and cfg.ckpt_path is None and (out / LAST).exists()
    resume, checkpoint = find_resume("last" if goes_on else cfg.ckpt_path, out)
    prepare(cfg)

    L.seed_everything(cfg.seed, verbose=False)
    # Where weights come from a checkpoint, those of the internet are not asked for.
    without = {"pretrained": False, "weights": None} if resume or cfg.init_from else {}
    if resume and cfg.model.get("normalization") == "dataset":  # the same images: not gone through again
        without["normalization"] = checkpoint["hyper_parameters"].get("normalization", "dataset")
    trains, begun = cfg.trainer.max_epochs > 0, weights_of(cfg)
    scheduler = build(cfg.scheduler) if trains else None  # of no steps
    classifier = build(cfg.model, optimizer=build(cfg.optimizer), scheduler=scheduler, **without)
    give_weights(classifier, cfg, resume, checkpoint)
    goes_on_at = checkpoint and checkpoint.get("global_step")
    checkpoint = None  # Lightning reads the file again: its memory is free for the training
    data = build(cfg.data)
    callbacks, loggers = build_all(cfg.get("callbacks")), build_loggers(cfg.get("logger"), goes_on_at)
    refuse_without_best(callbacks)
    # Lightning refuses to run with what has no logger to write to, and with a bar that is not wanted.
    idle = (*([] if loggers else [LearningRateMonitor]), *([] if cfg.trainer.enable_progress_bar else [ProgressBar]))
    idle += () if trains else (WeightAveraging,)
    callbacks = [callback for callback in callbacks if not isinstance(callback, idle)]
    callbacks += [TrainedBefore()] if cfg.init_from else []
    calibration = build(cfg.calibration)
    # Which algorithms are fastest may be others each time; and PyTorch then passes over `deterministic`.
    given = {"benchmark": False} if cfg.trainer.deterministic else {}
    if cfg.trainer.get("sync_batchnorm"):
        given |= {"sync_batchnorm": False, "plugins": [*(build(cfg.trainer.get("plugins")) or []), SyncBatchNorm()]}
    skip_idle_hooks(callbacks)
    trainer = build(cfg.trainer, callbacks=callbacks, logger=loggers, **given, **profiler_of(cfg.trainer, out))
    refuse_thawing_in_ddp(classifier.hparams.freeze, trainer.strategy)
    refuse_sync_batchnorm_on_cpu(cfg.trainer, trainer.strategy)

    with explained_out_of_memory(data.batch_size, classifier.hparams.image_size), ending_together(trainer):
        if trains:
            trainer.fit(classifier, datamodule=data, ckpt_path=resume)
        else:
            log.info("trainer.max_epochs=0: the network is not trained, but measured and calibrated on validation")
        metrics = best_metrics(trainer, classifier, data, calibration, out)
    log_hparams(trainer, hparams(cfg), metrics)
    if trainer.is_global_zero:
        write_json(out / "provenance.json", provenance(trainer, data) | begun)
        write_json(out / "metrics.json", metrics)
        show_gallery(trainer, classifier)
        print_summary(cfg, metrics, out)
    if board := tensorboard_of(trainer):
        board.close()  # it was opened again after the training, with a thread
    return metrics


def find_resume(ckpt_path: str | None, out: Path) -> tuple[str | None, dict[str, Any] | None]:
    """The checkpoint to resume from and what it holds, or two None; UserError where an explicit one cannot be used."""
    if not isinstance(ckpt_path, str | None):
        raise UserError(f"ckpt_path={list(ckpt_path)}: a training resumes from one checkpoint. Give one path.")
    if ckpt_path is None:
        return None, None
    if ckpt_path != "last":
        checkpoint = read_checkpoint(ckpt_path)
        if not {"optimizer_states", "loops"} <= set(checkpoint):
            raise UserError(
                f"ckpt_path={ckpt_path} holds only weights: start a new training with init_from={ckpt_path}."
            )
        return ckpt_path, checkpoint
    last = out / LAST
    if not last.exists():
        log.info("ckpt_path=last: there is no %s yet; starting a new training", last)
        return None, None
    checkpoint = read_checkpoint(last)
    log.info("Resuming from %s", last)
    return str(last), checkpoint


def give_weights(
    classifier: Classifier, cfg: DictConfig, resume: str | None, checkpoint: dict[str, Any] | None
) -> None:
    """Those of the checkpoint to resume from or of `init_from`; told here, before anything is written, if unfit."""
    if checkpoint is not None:
        refuse_fewer_epochs(checkpoint, cfg.trainer.max_epochs)
        restore_weights(classifier, checkpoint, resume, "ckpt_path")
    elif cfg.init_from:
        start = read_checkpoint(cfg.init_from, "init_from")
        compare_reading(cfg, start)
        if not cfg.trainer.max_epochs:  # pixels are normalised as those weights were trained
            if any(word.startswith("model.normalization=") for word in HydraConfig.get().overrides.task):
                log.warning("model.normalization= is not used: it stays as the weights of init_from= were trained")
            classifier.normalize_by(start["hyper_parameters"]["normalization"])
        own = {name: getattr(classifier, name) for name in ("mean", "std", "pos_weight")}  # this run's config
        restore_weights(classifier, start | {"state_dict": start["state_dict"] | own}, cfg.init_from, "init_from")
        classifier.trained_before = ever_trained(start)
        if "trained" not in start["fakereal"]:
            log.warning("init_from=%s does not say which images it was trained on: no test can tell", cfg.init_from)
    elif not cfg.trainer.max_epochs:
        refuse_random_head(classifier, cfg.model.get("weights"), cfg.model.get("pretrained"))


def weights_of(cfg: DictConfig) -> dict[str, Any]:
    """`weights`, the name and digest of the file that the weights of a training come from; empty without one."""
    path = cfg.init_from or cfg.model.get("weights")
    if not path or not (file := Path(path).expanduser()).is_file():  # it may be gone when a training is resumed
        return {}
    return {"weights": {"file": file.name, "sha256": digest_of(file)}}


def hparams(cfg: DictConfig) -> dict[str, Any]:
    """What TensorBoard's HPARAMS tab compares runs by: the usual keys, and whatever was overridden."""
    usual = {
        "model": cfg.model.backbone,
        "optimizer.lr": cfg.optimizer.get("lr", ""),
        "data.batch_size": cfg.data.batch_size,
        "trainer.max_epochs": cfg.trainer.max_epochs,
        "seed": cfg.seed,
    }
    given = values_of(HydraConfig.get().overrides.task)
    return {**{key: printable(value) for key, value in given.items() if key not in usual}, **usual}
