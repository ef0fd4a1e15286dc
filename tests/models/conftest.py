"""A checkpoint of a tiny network."""

from pathlib import Path

import pytest


@pytest.fixture
def checkpoint(trained_run) -> Path:
    return trained_run() / "checkpoints" / "best.ckpt"
