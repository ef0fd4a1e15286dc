"""Shows what a data set looks like: `python -m fakereal.explore data=folder data.root=images`."""

import hydra
from omegaconf import DictConfig

from fakereal.config import CONF
from fakereal.config.command import start, told
from fakereal.runtime.imports import importing


@hydra.main(version_base="1.3", config_path=CONF, config_name="explore")
def main(cfg: DictConfig) -> None:
    """Makes one page."""
    # torch, Lightning and matplotlib take seconds to import: not for --help
    with importing():
        from fakereal.exploring.run import explore
    with told():
        explore(cfg)


if __name__ == "__main__":
    start(main)
