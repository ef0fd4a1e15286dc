"""All that is shown of a data set, as figures."""

from dataclasses import dataclass

import numpy as np
from omegaconf import DictConfig

from fakereal import CLASSES
from fakereal.config.build import build
from fakereal.data.datamodule import ImageDataModule
from fakereal.data.known import refuse_no_images
from fakereal.exploring.measures import Measure, measures
from fakereal.exploring.pixels import Mean, class_means
from fakereal.runtime.progress import bar


@dataclass
class Found:
    """What is shown of N images; label: (N,) of 0 and 1, in the order of the image set."""

    data: ImageDataModule
    label: np.ndarray
    counts: dict[str, dict[str, int]]
    measures: list[Measure]
    means: dict[str, Mean]
    examples: int
    seed: int

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Name of each file that cannot be read, and why."""
        return [(name, why) for name, why in getattr(self.data.images, "meta", {}).get("skipped", ())]


def find(cfg: DictConfig) -> Found:
    """Opens the data set, decoding it where that was not done before, and measures it."""
    refuse_no_images(cfg.data)
    data = build(cfg.data)
    data.need_both, data.settings["drop_duplicates"] = False, False  # all that there is
    data.prepare_data()
    data.setup()
    label = data.images.table["label"].astype(int)
    counts = {
        name: {cls: int((split.labels == number).sum()) for number, cls in enumerate(CLASSES)}
        for name, split in data.splits.items()
    }
    with bar("Looking at the pixels", len(label)) as advance:
        means = class_means(data.images, label, advance)
    return Found(data, label, counts, measures(data.images.table), means, cfg.examples, cfg.seed)


def by_class(measure: Measure, label: np.ndarray) -> dict[str, np.ndarray]:
    """The values of each class that has images."""
    held = {name: measure.values[label == number] for number, name in enumerate(CLASSES)}
    return {name: values for name, values in held.items() if len(values)}
