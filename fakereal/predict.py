"""Says of images whether they are real or fake: `python -m fakereal.predict ckpt_path=.../best.ckpt images=FOLDER`."""

import hydra
from omegaconf import DictConfig

from fakereal.config import CONF
from fakereal.config.command import start, told
from fakereal.runtime.imports import importing


@hydra.main(version_base="1.3", config_path=CONF, config_name="predict")
def main(cfg: DictConfig) -> None:
    """Predicts all images; fails at the end where some could not be read."""
    with importing():
        from fakereal.prediction.run import predict
    with told():
        predict(cfg)


if __name__ == "__main__":
    start(main)
