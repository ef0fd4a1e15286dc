"""What the tests of predictions share: a trained network and what it left."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("trained") / "best.ckpt"


@pytest.fixture
def checkpoint(run, quick, trained, tmp_path) -> Path:
    """Of one epoch of a tiny network, the same for all tests."""
    if not trained.exists():
        assert run("train", *quick).code == 0
        shutil.copy(tmp_path / "run" / "checkpoints" / "best.ckpt", trained)
    return trained


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
