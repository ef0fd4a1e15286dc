"""Compares trainings and tests: `python -m fakereal.report runs=outputs/sweep/...`."""

import hydra
from omegaconf import DictConfig

from fakereal.config import CONF
from fakereal.config.command import start, told
from fakereal.runtime.imports import importing


@hydra.main(version_base="1.3", config_path=CONF, config_name="report")
def main(cfg: DictConfig) -> None:
    """Writes one report."""
    # matplotlib and scipy take a second to import: not for --help
    with importing():
        from fakereal.reporting.run import report
    with told():
        report(cfg)


if __name__ == "__main__":
    start(main)
