"""A config as a command has it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from fakereal.config import CONF


@pytest.fixture
def composed() -> Callable[..., DictConfig]:
    """`composed("key=value", ..., command="train", hydra=False)`"""

    def call(*overrides: str, command: str = "train", hydra: bool = False) -> DictConfig:
        with initialize_config_dir(CONF, version_base="1.3"):
            words = [f"trainer.default_root_dir={Path.cwd()}", *overrides]
            return compose(command, words, return_hydra_config=hydra)

    return call
