"""One look at a test split: checkpoints and data to figures, tables, plots and a line in the ledger."""

import csv
import logging
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig

from fakereal import CLASSES
from fakereal.config.build import build
from fakereal.config.schema import check
from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.groups import by_group, macro_means, worst
from fakereal.evaluation.operating import OperatingPoint, measured_at
from fakereal.explanation.gallery import Examined, make_gallery, write_gallery
from fakereal.models.checkpoint import Loaded
from fakereal.models.ensemble import combine, mean_threshold
from fakereal.models.far import Far, FarImages
from fakereal.runs.images import Images
from fakereal.runs.ledger import check_ledger, record_look
from fakereal.runs.provenance import provenance
from fakereal.runtime.environment import prepare
from fakereal.runtime.errors import UserError
from fakereal.runtime.files import write_json
from fakereal.runtime.memory import explained_out_of_memory
from fakereal.testing.groups import group_names
from fakereal.testing.images import (
    opened,
    rows_of_training,
    seen_in_training,
    warn_of_other_images,
    without_leaked,
)
from fakereal.testing.members import each_member
from fakereal.testing.output import Tables, print_evaluation, write_figures
from fakereal.training.callbacks import progress_bar
from fakereal.training.profiling import profiler_of

log = logging.getLogger(__name__)


def test(cfg: DictConfig) -> dict[str, Any]:
    """Tests `cfg.ckpt_path`; leaves metrics.json, predictions.csv, figures, gallery/ and the ledger entry."""
    check(cfg)
    check_ledger(cfg.ledger)
    out = Path(HydraConfig.get().runtime.output_dir)
    prepare(cfg)
    members, data = opened(cfg)
    data.need_both = False  # of one class there are fewer figures
    collected, far = Probabilities(), Far(members)
    trainer = one_device(cfg.trainer, collected, FarImages(far))

    for member in members:
        with explained_out_of_memory(data.batch_size, member.classifier.hparams.image_size):
            trainer.test(member.classifier, datamodule=data, verbose=False)
    trained = rows_of_training(data, members)
    warn_of_other_images(cfg.data, data, members, trained)
    split, probabilities = data.splits["test"], np.stack(collected.members)
    refuse_no_numbers(probabilities, cfg.ckpt_path)
    evaluation = Evaluation(split.labels, combine(probabilities), mean_threshold(members))

    far.see_sizes(*data.file_sizes("test"))
    distance = {f"test/far/{name}": figure for name, figure in far.figures().items()}
    metrics = {**evaluation.flat("test/"), **without_leaked(evaluation, data, trained), **distance, **origin(members)}
    metrics |= seen_in_training(data, trained)
    metrics |= Images(data.images.digest, data.images.files_digest).named()
    names = [data.images.names[row] for row in split.rows]
    named = group_names(data, names, cfg.group_depth)
    groups = by_group(evaluation, named, np.isin(split.rows, trained) if len(trained) else None)
    metrics |= {f"test/groups/{name}": figure for name, figure in macro_means(groups).items()}
    metrics["group_depth"] = cfg.group_depth
    entry, look = record_look(Path(cfg.ledger), metrics, out)
    write_predictions(out / "predictions.csv", names, evaluation)
    for file in ("groups.png", "roc.png", "precision_recall.png"):  # of a test before
        (out / file).unlink(missing_ok=True)
    tables = Tables(groups, measured_points(members, evaluation), each_member(members, probabilities, evaluation))
    tables.write(out)
    classifiers = [member.classifier for member in members]
    shown = [row["group"] for row in worst(groups)]
    examined = Examined(classifiers, evaluation, split, named, shown)
    sheets = make_gallery(examined, cfg.gallery, trainer.strategy.root_device)
    write_gallery(out / "gallery", sheets, examined)
    write_figures(evaluation, metrics, groups, sheets, out)
    write_json(out / "provenance.json", provenance(trainer, data, list(HydraConfig.get().overrides.task)))
    write_json(out / "metrics.json", metrics | {"look": look})
    whose = "as the checkpoint says" if len(members) == 1 else "the mean of the checkpoints'"
    print_evaluation(evaluation, metrics, out, look, entry, tables, "given" if cfg.threshold else whose)
    far.tell()
    return metrics


def measured_points(members: list[Loaded], evaluation: Evaluation) -> list[OperatingPoint]:
    """What the operating points chosen on validation come to here; none of several members: their mean has none."""
    if len(members) > 1:
        return []
    chosen = [(point["max_fpr"], point["threshold"]) for point in members[0].operating_points]
    return measured_at(chosen, evaluation.labels, evaluation.probabilities)


def one_device(node: DictConfig, *callbacks: Callback) -> L.Trainer:
    """A trainer that answers in the order of images, whatever the node says of devices; at most a profile is left."""
    bars = [progress_bar()] if node.enable_progress_bar else []
    one = {"devices": 1, "num_nodes": 1, "strategy": "auto", "limit_test_batches": 1.0, "fast_dev_run": False}
    profiler = profiler_of(node, Path(HydraConfig.get().runtime.output_dir))
    return build(node, callbacks=[*bars, *callbacks], logger=False, enable_checkpointing=False, **one, **profiler)


def refuse_no_numbers(probabilities: np.ndarray, ckpt_path: object) -> None:
    """UserError where one of the probabilities (members, N) is nan: it would count as REAL."""
    if bad := int((~np.isfinite(probabilities)).any(0).sum()):
        raise UserError(
            f"ckpt_path={ckpt_path}: the network gave no number (nan) for {bad:,} of {probabilities.shape[1]:,} "
            "images. Try trainer.precision=32-true."
        )


def origin(members: list[Loaded]) -> dict[str, Any]:
    """`checkpoint` and `checkpoint_digest`, of an ensemble's lists; `tta`: their test-time augmentation."""
    paths = [str(member.path.absolute()) for member in members]
    digests = [member.digest for member in members]
    tta = ",".join(sorted({member.classifier.hparams.tta for member in members}))
    if len(members) == 1:
        return {"checkpoint": paths[0], "checkpoint_digest": digests[0], "tta": tta}
    return {"checkpoint": paths, "checkpoint_digest": digests, "tta": tta}


class Probabilities(Callback):
    """`members`: for each classifier tested, float32 (N,) probabilities of FAKE in the order of the test split."""

    def __init__(self) -> None:
        self.members: list[np.ndarray] = []
        self.batches: list[torch.Tensor] = []

    def on_test_start(self, *_: Any) -> None:
        self.batches = []

    def on_test_batch_end(self, trainer: Any, pl_module: Any, outputs: torch.Tensor, *_: Any) -> None:
        self.batches.append(outputs.float().cpu())

    def on_test_end(self, *_: Any) -> None:
        self.members.append(torch.cat(self.batches).numpy())


def write_predictions(path: Path, names: list[str], evaluation: Evaluation) -> None:
    """`path,label,prob_fake,prediction`, a row an image."""
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "prob_fake", "prediction"))
        for name, label, p, said in zip(
            names,
            evaluation.labels.astype(int),
            evaluation.probabilities,
            evaluation.predictions,
            strict=True,
        ):
            writer.writerow((name, CLASSES[label], f"{p:.7g}", CLASSES[said]))
