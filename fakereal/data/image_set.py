"""What a data module opens: images in rows."""

import numpy as np


class ImageSet:
    """Images in rows: a store on disk, or arrays in memory.

    table: structured array (N,), at least of split, label, hash, pixel_hash; names: of the images; digest: of all that
    counts of them.
    """

    table: np.ndarray
    names: list[str]
    digest: str

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Pixels (B, size, size, 3) uint8."""
        raise NotImplementedError

    def expect(self, rows: np.ndarray) -> None:
        """Told which rows are gathered next; nothing where they are in memory."""

    def as_they_lie(self, rows: np.ndarray) -> np.ndarray:
        """The rows in the order in which they are read soonest."""
        return rows
