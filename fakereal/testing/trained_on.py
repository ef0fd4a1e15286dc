"""Which images of a test the networks were trained on, and what is told of it."""

import logging
from typing import Any

import numpy as np
from omegaconf import DictConfig

from fakereal.data.datamodule import ImageDataModule
from fakereal.data.split import fingerprints
from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.intervals import named
from fakereal.models.checkpoint import Loaded

log = logging.getLogger(__name__)


def rows_of_training(data: ImageDataModule, members: list[Loaded]) -> np.ndarray:
    """The rows that were train or val of a network, of other images those of the same file or pixels.

    And those on which its weights were trained before. Copies of its own rows are not counted: they are leaked.
    """
    found, own = [np.empty(0, np.int64)], fingerprints(data.images.table)

    def known(fingerprints: np.ndarray, among: np.ndarray) -> np.ndarray:
        return among[np.isin(own[among], fingerprints).any(1)]

    every = np.arange(len(own))
    for member in members:
        before = np.empty(0, np.int64) if member.trained_before is None else member.trained_before
        if member.data["images"] == data.images.digest:
            dealt = data.dealt(member.data)
            rows = np.concatenate([dealt["train"], dealt["val"]])
            before = np.setdiff1d(before, own[rows])
            found.append(rows if member.trained is None else known(member.trained, rows))  # of no epoch val alone
        elif member.trained is not None:
            found.append(known(member.trained, every))
        found.append(known(before, every))
    return np.concatenate(found)


def warn_of_other_images(node: DictConfig, data: ImageDataModule, members: list[Loaded], trained: np.ndarray) -> None:
    """A line in the log where the data of the checkpoint are no longer the images that it was trained on.

    And one where some were trained on, or where only a part of other images is tested.
    """
    tested, every = len(data.splits["test"]), len(data.images.table)
    if seen := _seen(data, trained):
        log.warning(
            "%s of the %s test images were trained or validated on: their figures say little about other images",
            f"{seen:,}", f"{tested:,}",
        )  # fmt: skip
    elif data.images.digest == members[0].data["images"]:
        return  # its test split
    elif "_target_" in node:
        if tested < every and not (data.images.table["split"] == 2).any():
            log.warning("%s of %s images are tested; data.test_fraction=1 tests all", f"{tested:,}", f"{every:,}")
    elif any(member.trained is None for member in members):
        log.warning(
            "The images are not those of the training: a test split carved anew may hold former training images"
        )


def seen_in_training(data: ImageDataModule, trained: np.ndarray) -> dict[str, int]:
    """How many of the test images were in train or val of a network; empty where none was trained on these images."""
    return {"test/seen_in_training": _seen(data, trained)} if len(trained) else {}


def _seen(data: ImageDataModule, trained: np.ndarray) -> int:
    return len(np.intersect1d(data.splits["test"].rows, trained))


def figures_without_leaked(evaluation: Evaluation, data: ImageDataModule, trained: np.ndarray) -> dict[str, Any]:
    """Accuracy over the test images whose pixels do not also stand in train or val; empty where all are new.

    What data.drop_duplicates leaves out counts as seen unless all networks were trained without it. Empty also where
    none was trained on these images: what is train and val of them is then no training's.
    """
    hashes = data.images.table["pixel_hash"]
    new = ~np.isin(hashes[data.splits["test"].rows], hashes[trained])
    if new.all() or not new.any():
        return {}
    value, interval, count = evaluation.accuracy(new)
    return {**named("test/without_leaked/accuracy", value, interval), "test/without_leaked/images": count}
