"""Searches settings: `python -m fakereal.tune model=lenet optimizer.lr='tag(log, interval(1e-5, 1e-2))'`."""

import sys

import hydra
from omegaconf import DictConfig

from fakereal.config import CONF
from fakereal.config.argv import MODES
from fakereal.config.command import start
from fakereal.train import trained


@hydra.main(version_base="1.3", config_path=CONF, config_name="tune")
def run(cfg: DictConfig) -> float:
    """One trial; the search itself is a sweeper (hydra_plugins/fakereal_sweeper.py), which Hydra runs around it."""
    return trained(cfg)


def main() -> None:
    """Runs the search."""
    # Not hydra.mode in the configuration: where that cannot be composed, Hydra would say that this word is missing.
    if not MODES & {word.split("=")[0] for word in sys.argv}:
        sys.argv.insert(1, "--multirun")
    run()


if __name__ == "__main__":
    start(main)
