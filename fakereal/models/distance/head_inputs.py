"""What the last layer of a network is given: the features by which images are compared."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from fakereal.models.backbones.layers import classifiers
from fakereal.models.classifier import Classifier


class HeadInputs:
    """Features (B, D) of each forward pass of a classifier in this thread, while `watched`."""

    def __init__(self) -> None:
        self.passes: list[Tensor] = []
        self.thread = threading.get_ident()

    def see(self, head: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """A forward pre-hook of the last layer."""
        if threading.get_ident() == self.thread:
            self.passes.append(pooled(inputs[0].detach()))

    def forget(self) -> None:
        """To be called before a batch: a pass in between was of something else."""
        self.passes.clear()

    def take(self) -> Tensor | None:
        """The features of the batch, of its first pass (the second of test-time augmentation sees the mirror images).

        None where the classifier was not asked since `forget`, or the last `take`.
        """
        first = self.passes[0] if self.passes else None
        self.passes.clear()
        return first


def pooled(features: Tensor) -> Tensor:
    """(B, D) of features (B, D), maps (B, D, h, w) or tokens (B, n, D)."""
    if features.ndim == 4:
        return features.mean((2, 3))
    return features.mean(1) if features.ndim == 3 else features


@contextmanager
def watched(classifier: Classifier) -> Iterator[HeadInputs]:
    """`HeadInputs` for a while; a compiled network runs uncompiled, as its graph would pass over the hook."""
    inputs = HeadInputs()
    hook = classifiers(classifier.backbone)[0].register_forward_pre_hook(inputs.see)
    try:
        with torch.compiler.set_stance("force_eager") if classifier.compile_backbone else nullcontext():
            yield inputs
    finally:
        hook.remove()
