"""A page in the browser, and the same for programs: `python -m fakereal.app ckpt_path=.../best.ckpt`."""

import hydra
from omegaconf import DictConfig

from fakereal.config import CONF
from fakereal.config.command import start, told
from fakereal.runtime.imports import importing


@hydra.main(version_base="1.3", config_path=CONF, config_name="app")
def main(cfg: DictConfig) -> None:
    """Answers until Ctrl-C."""
    with importing():
        from fakereal.serving.run import serve
    with told():
        serve(cfg)


if __name__ == "__main__":
    start(main)
