"""Measures how fast all of it is, against what else there is: `python -m fakereal.benchmark`."""

import hydra
from omegaconf import DictConfig

from fakereal.config import CONF
from fakereal.config.command import start, told
from fakereal.runtime.imports import importing


@hydra.main(version_base="1.3", config_path=CONF, config_name="benchmark")
def main(cfg: DictConfig) -> None:
    """Runs one benchmark."""
    with importing():
        from fakereal.benchmarking.run import benchmark
    with told():
        benchmark(cfg)


if __name__ == "__main__":
    start(main)
