"""All that an audit finds, as figures: what the verdicts, the page and audit.json are made of."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from omegaconf import DictConfig

from fakereal.auditing.baselines import baselines
from fakereal.auditing.duplicates import Contents, contents, identical, identical_by_group, similar
from fakereal.auditing.features import file_features, pixel_features
from fakereal.auditing.near import Near, near_duplicates
from fakereal.auditing.pixels import Pixels, pixel_facts
from fakereal.auditing.shortcuts import Shortcut, fit_each, measure
from fakereal.config.build import build
from fakereal.data.cifake import Cifake
from fakereal.data.datamodule import ImageDataModule
from fakereal.data.folder_names import UNSPLIT
from fakereal.data.known import refuse_no_images
from fakereal.runtime.errors import UserError
from fakereal.runtime.progress import bar

log = logging.getLogger(__name__)
SMALLEST = 9  # pixels a side, of which a perceptual hash has 8 x 8 frequencies
FEWEST = 10  # images of each class to fit on and to measure on; with fewer no interval leaves 0.5 to 1


@dataclass
class AuditFindings:
    """Figures of N images, in the order of the image set.

    part: (N,) 0, 1 or 2 for train, val and test: as the tree has them, or a test split carved from it; validation
    carved from train counts as train. label: (N,) of 0 and 1. counts: by "exact" (bytes), "pixels" and "near".
    measured_on: the split of the shortcuts' AUROC; empty where `unmeasured` says why there are none.
    baselines: see `baselines.baselines`; empty where validation is too small.
    """

    cfg: DictConfig
    data: ImageDataModule
    part: np.ndarray
    label: np.ndarray
    pixels: Pixels
    bytes: Contents
    same: Contents
    near: Near
    counts: dict[str, dict[str, int]]
    by_cifar_class: dict[str, dict[str, int]]
    shortcuts: list[Shortcut]
    measured_on: str
    unmeasured: str
    baselines: dict[str, dict[str, Any]]

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Name of each file that cannot be read, and why."""
        return [(name, why) for name, why in getattr(self.data.images, "meta", {}).get("skipped", ())]


def find(cfg: DictConfig) -> AuditFindings:
    """Opens the data set, decoding it where that was not done before, and looks at everything."""
    refuse_no_images(cfg.data)
    if cfg.data.size < SMALLEST:
        raise UserError(f"`data.size` must be at least {SMALLEST} for an audit, got {cfg.data.size}: raise it.")
    data = build(cfg.data)
    data.need_both, data.settings["drop_duplicates"] = False, False  # an audit looks at what there is
    data.prepare_data()
    data.setup()
    images, part, label = data.images, parts(data), data.images.table["label"].astype(int)
    exact, same = (contents(images.table[column], part, label) for column in ("hash", "pixel_hash"))
    with bar("Looking at the pixels", len(part)) as advance:
        pixels = pixel_facts(images, advance)
    rows = same.first[~pixels.flat[same.first]]
    with bar("Comparing", 1.0) as advance:
        limits = {"distance": cfg.near.distance, "correlation": cfg.near.correlation}
        near = near_duplicates(images, rows, pixels.hashes[rows], **limits, advance=advance)
    counts = {"exact": identical(exact), "pixels": identical(same)}
    counts["near"] = similar(same, same.of[near.pairs[near.found]])
    by_class = {}
    if isinstance(data, Cifake):
        classes = np.array([data.group_of(name) for name in images.names])
        by_class = identical_by_group(classes, images.table["hash"], part, label)
    found = (pixels, exact, same, near, counts, by_class, *_shortcuts(data, pixels, label, cfg.test))
    return AuditFindings(cfg, data, part, label, *found)


def parts(data: ImageDataModule) -> np.ndarray:
    """0, 1 or 2 (N,) for train, val and test; a validation split carved from train is train."""
    part = np.zeros(len(data.images.table), dtype=int)
    part[data.splits["test"].rows] = 2
    part[data.images.table["split"] == 1] = 1
    return part


def _shortcuts(
    data: ImageDataModule, pixels: Pixels, label: np.ndarray, test: bool
) -> tuple[list[Shortcut], str, str, dict[str, dict[str, Any]]]:
    """Fitted on train, measured on val, or if `test` allows it on test where val is too small: none is of the fit.

    Baselines are measured on val, and if `test` allows it on test as well.
    """
    fewest = {name: min(int((split.labels == cls).sum()) for cls in (0, 1)) for name, split in data.splits.items()}
    allowed = ("val", "test") if test else ("val",)
    measured_on = next((name for name in allowed if fewest[name] >= FEWEST), "")
    if fewest["train"] < FEWEST or not measured_on:
        sizes = ", ".join(f"{count} in {name}" for name, count in fewest.items())
        why = f"the rarer class has {sizes}; train and val need {FEWEST} each"
        if not test and min(fewest["train"], fewest["test"]) >= FEWEST:
            why += " (test=true measures them on test, which the ledger counts as a look)"
        return [], "", why, {}
    with bar("Fitting", 1.0) as advance:
        features = file_features(data.images) | pixel_features(pixels)
        rows = {name: split.rows for name, split in data.splits.items()}
        fitted = fit_each(features, label, rows["train"], advance)
        shortcuts = measure(features, fitted, label, rows[measured_on])
    wanted = ["train", "val", *(["test"] if test and fewest["test"] >= FEWEST else [])]
    cheap = baselines(features, fitted, label, {name: rows[name] for name in wanted}) if measured_on == "val" else {}
    return shortcuts, measured_on, "", cheap


def divided(data: ImageDataModule) -> str:
    """Where the test split comes from, in words."""
    split = data.images.table["split"]
    if (split == 2).any():
        return "the data set's own"
    if not len(data.splits["test"]):
        return "none"
    whole = "all images" if (split == UNSPLIT).all() else "train"
    said = data.settings
    return f"carved from {whole} (data.test_fraction={said['test_fraction']:g}, data.split_seed={said['split_seed']})"
