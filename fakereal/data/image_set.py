"""What a data module opens: images in rows."""

from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b, sha256

import numpy as np

from fakereal.data.folder_names import UNSPLIT
from fakereal.runtime.errors import UserError


class ImageSet:
    """Images in rows: a store on disk, or arrays in memory.

    table: structured array (N,), at least of split, label, hash, pixel_hash; names: of the images; digest: of all that
    counts of them.
    """

    table: np.ndarray
    names: list[str]
    digest: str

    @cached_property
    def files_digest(self) -> str:
        """Of the files that the images come from, with split and label: the same at whatever size they are stored."""
        return content_digest(self.table, "hash")

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Pixels (B, size, size, 3) uint8."""
        raise NotImplementedError

    def expect(self, rows: np.ndarray) -> None:
        """Told which rows are gathered next; nothing where they are in memory."""

    def as_they_lie(self, rows: np.ndarray) -> np.ndarray:
        """The rows in the order in which they are read soonest."""
        return rows


def content_digest(table: np.ndarray, column: str) -> str:
    """SHA-256 over (split, label, one of the hashes) of all images of a table (N,), sorted."""
    order = np.lexsort((table[column], table["label"], table["split"]))
    state = sha256()
    for name in ("split", "label", column):
        state.update(table[name][order].tobytes())
    return state.hexdigest()


class InMemory(ImageSet):
    """Pixels uint8 (N, H, W, 3) and labels (N,), 0 for REAL and 1 for FAKE; the data module deals them into splits.

    `names`: of the images, `FOLDER/NAME` where a test is to tell accuracy by folder; their numbers unless given.
    """

    def __init__(self, pixels: np.ndarray, labels: np.ndarray, names: Sequence[str] | None = None):
        """UserError for arrays of other kinds or lengths, and for other labels."""
        labels = np.asarray(labels)
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != 3:
            raise UserError(f"pixels must be uint8 (N, H, W, 3), not {pixels.dtype} {pixels.shape}.")
        if labels.shape != pixels.shape[:1] or not np.isin(labels, (0, 1)).all():
            raise UserError(
                f"labels must be one of 0 (REAL) and 1 (FAKE) for each of {len(pixels):,} images, not "
                f"{', '.join(map(str, np.unique(labels)[:5]))} with the shape {labels.shape}."
            )
        if names is not None and len(names) != len(pixels):
            raise UserError(f"{len(names):,} names for {len(pixels):,} images.")
        labels = labels.astype(np.uint8)
        self.pixels = pixels
        hashes = [blake2b(image, digest_size=16).digest() for image in pixels]
        columns = [("split", "u1"), ("label", "u1"), ("hash", "S16"), ("pixel_hash", "S16")]
        self.table = np.empty(len(pixels), dtype=columns)
        self.table["split"], self.table["label"], self.table["hash"] = UNSPLIT, labels, hashes
        self.table["pixel_hash"] = hashes
        self.names = [*names] if names else [f"{number:06d}" for number in range(len(pixels))]
        self.digest = sha256(labels.tobytes() + b"".join(hashes)).hexdigest()

    def gather(self, rows: np.ndarray) -> np.ndarray:
        return self.pixels[rows]
