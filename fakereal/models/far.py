"""How far tested or predicted images lie from those of training, counted batch by batch."""

import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from fakereal.evaluation.intervals import wilson
from fakereal.models.backbones.layers import classifiers
from fakereal.models.checkpoint import Loaded
from fakereal.models.classifier import Classifier
from fakereal.models.reference import FEWEST, Reference, pixel_statistics, unit
from fakereal.runtime.hardware import cores

log = logging.getLogger(__name__)
# Of the images of training's own kind 1% to 2% lie far. Other seeds and splits of them moved that by less than a point.
CLEARLY = 0.05
DISTANCE = "The distance of the images from the training images"
REVIEW = "An answer supports human review; it does not replace it."


class HeadInputs:
    """What the last layer of a classifier is given while it runs: features (B, D) for each forward pass."""

    def __init__(self, classifier: Classifier):
        head = classifiers(classifier.backbone)[0]
        self.passes: list[Tensor] = []
        self.hook = head.register_forward_pre_hook(lambda _, inputs: self.passes.append(pooled(inputs[0].detach())))

    def take(self) -> Tensor | None:
        """Of the first pass since the last call (another is that of test-time augmentation); None without one."""
        first = self.passes[0] if self.passes else None
        self.passes.clear()
        return first


def pooled(features: Tensor) -> Tensor:
    """(B, D) of features (B, D), maps (B, D, h, w) or tokens (B, n, D)."""
    if features.ndim == 4:
        return features.mean((2, 3))
    return features.mean(1) if features.ndim == 3 else features


@contextmanager
def eager_head_inputs(classifier: Classifier) -> Iterator[HeadInputs]:
    """`HeadInputs` for a while; a compiled network runs uncompiled, as its graph would pass over the hook."""
    inputs = HeadInputs(classifier)
    try:
        with torch.compiler.set_stance("force_eager" if classifier.compile_backbone else "default"):
            yield inputs
    finally:
        inputs.hook.remove()


def ahead(device: torch.device) -> int:
    """How many batches threads may still look at while a network answers on a device about the next.

    It takes a millisecond an image of 224 px. On a CPU the threads would take the network's cores.
    """
    return 0 if device.type == "cpu" else cores()


class Looked(NamedTuple):
    """A batch that is looked at, or was: which of its images (B,) lie far by features, and by pixels."""

    by_features: Tensor
    by_pixels: Future[Tensor]

    def masks(self) -> tuple[Tensor, Tensor]:
        """Both on the CPU; waits for them."""
        return self.by_features.cpu(), self.by_pixels.result()


class Far:
    """Counts of images that lie far from those of training, by the first of the classifiers that knows these.

    `reference`: None where no checkpoint knows: distances are kept in best.ckpt, at the end of training.
    """

    def __init__(self, members: list[Loaded]):
        knowing = [member for member in members if member.reference is not None]
        self.member = knowing[0] if knowing else None
        self.reference: Reference | None = self.member.reference if self.member else None
        self.several = len(members) > 1
        measured = self.reference is not None and self.reference.known
        self.inputs = HeadInputs(self.member.classifier) if measured else None
        self.images = self.sized = self.odd = self.far = 0
        self.by = {"features": 0, "pixels": 0}
        self.threads: ThreadPoolExecutor | None = None
        self.waiting: deque[Looked] = deque()

    def see(self, images: Tensor) -> "Looked | None":
        """To be called with each batch, uint8 (B, 3, H, W), after the classifiers; None if ours was not asked."""
        features = self.inputs.take() if self.inputs else None
        if features is None:
            return None
        by_features = self.reference.features.far(unit(features))
        if leave := ahead(features.device):
            self.threads = self.threads or ThreadPoolExecutor(cores())
            by_pixels = self.threads.submit(self._far_by_pixels, images.cpu())
        else:
            (by_pixels := Future()).set_result(self._far_by_pixels(images))
        looked = Looked(by_features, by_pixels)
        self.waiting.append(looked)
        self._wait(leave)
        return looked

    def _far_by_pixels(self, images: Tensor) -> Tensor:
        return self.reference.pixels.far(pixel_statistics(images))

    def _wait(self, leave: int = 0) -> None:
        """Counts what the threads look at, but for the last so many batches."""
        while len(self.waiting) > leave:
            by_features, by_pixels = self.waiting.popleft().masks()
            self.images += len(by_features)
            self.far += int((by_features | by_pixels).sum())
            for name, mask in (("features", by_features), ("pixels", by_pixels)):
                self.by[name] += int(mask.sum())
        if not leave and self.threads:
            self.threads.shutdown()
            self.threads = None

    def see_sizes(self, width: np.ndarray, height: np.ndarray) -> np.ndarray:
        """Which of the files of these sizes (N,) have one that is far from those of training, bool (N,)."""
        if self.reference is None:
            return np.zeros(len(width), bool)
        odd = self.reference.far_sizes(width, height)
        self.sized += len(odd)
        self.odd += int(odd.sum())
        return odd

    def figures(self) -> dict[str, Any]:
        """`share` with its Wilson interval, `features`, `pixels`: shares of the images; `sizes`: a count of files."""
        self._wait()
        figures: dict[str, Any] = {"sizes": self.odd} if self.reference is not None else {}
        if self.images:
            low, high = wilson(self.far, self.images)
            figures |= {"share": self.far / self.images, "share_low": low, "share_high": high}
            figures |= {name: count / self.images for name, count in self.by.items()}
        if self.several and self.member:
            figures["by"] = str(self.member.path)
        return figures

    @property
    def clearly(self) -> bool:
        """Whether that is more than chance, and worth a warning."""
        self._wait()
        return self.odd > 0 or (self.images > 0 and wilson(self.far, self.images)[0] > CLEARLY)

    def tell(self) -> None:
        """One line in the log: a warning where the images clearly lie far."""
        self._wait()
        if self.reference is None:
            log.info(
                "%s is not known: the checkpoint lacks the data for it (last.ckpt, or one of an earlier version)",
                DISTANCE,
            )
            return
        if not self.reference.known:
            log.info("%s is not known: validation had fewer than %d images. Only sizes are compared", DISTANCE, FEWEST)
        parts = []
        if self.odd:
            parts.append(f"{self.odd:,} of {self.sized:,} by size or shape (training: {self.reference.usual_sizes()})")
        if self.images:
            low, high = wilson(self.far, self.images)
            by = ", ".join(f"{count / self.images:.1%} by {name}" for name, count in self.by.items())
            stored = " by what they show" if self.odd else ""
            parts.append(f"{self.far / self.images:.1%}{stored} ({low:.1%} to {high:.1%}; {by}; 1% to 2% is usual)")
        if not parts:
            return
        by = f", by {self.member.path}" if self.several else ""
        text = f"Images that lie far from the training images{by}: {'; '.join(parts)}."
        log.log(logging.WARNING if self.clearly else logging.INFO, "%s", f"{text} {REVIEW}" if self.clearly else text)


class FarImages(Callback):
    """Shows `far` each batch of a test."""

    def __init__(self, far: Far):
        self.far = far

    def on_test_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        self.far.see(batch["image"])
