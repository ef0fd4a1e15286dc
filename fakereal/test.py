"""Tests a checkpoint: `python -m fakereal.test ckpt_path=outputs/train/.../checkpoints/best.ckpt`."""

import hydra
from omegaconf import DictConfig

from fakereal.config import CONF
from fakereal.config.command import start, told
from fakereal.runtime.imports import importing


@hydra.main(version_base="1.3", config_path=CONF, config_name="test")
def main(cfg: DictConfig) -> float:
    """Runs one test; returns the test accuracy."""
    with importing():
        from fakereal.testing.run import test
    with told():
        return test(cfg)["test/accuracy"]


if __name__ == "__main__":
    start(main)
