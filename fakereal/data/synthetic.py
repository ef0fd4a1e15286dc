"""`data=synthetic`: generated on the spot; nothing is downloaded and nothing is stored."""

from hashlib import blake2b, sha256
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from fakereal.data.datamodule import ImageDataModule
from fakereal.data.dead_leaves import synthetic_images
from fakereal.data.folder_names import UNSPLIT
from fakereal.data.image_set import ImageSet


class Generated(ImageSet):
    """Images in memory, as rows."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray):
        self.pixels = pixels
        hashes = [blake2b(image, digest_size=16).digest() for image in pixels]
        columns = [("split", "u1"), ("label", "u1"), ("hash", "S16"), ("pixel_hash", "S16")]
        self.table = np.empty(len(pixels), dtype=columns)
        self.table["split"], self.table["label"], self.table["hash"] = UNSPLIT, labels, hashes
        self.table["pixel_hash"] = hashes
        self.names = [f"synthetic/{number:06d}" for number in range(len(pixels))]
        self.digest = sha256(labels.tobytes() + b"".join(hashes)).hexdigest()

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Pixels (B, size, size, 3) uint8 of the given rows."""
        return self.pixels[rows]


class Synthetic(ImageDataModule):
    """Dead-leaves images (REAL), and the same re-synthesised through an up-sampling decoder (FAKE).

    `count` images in all, a function of (count, size, content_seed) alone.
    """

    def __init__(
        self,
        *,
        count: Annotated[int, Field(ge=40)] = 7500,
        content_seed: Annotated[int, Field(ge=0)] = 0,
        **common: Any,
    ):
        super().__init__(**common)
        self.count, self.content_seed = count, content_seed
        self.settings |= {"count": count, "content_seed": content_seed}

    def prepare_data(self) -> None:
        """Nothing: each process generates what it needs."""

    def open_images(self) -> Generated:
        return Generated(*synthetic_images(self.count, self.size, self.content_seed))
