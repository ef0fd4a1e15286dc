"""Dealing an epoch as batches of indices, and gathering a batch of pixels at once."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from fakereal.data.image_set import ImageSet

COPIED = 4096  # images at once, to a device


class Share(NamedTuple):
    """One rank's part of one global batch."""

    positions: np.ndarray  # (B,) int64, places within the split
    weights: np.ndarray  # (B,) float32, what each adds to the mean over the global batch; 0 is padding
    following: np.ndarray | None = None  # (B,) int64, the positions of the next share


class EpochBatches(Sampler):
    """Batches of an epoch, as a function of (seed, epoch) alone; each rank is dealt its share of each.

    Every image comes once an epoch. The weights of a share sum to world_size / batch size for each image, so
    that the average over ranks of the weighted sums, which is what DDP computes, is the mean over the batch.
    """

    def __init__(self, length: int, batch_size: int, *, shuffle: bool, seed: int = 0, rank: int = 0, world: int = 1):
        self.length, self.shuffle, self.seed, self.rank, self.world = length, shuffle, seed, rank, world
        self.edges = _edges(length, batch_size, smallest=2 * world)
        self.epoch = 0
        self.done = lambda: 0  # batches of this epoch that were trained on before the run was interrupted

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.edges) - 1

    def part_of_step(self, batch: int, accumulate: int, batches: int) -> float:
        """What the loss of a batch is multiplied with, so that an optimizer's step sees the mean over all its images.

        A Trainer divides the loss of each of `batches` an epoch by `accumulate`; but the last step may have fewer
        batches, and batches fewer images.
        """
        first = batch - batch % accumulate
        last = min(first + accumulate, batches)
        return accumulate * (self.edges[batch + 1] - self.edges[batch]) / (self.edges[last] - self.edges[first])

    def order(self) -> np.ndarray:
        """The permutation (length,) of the current epoch."""
        if not self.shuffle:
            return np.arange(self.length)
        return np.random.Generator(np.random.PCG64([self.seed, self.epoch])).permutation(self.length)

    def __iter__(self) -> Iterator[Share]:
        order = self.order()
        start = self.done() % len(self)
        batches = (order[first:last] for first, last in pairwise(self.edges[start:]))
        share = self._share(next(batches))
        for batch in batches:
            following = self._share(batch)
            yield share._replace(following=following.positions)
            share = following
        yield share

    def _share(self, batch: np.ndarray) -> Share:
        mine = np.array_split(batch, self.world)[self.rank]
        if not len(mine):  # fewer images than ranks: every rank must still take part
            return Share(batch[:1], np.zeros(1, dtype=np.float32))
        return Share(mine, np.full(len(mine), self.world / len(batch), dtype=np.float32))


def _edges(length: int, batch_size: int, smallest: int) -> list[int]:
    """Where batches begin and end; a tail too small for batch norm is evened out with the batch before it.

    Where that would leave two too small ones, they become one, a little larger than `batch_size`.
    """
    edges = [*range(0, length, batch_size), length]
    if len(edges) > 2 and edges[-1] - edges[-2] < smallest:
        middle = (edges[-3] + edges[-1]) // 2
        edges[-2:-1] = [middle] if middle - edges[-3] >= smallest else []
    return edges


class Split(Dataset):
    """The rows of one split of an image set, indexed by whole shares; without pixels where these are `on` a device."""

    def __init__(self, images: ImageSet, rows: np.ndarray, *, pixels: bool = True):
        self.images, self.rows, self.pixels = images, rows, pixels
        self.labels = images.table["label"][rows].astype(np.float32)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, share: Share) -> dict[str, torch.Tensor]:
        """image uint8 (B, 3, H, W) in channels_last memory, label float32 (B,), index int64 (B,), weight (B,)."""
        positions = share.positions
        batch = {
            "label": torch.from_numpy(self.labels[positions]),
            "index": torch.from_numpy(positions.astype(np.int64)),
            "weight": torch.from_numpy(share.weights),
        }
        if self.pixels:
            batch["image"] = torch.from_numpy(self.images.gather(self.rows[positions])).permute(0, 3, 1, 2)
            if share.following is not None:
                self.images.expect(self.rows[share.following])
        return batch

    def on(self, device: torch.device) -> torch.Tensor:
        """All its pixels, uint8 (N, H, W, 3), in the memory of a device."""
        shape = self.images.gather(self.rows[:1]).shape[1:]
        pixels = torch.empty((len(self.rows), *shape), dtype=torch.uint8, device=device)
        for start in range(0, len(self.rows), COPIED):
            part = self.rows[start : start + COPIED]
            pixels[start : start + COPIED] = torch.from_numpy(self.images.gather(part))
        return pixels


class Loader(DataLoader):
    """Whole batches by one gather each: worker processes would only add copies (1.37 M images/s without).

    Its state is its sampler's, which is a function of the epoch and of Lightning's count of batches: the two
    methods tell Lightning that an interrupted epoch can be resumed.
    """

    def __init__(self, split: Split, batches: EpochBatches, *, pin_memory: bool = False):
        super().__init__(split, sampler=batches, batch_size=None, pin_memory=pin_memory)

    def state_dict(self) -> dict[str, int]:
        return {}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Nothing to load."""
