"""Which images lie far from those of training: measured batch by batch, beside the network's answers."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fakereal.models.checkpoint import Loaded
from fakereal.models.distance.head_inputs import HeadInputs, watched
from fakereal.models.distance.reference import Reference, pixel_statistics, unit
from fakereal.runtime.hardware import cores


def ahead(device: torch.device) -> int:
    """How many batches threads may still look at while a network answers on a device about the next.

    It takes a millisecond an image of 224 px. On a CPU the threads would take the network's cores.
    """
    return 0 if device.type == "cpu" else cores()


class Content(NamedTuple):
    """Which images (B,) of a batch lie far by features, and by pixels, which a thread may still look at."""

    features: Tensor
    pixels: Future[Tensor]


class DistanceFromTraining:
    """The distance of images from those that a classifier was trained on, the first of several that knows these.

    `reference`: None where no checkpoint knows: distances are kept in best.ckpt, at the end of training.
    """

    def __init__(self, members: Sequence[Loaded]):
        self.member = next((member for member in members if member.reference is not None), None)
        self.several = len(members) > 1

    @property
    def reference(self) -> Reference | None:
        return self.member.reference if self.member else None

    def far_sizes(self, width: np.ndarray, height: np.ndarray) -> np.ndarray:
        """Which files (N,) have sizes that the network was not trained on; where `reference` is known."""
        return self.reference.far_sizes(width, height, self.member.resize)

    @contextmanager
    def watching(self) -> Iterator["Watch | None"]:
        """For a while, of what this thread asks the classifiers; None where only sizes are known, or nothing."""
        if self.reference is None or not self.reference.known:
            yield None
            return
        with watched(self.member.classifier) as inputs:
            watch = Watch(self.reference, inputs)
            try:
                yield watch
            finally:
                watch.end()


class Watch:
    """Looks at the batches that a network answers about."""

    def __init__(self, reference: Reference, inputs: HeadInputs):
        self.reference, self.inputs = reference, inputs
        self.threads: ThreadPoolExecutor | None = None
        self.begun: deque[Future[Tensor]] = deque()

    def begin(self) -> None:
        """To be called before the classifiers are asked about a batch."""
        self.inputs.forget()

    def content(self, images: Tensor) -> Content | None:
        """Of uint8 images (B, 3, H, W), to be called after the classifiers answered; None if ours was not asked."""
        features = self.inputs.take()
        if features is None:
            return None
        by_features = self.reference.features.far(unit(features))
        if not (most := ahead(features.device)):
            (by_pixels := Future()).set_result(self._by_pixels(images))
            return Content(by_features, by_pixels)
        self.threads = self.threads or ThreadPoolExecutor(cores())
        by_pixels = self.threads.submit(self._by_pixels, images.cpu())
        self.begun.append(by_pixels)
        if len(self.begun) > most:  # else images would fill the memory where the threads are slower
            self.begun.popleft().result()
        return Content(by_features, by_pixels)

    def _by_pixels(self, images: Tensor) -> Tensor:
        return self.reference.pixels.far(pixel_statistics(images))

    def end(self) -> None:
        """Waits for the threads."""
        if self.threads:
            self.threads.shutdown()
