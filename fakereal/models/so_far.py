"""What the training figures of an epoch hold when a checkpoint is written within it.

Metrics are no part of a checkpoint by themselves: a resumed epoch would tell of its second part alone.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torchmetrics import Metric


def so_far(metrics: nn.Module, waiting: Sequence[Sequence[torch.Tensor]]) -> list[dict[str, Any]]:
    """The states of the metrics and the batches that wait to be counted, of each rank; to be called on all."""
    parts = [part for part in metrics.modules() if isinstance(part, Metric)]
    for part in parts:
        part.persistent(True)
    states = {name: value.detach().cpu().clone() for name, value in metrics.state_dict().items()}
    for part in parts:
        part.persistent(False)
    own = {"metrics": states, "waiting": [[value.cpu() for value in batch] for batch in waiting]}
    if not dist.is_initialized():
        return [own]
    ranks: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(ranks, own)
    return ranks


def restore(
    ranks: list[dict[str, Any]], metrics: nn.Module, rank: int, world: int, device: torch.device
) -> list[list[torch.Tensor]]:
    """Puts the states back, and returns the waiting batches; neither where there are more or fewer ranks now."""
    if len(ranks) != world:
        return []
    metrics.load_state_dict({name: value.to(device) for name, value in ranks[rank]["metrics"].items()})
    return [[value.to(device) for value in batch] for batch in ranks[rank]["waiting"]]
