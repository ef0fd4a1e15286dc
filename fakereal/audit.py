"""Looks at a data set before training: `python -m fakereal.audit data=folder data.root=images`."""

import hydra
from omegaconf import DictConfig

from fakereal.config import CONF
from fakereal.config.command import start, told
from fakereal.runtime.imports import importing


@hydra.main(version_base="1.3", config_path=CONF, config_name="audit")
def main(cfg: DictConfig) -> None:
    """Runs one audit."""
    # torch, Lightning and matplotlib take seconds to import: not for --help
    with importing():
        from fakereal.auditing.run import audit
    with told():
        audit(cfg)


if __name__ == "__main__":
    start(main)
