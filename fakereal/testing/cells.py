"""The grid of corruption x severity as one stream of batches, and the checkpoints that answer to it together."""

import logging
import sys
import time
from collections.abc import Iterator

import lightning as L
import numpy as np
import torch
from torch import Tensor

from fakereal.data.loader import EpochBatches, Share, Split
from fakereal.data.transforms.corruptions import corrupt
from fakereal.models.ensemble import Ensemble

log = logging.getLogger(__name__)
Cell = tuple[str, int]  # corruption and severity
PAUSE = 15.0  # seconds between two lines where there is no terminal for a bar


class Cells:
    """Each batch of the images at `positions` of a split, gathered once, under each cell in turn."""

    def __init__(self, split: Split, positions: np.ndarray, batch_size: int, cells: list[Cell], seed: int):
        self.split, self.positions, self.cells, self.seed = split, positions, cells, seed
        self.batches = list(EpochBatches(len(positions), batch_size, shuffle=False))
        self._changes = np.zeros(len(cells))

    def __len__(self) -> int:
        return len(self.batches) * len(self.cells)

    def __iter__(self) -> Iterator[Tensor]:
        """uint8 (B, 3, H, W): of the first batch under each cell, then of the next."""
        told, self._changes = time.monotonic(), np.zeros(len(self.cells))
        for number, (places, weights, _) in enumerate(self.batches):
            batch = self.split[Share(self.positions[places], weights)]
            clean = batch["image"]
            for cell, (name, severity) in enumerate(self.cells):
                images = corrupt(clean, name, severity, seed=self.seed, index=batch["index"])
                self._changes[cell] += len(clean) * (images.short() - clean).abs().float().mean().item()
                yield images
            if not sys.stderr.isatty() and time.monotonic() - told > PAUSE:
                told = time.monotonic()
                log.info("Corrupted and tested: %.0f%%", 100 * (number + 1) / len(self.batches))

    def change(self, cell: int) -> float:
        """Mean absolute change of a pixel, of 255, in all the images that a cell has dealt."""
        return float(self._changes[cell] / len(self.positions))


class Asked(L.LightningModule):
    """An ensemble that Lightning's Trainer asks about one batch after the other."""

    def __init__(self, ensemble: Ensemble):
        super().__init__()
        self.ensemble = ensemble
        self.answers: list[Tensor] = []

    def on_test_start(self) -> None:
        self.answers = []

    def test_step(self, images: Tensor, batch_idx: int) -> None:
        self.answers.append(self.ensemble(images).cpu())

    def of_cell(self, cell: int, cells: int) -> np.ndarray:
        """Probabilities of FAKE (members, N) of the images under one of the cells."""
        return torch.cat(self.answers[cell::cells], dim=1).numpy()
