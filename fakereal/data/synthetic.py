"""`data=synthetic`: generated on the spot; nothing is downloaded and nothing is stored."""

from typing import Annotated, Any

from pydantic import Field

from fakereal.data.datamodule import ImageDataModule
from fakereal.data.dead_leaves import synthetic_images
from fakereal.data.image_set import InMemory


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

    def open_images(self) -> InMemory:
        names = [f"synthetic/{number:06d}" for number in range(self.count)]
        return InMemory(*synthetic_images(self.count, self.size, self.content_seed), names)
