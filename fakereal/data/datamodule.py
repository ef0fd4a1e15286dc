"""The LightningDataModule that every data set shares: split, loaders, augmentation on the device."""

import inspect
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import lightning as L
import numpy as np
import torch
from pydantic import Field
from torch.utils.data import DataLoader

from fakereal import CLASSES
from fakereal.config.schema import refuse_wrong_values
from fakereal.data.channels import channel_statistics
from fakereal.data.draws import uniforms
from fakereal.data.folder_names import SPLIT_NAMES
from fakereal.data.image_set import ImageSet
from fakereal.data.loader import EpochBatches, Loader, Split
from fakereal.data.split import SPLIT, deal, without_leaked
from fakereal.data.split_warnings import tell_of_splits
from fakereal.data.store.decode import Aspect, Filter, Resize
from fakereal.data.transforms.augment import Augment
from fakereal.runtime.errors import UserError

Fraction = Annotated[float, Field(ge=0, le=1)]


class ImageDataModule(L.LightningDataModule):
    """Images of two classes in three splits.

    A subclass says where they come from (`open_images`). batch_size is global, across devices. Validation is
    `val_fraction` of train (unless the tree has a split of its own), drawn by `split_seed`; `seed` orders the
    epochs and draws the augmentation. With `resident` the pixels of train are copied to the device once, and each
    batch is gathered there. `drop_duplicates` leaves out the train and val images whose pixels also stand
    in test; the other images stay where they are.

    Its loaders are made for a Lightning Trainer, which names the epoch and calls the hooks that augment on the device.
    In a loop of your own call `setup("fit")` first, `loader.sampler.set_epoch(epoch)` before each epoch, and to augment
    `augment(batch["image"], uniforms(seed, epoch, batch["index"], augment.count))` (`fakereal.data.draws`).
    """

    need_both = True  # classes; what only looks at images sets it to False
    split_names: Collection[str] = SPLIT_NAMES  # folder names, in lower case
    need_split = False  # whether train and test are its authors', and never carved

    def __init__(
        self,
        *,
        size: Annotated[int, Field(ge=8, le=4096)] = 32,
        aspect: Aspect = "squash",
        filter: Filter = "bilinear",
        batch_size: Annotated[int, Field(ge=2)] = 128,
        val_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1,
        test_fraction: Fraction = 0.2,
        split_seed: Annotated[int, Field(ge=0)] = 0,
        drop_duplicates: bool = False,
        augment: Augment | None = None,
        resident: bool = False,
        cache_dir: str | os.PathLike | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        seed: Annotated[int, Field(ge=0)] = 0,
    ):
        refuse_wrong_values(ImageDataModule, locals())
        super().__init__()
        self.size, self.resize = size, Resize(size, aspect, filter)
        self.batch_size, self.seed, self.on_error, self.resident = batch_size, seed, on_error, resident
        self.pixels: torch.Tensor | None = None  # of train, on the device
        self.augment = augment or Augment()
        self.cache = Path(os.path.expanduser(cache_dir or os.environ.get("FAKEREAL_CACHE") or "~/.cache/fakereal"))
        # What a checkpoint has to know to open the same images again; a subclass adds its own.
        self.settings: dict[str, Any] = {
            "size": size,
            "aspect": aspect,
            "filter": filter,
            "batch_size": batch_size,
            "val_fraction": val_fraction,
            "test_fraction": test_fraction,
            "split_seed": split_seed,
            "drop_duplicates": drop_duplicates,
            "on_error": on_error,
        }
        self.trained: list[dict[str, Any]] = []  # settings of checkpoints: on its images the split of one is kept to
        self.images: ImageSet | None = None
        self.splits: dict[str, Split] = {}

    def open_images(self) -> ImageSet:
        """The images of all splits; the first process to ask decodes or fetches them."""
        raise NotImplementedError

    def prepare_data(self) -> None:
        """Downloads and decodes, in one process a machine, before the others open what it left."""
        if self.images is None:  # Lightning asks again whenever it validates or tests
            self.images = self.open_images()

    def setup(self, stage: str | None = None) -> None:
        if self.images is None:
            self.images = self.open_images()
        if not self.splits:
            self._refuse_forgetful()
            self._refuse_other_sizes()
            same = (said for said in self.trained if said["images"] == self.images.digest)
            self.settings |= {key: value for key, value in next(same, {}).items() if key in SPLIT}
            rows = self.dealt()
            if stage == "fit" and (self.trainer is None or self.trainer.is_global_zero):
                tell_of_splits(self.images.table, rows, self.settings["drop_duplicates"], self.resize)
            self.splits = {name: Split(self.images, held) for name, held in rows.items()}

    def _refuse_forgetful(self) -> None:
        """UserError where a subclass takes what its settings do not keep: a test would open other images."""
        own, common = (inspect.signature(cls.__init__).parameters for cls in (type(self), ImageDataModule))
        named = {name for name, parameter in own.items() if parameter.kind is not parameter.VAR_KEYWORD}
        if lost := sorted(named - set(common) - set(self.settings)):
            keep = ", ".join(f'"{name}": {name}' for name in lost)
            raise UserError(
                f"{type(self).__name__}.settings lacks {', '.join(lost)}, so a checkpoint could not say which images "
                f"it was trained on: add self.settings |= {{{keep}}}"
            )

    def _refuse_other_sizes(self) -> None:
        """UserError where the images are not of `size`, to which all that is asked about is resized."""
        if not len(self.images.table):
            return  # which is told where a split is used
        height, width = self.images.gather(np.zeros(1, np.int64)).shape[1:3]
        if (height, width) != (self.size, self.size):
            raise UserError(
                f"The images of {type(self).__name__} are {width} x {height} pixels, and data.size={self.size}: "
                "open_images must give them in that size, for later images are resized to it."
            )

    def refuse_others(self, said: Mapping[str, Any], within_epoch: bool) -> None:
        """UserError where a training that goes on had other images or another split, or within an epoch other batches.

        `said`: what its checkpoint says of its data.
        """
        own = {**self.settings, "images": self.images.digest}
        keys = ("images", *SPLIT, *(["batch_size"] if within_epoch else []))
        for key in keys:
            if key in said and said[key] != own[key]:
                what = f"data.{key}={said[key]}, not {own[key]}" if key != "images" else "other images than these"
                hint = "Give the same, or start a new training with init_from=CKPT."
                raise UserError(f"This training was started with {what}. {hint}")

    def dealt(self, like: Mapping[str, Any] | None = None) -> dict[str, np.ndarray]:
        """The rows of each split, as the settings of a checkpoint say; without, as this module's own do."""
        how = self.settings | {key: value for key, value in (like or {}).items() if key in SPLIT}
        rows = deal(self.images.table, how["test_fraction"], how["val_fraction"], how["split_seed"])
        return without_leaked(self.images.table, rows) if how["drop_duplicates"] else rows

    def rows_of(self, name: str) -> Split:
        """The split called `name`; UserError where it is empty, or lacks images of a class that must be there."""
        split = self.splits[name]
        for label, cls in enumerate(CLASSES):
            if not (split.labels == label).any() and (self.need_both or not len(split)):
                raise UserError(
                    f"The {name} split has no {cls} image ({len(split)} images in all). Check data.root, "
                    "data.val_fraction and data.test_fraction: each split needs both classes."
                )
        return split

    def _loader(self, name: str, shuffle: bool = False) -> DataLoader:
        split, trainer = self.rows_of(name), self.trainer
        if name == "train" and self.resident and trainer is None:
            raise UserError("data.resident=true: the images are put into batches by a Trainer. Remove it.")
        if name == "train" and self.resident:
            split = Split(split.images, split.rows, pixels=False)
        limit = trainer.limit_val_batches if trainer else 1.0
        if name == "val" and not (isinstance(limit, float) and limit == 1):  # an int is a number of batches
            # The first batches alone are of one class, and of one folder: of a quick try they are a draw of all.
            drawn = np.random.default_rng(self.settings["split_seed"]).permutation(len(split))
            split = Split(split.images, split.rows[drawn])
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        batches = EpochBatches(len(split), self.batch_size, shuffle=shuffle, seed=self.seed, rank=rank, world=world)
        if shuffle and trainer:
            # Lightning counts the batches of an interrupted epoch but leaves the skipping to the loader.
            progress = trainer.fit_loop.epoch_loop.batch_progress
            batches.done = lambda: progress.current.ready
        on_gpu = trainer is not None and trainer.strategy.root_device.type == "cuda"
        return Loader(split, batches, pin_memory=on_gpu)

    def train_dataloader(self) -> DataLoader:
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return self._loader("val")

    def test_dataloader(self) -> DataLoader:
        return self._loader("test")

    def on_before_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        if self.trainer and self.trainer.training and self.augment.active:
            epoch = self.trainer.current_epoch
            draws = uniforms(self.seed, epoch, batch["index"], self.augment.count)
            # As the rest of the batch: for a copy of other memory a GPU would be waited for.
            batch["draws"] = draws.pin_memory() if batch["index"].is_pinned() else draws
        return batch

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        if "image" not in batch:
            if self.pixels is None or self.pixels.device != batch["index"].device:
                self.pixels = self.splits["train"].on(batch["index"].device)
            batch["image"] = self.pixels.index_select(0, batch["index"]).permute(0, 3, 1, 2)
        if (draws := batch.pop("draws", None)) is not None:
            batch["image"] = self.augment(batch["image"], draws)
            if self.augment.only_mirrors:
                batch["mirrored"] = self.augment.mirrored(draws)
        return batch

    def channel_statistics(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel over all pixels of the train split, in [0, 1]."""
        return channel_statistics(self.images, self.splits["train"].rows)

    def file_sizes(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Width and height (N,) of the files of a split; of generated images their own."""
        rows, table = self.splits[name].rows, self.images.table
        if "width" not in table.dtype.names:
            return np.full(len(rows), self.size), np.full(len(rows), self.size)
        return table["width"][rows], table["height"][rows]

    def group_of(self, name: str) -> str:
        """By what a test tables accuracy: the folder of an image, without that of its split."""
        return "/".join(folder for folder in name.split("/")[:-1] if folder.lower() not in self.split_names)

    def describe(self) -> dict[str, Any]:
        """Digests and counts, for provenance."""
        counts = {
            name: {cls: int((split.labels == label).sum()) for label, cls in enumerate(CLASSES)}
            for name, split in self.splits.items()
        }
        digests = {"digest": self.images.digest, "files": self.images.files_digest}
        return {"class": type(self).__name__, **digests, "splits": counts}
