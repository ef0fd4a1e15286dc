"""Which layers of a backbone have a map, and how large it is."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from fakereal.models.classifier import Classifier
from fakereal.runtime.errors import UserError

SIDE = 4  # cells of a side from which on a map tells places apart
DEPTH = 2  # of the modules that are looked at: layer2 and layer2.0, and not what these are made of


class NoMap(UserError):
    """There is no map at the layer; the message names one that has a map."""


def cells(backbone: nn.Module, output: object) -> Tensor | None:
    """A layer's output as (B, h, w, C): of maps (B, C, h, w), of Swin's (B, h, w, C), or of tokens (B, N, C).

    Tokens are those of a square of patches, after the class token and its like. None where it is none of these.
    """
    if not isinstance(output, Tensor) or not output.is_floating_point():
        return None
    if output.ndim == 4:
        return output if getattr(backbone, "output_fmt", "NCHW") == "NHWC" else output.permute(0, 2, 3, 1)
    if output.ndim != 3:
        return None
    patches = output[:, getattr(backbone, "num_prefix_tokens", 0) :]
    side = math.isqrt(patches.shape[1])
    return patches.unflatten(1, (side, side)) if side and side * side == patches.shape[1] else None


@contextmanager
def hooked(modules: dict[str, nn.Module], hook) -> Iterator[None]:
    """Calls `hook(name, output)` after each module; what it returns, if anything, takes the output's place."""
    handles = [
        module.register_forward_hook(lambda _module, _args, output, name=name: hook(name, output))
        for name, module in modules.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def map_sizes(classifier: Classifier, images: Tensor) -> dict[str, tuple[int, int]]:
    """Height and width of the map of each layer that has one, in the order of the forward pass."""
    backbone, sizes = classifier.backbone, {}

    def look(name: str, output: object) -> None:
        if (held := cells(backbone, output)) is not None:
            sizes.pop(name, None)
            sizes[name] = (held.shape[1], held.shape[2])

    modules = {name: module for name, module in backbone.named_modules() if name and name.count(".") < DEPTH}
    with torch.no_grad(), hooked(modules, look):
        classifier(images[:1])
    return sizes


def instead(classifier: Classifier, images: Tensor) -> str:
    """The end of a message: the layer to use, with its map, and the others."""
    last = {size: name for name, size in map_sizes(classifier, images).items() if max(size) > 1}
    if not last:
        return "no layer has a larger map: train with a larger model.image_size."
    listed = [f"{name} ({height} x {width})" for (height, width), name in last.items()]
    usable = [size for size in last if min(size) >= SIDE] or [max(last)]
    height, width = usable[-1]
    others = f" Layers with a map: {', '.join(listed)}." if len(listed) > 1 else ""
    return f"use layer={last[height, width]}, whose map has {height} x {width} cells.{others}"
