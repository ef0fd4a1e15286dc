"""Trains a classifier: `python -m fakereal.train model=resnet50 trainer.max_epochs=5`."""

import hydra
from omegaconf import DictConfig

from fakereal.config import CONF
from fakereal.config.command import start, told
from fakereal.runtime.imports import importing


@hydra.main(version_base="1.3", config_path=CONF, config_name="train")
def main(cfg: DictConfig) -> float:
    """Runs one training."""
    with told():
        return trained(cfg)


def trained(cfg: DictConfig) -> float:
    """The best value of the monitored metric, which sweepers optimise; a job that is finished already is not run."""
    from fakereal.sweeps.jobs import claimed

    with claimed(cfg.monitor) as metrics:
        if metrics is None:
            # torch and Lightning take seconds to import: not before there is work to do.
            with importing():
                from fakereal.training.run import train
            metrics = train(cfg)
    return metrics[cfg.monitor]


if __name__ == "__main__":
    start(main)
