"""Corruption x severity at the frozen threshold and temperature: checkpoints and data to tables and figures."""

import difflib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from matplotlib.figure import Figure
from omegaconf import DictConfig, ListConfig, OmegaConf

from fakereal.config.schema import problems
from fakereal.data.loader import Share
from fakereal.data.transforms.corruptions import CLEAN, CORRUPTIONS
from fakereal.evaluation.evaluation import Evaluation
from fakereal.models.ensemble import Ensemble, combine
from fakereal.presentation.plots import save_png
from fakereal.presentation.rows import write_rows
from fakereal.runs.image_digests import ImageDigests
from fakereal.runs.ledger import check_ledger, record_look
from fakereal.runs.provenance import provenance
from fakereal.runtime.environment import prepare
from fakereal.runtime.errors import UserError
from fakereal.runtime.files import write_json
from fakereal.runtime.memory import explained_out_of_memory
from fakereal.testing.answers import one_device, refuse_no_numbers
from fakereal.testing.cells import Asked, Cell, Cells
from fakereal.testing.corruption_plots import curves_figure, examples_figure
from fakereal.testing.corruption_table import print_robustness
from fakereal.testing.degradation import MEANS, cell_figures, summarize
from fakereal.testing.images import opened
from fakereal.testing.result import origin
from fakereal.testing.trained_on import rows_of_training, warn_of_other_images


def robustness(cfg: DictConfig) -> dict[str, Any]:
    """Tests `cfg.ckpt_path` on corrupted images; leaves robustness.csv, metrics.json, figures, provenance.json.

    The clean images of the test split are a look at it, which the ledger counts; `split=val` is none.
    """
    if found := list(dict.fromkeys((*problems(cfg), *mistakes(cfg)))):
        raise UserError("\n".join(found))
    if cfg.split == "test":
        check_ledger(cfg.ledger)
    out = Path(HydraConfig.get().runtime.output_dir)
    prepare(cfg)
    members, data = opened(cfg)
    data.prepare_data()
    data.setup()
    warn_of_other_images(cfg.data, data, members, rows_of_training(data, members))
    split = data.rows_of(cfg.split)
    positions = first_of_each_class(split.labels, cfg.limit)

    cells = Cells(split, positions, data.batch_size, chosen_cells(cfg), cfg.seed)
    asked = Asked(Ensemble(members))
    trainer = one_device(cfg.trainer)
    with explained_out_of_memory(data.batch_size, members[0].classifier.hparams.image_size):
        trainer.test(asked, dataloaders=cells, verbose=False)
    refuse_no_numbers(asked.of_cell(0, 1), cfg.ckpt_path)
    rows = evaluate(cells, asked, split.labels[positions])

    metrics = {
        **summed_up(rows, cfg.split),
        f"{cfg.split}/threshold": asked.ensemble.threshold,
        **origin(members),
    }
    metrics |= ImageDigests.of_data(data).named()
    look = record_look(Path(cfg.ledger), metrics, out)[1] if cfg.split == "test" else None
    write_rows(out / "robustness.csv", rows)
    images = f"{len(positions):,} of {len(split):,} {cfg.split} images as stored, {data.size} x {data.size} px"
    save_png(curves_figure(rows, f"Robustness, {images}, 95% intervals"), out / "robustness.png")
    save_png(examples(cells), out / "examples.png")
    write_json(out / "provenance.json", provenance(trainer, data))
    write_json(out / "metrics.json", metrics | ({"look": look} if look else {}))
    print_robustness(rows, images, out, look)
    return metrics


def mistakes(cfg: DictConfig) -> Iterator[str]:
    """A line for each name that no corruption has and each checkpoint that is not there."""
    for name in _listed(cfg.corruptions):
        if isinstance(name, str) and name not in (*CORRUPTIONS, "all"):
            near = difflib.get_close_matches(name, CORRUPTIONS, 1, 0.5)
            meant = f"Did you mean {near[0]}? " if near else ""
            yield f"`corruptions`: there is no {name!r}. {meant}There are: all, {', '.join(CORRUPTIONS)}."
    for path in [] if OmegaConf.is_missing(cfg, "ckpt_path") else _listed(cfg.ckpt_path):
        if isinstance(path, str) and not os.path.isfile(os.path.expanduser(path)):
            yield f"ckpt_path={path} does not exist. Give the path of a checkpoint written by fakereal.train."


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, ListConfig) else [value]


def chosen_cells(cfg: DictConfig) -> list[Cell]:
    """The clean images once, then each chosen corruption in the order of CORRUPTIONS at each chosen severity."""
    names = _listed(cfg.corruptions)
    names = [name for name in CORRUPTIONS if name in names or "all" in names]
    return [(CLEAN, 0), *((name, severity) for name in names for severity in sorted(set(cfg.severities)))]


def first_of_each_class(labels: np.ndarray, limit: int | None) -> np.ndarray:
    """Positions (N,), ascending, of the first images of each class, `limit` in all and in its share of each."""
    positions = [np.flatnonzero(labels == label) for label in (0, 1)]
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    fake = min(max(1, round(limit * len(positions[1]) / len(labels))), limit - 1)
    return np.sort(np.concatenate([positions[0][: limit - fake], positions[1][:fake]]))


def evaluate(cells: Cells, asked: Asked, labels: np.ndarray) -> list[dict[str, Any]]:
    """A row a cell, the clean one first: what it is, mean absolute change of a pixel (0 to 255), and figures."""
    rows: list[dict[str, Any]] = []
    for number, (name, severity) in enumerate(cells.cells):
        probabilities = asked.of_cell(number, len(cells.cells))
        evaluation = Evaluation(labels, combine(probabilities), asked.ensemble.threshold)
        figures = cell_figures(evaluation, rows[0]["oracle_accuracy"] if rows else None)
        corruption = CORRUPTIONS.get(name)
        strength = corruption.text(corruption.strengths[severity - 1]) if corruption else ""
        known = {"corruption": name, "severity": severity, "strength": strength, "images": len(labels)}
        rows.append({**known, "change": cells.change(number), **figures})
    return rows


def summed_up(rows: list[dict[str, Any]], split: str) -> dict[str, Any]:
    """The clean figures as SPLIT/NAME; MEANS over the cells of each corruption, and over all of them."""
    of_grid = ("corruption", "severity", "strength", "change", "lost_to_ranking")
    figures = {f"{split}/{name}": value for name, value in rows[0].items() if name not in of_grid}
    summary = summarize(rows)
    overall = {name: float(np.mean([row[name] for row in rows[1:]])) for name in MEANS}
    for path, means in {"robustness": overall, **{f"robustness/{name}": summary[name] for name in summary}}.items():
        figures |= {f"{path}/{name}": value for name, value in means.items()}
    return figures | {"robustness/worst": next(iter(summary))}


def examples(cells: Cells) -> Figure:
    """The first image of each class under each cell."""
    labels = cells.split.labels[cells.positions]
    pair = cells.positions[[int(np.argmax(labels == label)) for label in (0, 1)]]
    batch = cells.split[Share(pair, np.ones(2, np.float32))]
    return examples_figure(batch["image"], batch["index"], cells.cells, cells.seed)
