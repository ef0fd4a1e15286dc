"""What a training is told of its splits: what would flatter or spoil its figures."""

import logging

import numpy as np

from fakereal import CLASSES
from fakereal.data.folder_names import UNSPLIT
from fakereal.data.split import leaked
from fakereal.data.store.decode import Resize

log = logging.getLogger(__name__)
FEW = 8  # images of a class on validation


def tell_of_splits(table: np.ndarray, rows: dict[str, np.ndarray], drop_duplicates: bool, resize: Resize) -> None:
    """Warnings of rows of an image set's table, as they are dealt to train, val and test."""
    if not drop_duplicates:
        _tell_leaked(table, rows)
    _tell_shared(table, rows)
    _tell_unsplit(table)
    _tell_few(table, rows)
    _tell_enlarged(table[rows["train"]], resize)


def _tell_leaked(table: np.ndarray, rows: dict[str, np.ndarray]) -> None:
    masks = leaked(table, rows)
    if found := [f"{mask.sum():,} of {len(mask):,} {name}" for name, mask in masks.items() if mask.any()]:
        log.warning(
            "%s images are also in the test split, which flatters test figures; leave them out with "
            "data.drop_duplicates=true", " and ".join(found),
        )  # fmt: skip


def _tell_shared(table: np.ndarray, rows: dict[str, np.ndarray]) -> None:
    """Files of equal bytes are carved together; the same pixels in files of other formats are not."""
    pixels = table["pixel_hash"]
    shared = int(np.isin(pixels[rows["val"]], pixels[rows["train"]]).sum())
    if shared:
        log.warning(
            "%s of %s validation images are also in train, as files of other bytes: that flatters validation "
            "and what is chosen by them. Remove one of each two (python -m fakereal.audit lists duplicates)",
            f"{shared:,}", f"{len(rows['val']):,}",
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


def _tell_enlarged(train: np.ndarray, resize: Resize) -> None:
    """Of images that were to be left as they are, those that are too small for it: a clue if one class has more."""
    if resize.aspect != "native" or "width" not in train.dtype.names:
        return
    enlarged = resize.enlarges(train["width"], train["height"])
    if enlarged.any():
        counts = [f"{(enlarged & (train['label'] == label)).sum():,} {cls}" for label, cls in enumerate(CLASSES)]
        log.warning(
            "data.aspect=native: %s images of train have a side shorter than data.size=%d and are enlarged: lower it",
            " and ".join(counts), resize.size,
        )  # fmt: skip
