"""How many of tested or predicted images lie far from those of training, counted and in words."""

import logging
from collections import deque
from typing import Any

import numpy as np

from fakereal import REVIEW
from fakereal.evaluation.intervals import named, wilson
from fakereal.models.distance.from_training import Content, DistanceFromTraining
from fakereal.models.distance.reference import FEWEST

log = logging.getLogger(__name__)
# Of the images of training's own kind 1% to 2% lie far. Other seeds and splits of them moved that by less than a point.
CLEARLY = 0.05
DISTANCE = "The distance of the images from the training images"


class Tally:
    """Counts of the images that `distance` finds far."""

    def __init__(self, distance: DistanceFromTraining):
        self.distance = distance
        self.images = self.sized = self.odd = self.far = 0
        self.by = {"features": 0, "pixels": 0}
        self.waiting: deque[Content] = deque()

    def add(self, content: Content | None) -> None:
        """A batch, or None where it was not looked at."""
        if content is not None:
            self.waiting.append(content)
        while self.waiting and self.waiting[0].pixels.done():
            self._count(self.waiting.popleft())

    def add_sizes(self, odd: np.ndarray) -> None:
        """Whether each file's size is far, bool (N,)."""
        self.sized += len(odd)
        self.odd += int(odd.sum())

    def _count(self, content: Content) -> None:
        masks = {"features": content.features, "pixels": content.pixels.result()}
        self.images += len(content.features)
        self.far += int((masks["features"] | masks["pixels"]).sum())
        for name, mask in masks.items():
            self.by[name] += int(mask.sum())

    def _wait(self) -> None:
        while self.waiting:
            self._count(self.waiting.popleft())

    def figures(self) -> dict[str, Any]:
        """`share` with its Wilson interval, `features`, `pixels`: shares of the images; `sizes`: a count of files."""
        self._wait()
        figures: dict[str, Any] = {} if self.distance.reference is None else {"sizes": self.odd}
        if self.images:
            figures |= named("share", self.far / self.images, wilson(self.far, self.images))
            figures |= {name: count / self.images for name, count in self.by.items()}
        if self.distance.several and self.distance.member:
            figures["by"] = str(self.distance.member.path)
        return figures

    @property
    def clearly(self) -> bool:
        """Whether that is more than chance, of sizes or of what images show, and worth a warning."""
        self._wait()
        # Of training's own files some are beyond the quantiles that sizes are compared with, too.
        return any(wilson(far, of)[0] > CLEARLY for far, of in ((self.odd, self.sized), (self.far, self.images)))

    def tell(self) -> None:
        """One line in the log: a warning where the images clearly lie far."""
        self._wait()
        reference = self.distance.reference
        if reference is None:
            log.info(
                "%s is not known: the checkpoint lacks the data for it (last.ckpt, or one of an earlier version)",
                DISTANCE,
            )
            return
        if not reference.known:
            log.info("%s is not known: validation had fewer than %d images. Only sizes are compared", DISTANCE, FEWEST)
        parts = []
        if self.odd:
            parts.append(f"{self.odd:,} of {self.sized:,} by size or shape (training: {reference.usual_sizes()})")
        if self.images:
            low, high = wilson(self.far, self.images)
            by = ", ".join(f"{count / self.images:.1%} by {name}" for name, count in self.by.items())
            stored = " by what they show" if self.odd else ""
            parts.append(f"{self.far / self.images:.1%}{stored} ({low:.1%} to {high:.1%}; {by}; 1% to 2% is usual)")
        if not parts:
            return
        by = f", by {self.distance.member.path}" if self.distance.several else ""
        text = f"Images that lie far from the training images{by}: {'; '.join(parts)}."
        log.log(logging.WARNING if self.clearly else logging.INFO, "%s", f"{text} {REVIEW}" if self.clearly else text)
