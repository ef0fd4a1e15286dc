"""What a training is told of its splits: what would flatter or spoil its figures."""

import logging

import numpy as np

from fakereal import CLASSES
from fakereal.data.folder_names import UNSPLIT
from fakereal.data.split import leaked

log = logging.getLogger(__name__)
FEW = 8  # images of a class on validation


def tell_of_splits(table: np.ndarray, rows: dict[str, np.ndarray], drop_duplicates: bool) -> None:
    """Warnings of rows of an image set's table, as they are dealt to train, val and test."""
    if not drop_duplicates:
        _tell_leaked(table, rows)
    _tell_unsplit(table)
    _tell_few(table, rows)


def _tell_leaked(table: np.ndarray, rows: dict[str, np.ndarray]) -> None:
    masks = leaked(table, rows)
    if found := [f"{mask.sum():,} of {len(mask):,} {name}" for name, mask in masks.items() if mask.any()]:
        log.warning(
            "%s images are also in the test split, which flatters test figures; leave them out with "
            "data.drop_duplicates=true", " and ".join(found),
        )  # fmt: skip


def _tell_unsplit(table: np.ndarray) -> None:
    split = table["split"]
    unsplit = int((split == UNSPLIT).sum())
    if unsplit and (split == 2).any():  # of several roots, say
        log.warning(
            "%s of %s images are in no folder named after a split, though others are: none of them is tested",
            f"{unsplit:,}", f"{len(split):,}",
        )  # fmt: skip


def _tell_few(table: np.ndarray, rows: dict[str, np.ndarray]) -> None:
    counts = np.bincount(table["label"][rows["val"]].astype(int), minlength=len(CLASSES))
    fewest = int(counts.argmin())
    if 0 < counts[fewest] < FEW:
        log.warning(
            "best.ckpt is chosen on validation, which has only %d %s: raise data.val_fraction",
            *(counts[fewest], CLASSES[fewest]),
        )
