"""What the ranks of one training tell each other, beside tensors of one shape."""

from typing import Any

import torch.distributed as dist


def of_all_ranks(own: Any) -> list[Any]:
    """What each rank gives, in their order; to be called on all. Of a process alone its own."""
    if not dist.is_initialized():
        return [own]
    ranks: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(ranks, own)
    return ranks
