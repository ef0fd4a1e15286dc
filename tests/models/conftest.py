"""A checkpoint of a tiny network."""

from pathlib import Path

import pytest


@pytest.fixture
def checkpoint(run, quick, tmp_path) -> Path:
    assert run("train", *quick, "trainer.limit_train_batches=1", "logger=none").code == 0
    return tmp_path / "run" / "checkpoints" / "best.ckpt"
