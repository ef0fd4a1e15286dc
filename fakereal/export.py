"""Writes a trained classifier for use elsewhere: `python -m fakereal.export ckpt_path=.../best.ckpt format=onnx`."""

import hydra
from omegaconf import DictConfig

from fakereal.config import CONF
from fakereal.config.command import start, told
from fakereal.runtime.imports import importing


@hydra.main(version_base="1.3", config_path=CONF, config_name="export")
def main(cfg: DictConfig) -> None:
    """Exports, compares the file with the checkpoint, and writes a model card."""
    with importing():
        from fakereal.exporting.run import export
    with told():
        export(cfg)


if __name__ == "__main__":
    start(main)
