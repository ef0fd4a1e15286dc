"""Tests a checkpoint on corrupted images: `python -m fakereal.robustness ckpt_path=.../best.ckpt`."""

import hydra
from omegaconf import DictConfig

from fakereal.config import CONF
from fakereal.config.command import start, told
from fakereal.runtime.imports import importing


@hydra.main(version_base="1.3", config_path=CONF, config_name="robustness")
def main(cfg: DictConfig) -> float:
    """Runs one grid; returns the mean accuracy over all corruptions and severities."""
    with importing():
        from fakereal.testing.robustness import robustness
    with told():
        return robustness(cfg)["robustness/accuracy"]


if __name__ == "__main__":
    start(main)
