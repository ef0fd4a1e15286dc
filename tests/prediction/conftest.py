"""What the tests of predictions share: a trained network and what it left."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def checkpoint(trained_run) -> Path:
    """Of one epoch of a tiny network."""
    return trained_run() / "checkpoints" / "best.ckpt"


@pytest.fixture
def photos() -> Callable[..., list[str]]:
    """`photos(folder, count)`: distinct PNG images of 32 px, their names in order."""

    def write(folder: Path, count: int) -> list[str]:
        folder.mkdir(parents=True)
        numbers = np.random.default_rng(count)
        names = [f"{number:03d} (a).png" for number in range(count)]
        for name in names:
            coarse = Image.fromarray(numbers.integers(0, 256, (4, 4, 3), dtype=np.uint8))
            coarse.resize((32, 32), Image.Resampling.BICUBIC).save(folder / name)
        return names

    return write


@pytest.fixture
def table() -> Callable[[Path], list[dict[str, str]]]:
    """`table(folder)`: the rows of its predictions.csv."""

    def read(folder: Path) -> list[dict[str, str]]:
        with (folder / "predictions.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    return read
