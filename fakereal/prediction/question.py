"""What predict and explain share: a question (checkpoints and images), and answers about a batch."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from fakereal import __version__
from fakereal.config.build import build
from fakereal.config.keys import Count
from fakereal.config.schema import problems, value_problem
from fakereal.data.store.decode import BadImage, Decoded, Resize
from fakereal.data.store.entries import Entry
from fakereal.models.checkpoint import Loaded
from fakereal.models.ensemble import Ensemble, combine, load_members, resize_of
from fakereal.prediction.answers import Answer
from fakereal.prediction.images import Images
from fakereal.runtime.environment import prepare
from fakereal.runtime.errors import UserError

ALONE = 0.3  # seconds of decoding after which processes for it are started: they take about as long


@dataclass(frozen=True)
class Batch:
    """Files with their images, and of those that could be read the pixels, uint8 (N, 3, S, S), in the same order."""

    files: list[tuple[Entry, Decoded | BadImage]]
    pixels: Tensor

    @classmethod
    def of(cls, files: list[tuple[Entry, Decoded | BadImage]]) -> "Batch":
        """Stacks the pixels."""
        good = [image.pixels for _, image in files if isinstance(image, Decoded)]
        pixels = np.stack(good) if good else np.empty((0, 1, 1, 3), np.uint8)
        return cls(files, torch.from_numpy(pixels).permute(0, 3, 1, 2))


@dataclass(frozen=True)
class Question:
    """Which networks are asked about which images, and how: `resize` and `batch_size` as they were trained with."""

    images: Images
    members: list[Loaded]
    network: Ensemble
    device: torch.device
    resize: Resize
    batch_size: int

    def said(self, precision: str | int) -> dict[str, Any]:
        """Who is asked, and how."""
        return {
            "checkpoint": [str(member.path.absolute()) for member in self.members],
            "checkpoint_digest": [member.digest for member in self.members],
            "tta": [member.classifier.hparams.tta for member in self.members],
            "threshold": self.network.threshold,
            "precision": precision,
            "batch_size": self.batch_size,
            "device": str(self.device),
            "fakereal": __version__,
        }


def ask(cfg: DictConfig) -> Question:
    """The question of a configuration with `ckpt_path`, `images` and, in explain's, `limit`.

    Raises:
        UserError: names every key that is wrong, or the checkpoint or images that cannot be found.
    """
    # Of either, one is enough here, but not for training, whose ranges the schema states.
    found = [*problems(cfg, skip=frozenset({"limit"}))]
    for key, value in (("data.batch_size", cfg.data.batch_size), ("limit", cfg.get("limit"))):
        found += value_problem(key, value, Count | None)
    if found:
        raise UserError("\n".join(found))
    images = Images(cfg.images)
    prepare(cfg)
    members = load_members(cfg.ckpt_path, tta=cfg.tta, threshold=cfg.threshold)
    fabric = build(cfg.trainer, devices=1)
    network = fabric.setup_module(Ensemble(members))
    batch_size = cfg.data.batch_size or members[0].data["batch_size"]
    return Question(images, members, network, fabric.device, resize_of(members[0]), batch_size)


def batches(images: Iterable[tuple[Entry, Decoded | BadImage]], size: int) -> Iterator[Batch]:
    """The images, so many at a time."""
    images = iter(images)
    while files := list(islice(images, size)):
        yield Batch.of(files)


@torch.inference_mode()
def answer(network: Ensemble, device: torch.device, batch: Batch) -> list[Answer]:
    """An answer for each file of a batch, in its order."""
    probabilities: Iterator[float] = iter(())
    if len(batch.pixels):
        probabilities = iter(combine(network(batch.pixels.to(device)).cpu().numpy()).tolist())
    return [
        Answer(entry.name, error=str(image))
        if isinstance(image, BadImage)
        else Answer.of(entry.name, next(probabilities), network.threshold)
        for entry, image in batch.files
    ]
