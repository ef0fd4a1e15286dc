"""Shows where a classifier looks: `python -m fakereal.explain ckpt_path=.../best.ckpt images=FOLDER`."""

import hydra
from omegaconf import DictConfig

from fakereal.config import CONF
from fakereal.config.command import start, told
from fakereal.runtime.imports import importing


@hydra.main(version_base="1.3", config_path=CONF, config_name="explain")
def main(cfg: DictConfig) -> None:
    """Explains all images; fails at the end where some could not be read."""
    with importing():
        from fakereal.explanation.run import explain
    with told():
        explain(cfg)


if __name__ == "__main__":
    start(main)
