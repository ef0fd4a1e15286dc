"""Trained classifiers that answer about images: what predict, explain, the app and Python have in common."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from lightning import Fabric

from fakereal.data.store.decode import BadImage
from fakereal.models.checkpoint import Loaded
from fakereal.models.distance.from_training import DistanceFromTraining, ahead
from fakereal.models.ensemble import Ensemble, combine
from fakereal.prediction.answers import Answer
from fakereal.prediction.batch import Batch
from fakereal.prediction.distance import Distances


class Measured(NamedTuple):
    """Answers about the files of a batch; `distances`: None where none could be read or no checkpoint knows any."""

    answers: list[Answer]
    distances: Distances | None


class Predictor:
    """Classifiers on a device; of several the mean probability is the answer.

    Attributes:
        resize: how images are made small for them, as for their training.
        distance: how far images lie from those of training.
    """

    def __init__(self, members: list[Loaded], fabric: Fabric):
        self.members, self.resize, self.distance = members, members[0].resize, DistanceFromTraining(members)
        self.network, self.device = fabric.setup_module(Ensemble(members)), fabric.device

    @property
    def threshold(self) -> float:
        """The probability from which an image is called FAKE."""
        return self.network.threshold

    @torch.inference_mode()
    def answers(self, batch: Batch) -> list[Answer]:
        """An answer for each file of a batch, in its order."""
        probabilities: Iterator[float] = iter(())
        if len(batch.pixels):
            probabilities = iter(combine(self.network(batch.pixels.to(self.device)).cpu().numpy()).tolist())
        return [
            Answer(entry.name, error=str(image))
            if isinstance(image, BadImage)
            else Answer.of(entry.name, next(probabilities), self.threshold)
            for entry, image in batch.files
        ]

    def measured(self, batches: Iterable[Batch]) -> Iterator[Measured]:
        """Answers that say in what each image lies far; on a GPU some batches later, while threads look at these."""
        waiting: deque[Measured] = deque()

        def ready(leave: int) -> Iterator[Measured]:
            while len(waiting) > leave:
                answers, distances = waiting.popleft()
                yield Measured(distances.added_to(answers) if distances else answers, distances)

        with self.distance.watching() as watch:
            for batch in batches:
                if watch:
                    watch.begin()
                waiting.append(Measured(self.answers(batch), Distances.of(batch, self.distance, watch)))
                yield from ready(leave=ahead(self.device))
            yield from ready(leave=0)
