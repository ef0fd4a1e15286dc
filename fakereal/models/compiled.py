"""Compiling networks, one after the other in one process."""

import torch
from torch import nn

_last: str | None = None  # what the graphs that torch keeps are of


def compile_network(network: nn.Module, *settings: object) -> None:
    """Compiles a network in place, for each size of a batch a graph of its own.

    One graph for all sizes, to which the last batch of an epoch leads by itself, is slower for full ones. The graphs
    serve the jobs of a sweep that follow with the same layers and `settings` (precision, say). Those of others are
    dropped: torch keeps eight for a function, and from then on runs networks as they are, with a line in its own log.
    """
    global _last
    said = repr((network, *settings))
    if _last not in (None, said):
        torch.compiler.reset()
    _last = said
    network.compile(dynamic=False)
