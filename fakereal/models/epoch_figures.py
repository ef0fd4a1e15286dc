"""Mean loss and metrics of an epoch, of its training as of its validation."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric, MetricCollection

from fakereal.models.ranks import of_all_ranks

COUNTED_AT_ONCE = 50  # batches of training: updating metrics takes as long for many images as for few


class Seen(NamedTuple):
    """Of a batch, each (B,): losses, logits, labels, and weights, of which 0 is padding."""

    losses: Tensor
    logits: Tensor
    label: Tensor
    weight: Tensor


class EpochFigures(nn.Module):
    """Counts what a step saw; padding counts nowhere.

    Args:
        metrics: of probabilities (B,) of FAKE and labels (B,), 1 for FAKE.
    """

    def __init__(self, metrics: MetricCollection):
        super().__init__()
        self.metrics = metrics
        self.loss = MeanMetric(nan_strategy="disable")  # a loss that is not a number is not left out
        self.waiting: list[Seen] = []
        self.padded = True

    def count(self, seen: Seen, padded: bool) -> tuple[Tensor, Tensor]:
        """Updates loss and metrics; the logits and labels without padding, of which there is some if `padded`."""
        if padded:
            real = seen.weight.nonzero().squeeze(1)  # once: a GPU waits for it
            seen = Seen(*(values[real] for values in seen))
        self.loss.update(seen.losses)
        self.metrics.update(torch.sigmoid(seen.logits), seen.label.int())
        return seen.logits, seen.label

    def collect(self, seen: Seen, last: bool) -> None:
        """`count` of many batches together, those before the `last` of the epoch included."""
        self.waiting.append(seen)
        if last or len(self.waiting) == COUNTED_AT_ONCE:
            self.close()

    def close(self) -> None:
        """Counts what waits."""
        if self.waiting:
            self.count(Seen(*map(torch.cat, zip(*self.waiting, strict=True))), self.padded)
            self.waiting.clear()

    def so_far(self) -> list[dict[str, Any]]:
        """States of the metrics and the batches that wait, of each rank, for a checkpoint; to be called on all.

        Metrics are no part of a checkpoint by themselves: a resumed epoch would tell of its second part alone.
        """
        parts = [part for part in self.modules() if isinstance(part, Metric)]
        for part in parts:
            part.persistent(True)
        states = {name: value.detach().cpu().clone() for name, value in self.state_dict().items()}
        for part in parts:
            part.persistent(False)
        waiting = [[value.cpu() for value in batch] for batch in self.waiting]
        return of_all_ranks({"metrics": states, "waiting": waiting})

    def begin(self, ranks: list[dict[str, Any]] | None, rank: int, world: int, device: torch.device) -> None:
        """A training starts, with the figures `so_far` if it goes on; without, where there are more or fewer ranks now.

        Whatever waited, of a training that was interrupted, is dropped.
        """
        self.waiting.clear()
        self.padded = world > 1  # the ranks share batches of fewer images than there are ranks
        if ranks is None or len(ranks) != world:
            return
        self.load_state_dict({name: value.to(device) for name, value in ranks[rank]["metrics"].items()})
        self.waiting += [Seen(*(value.to(device) for value in batch)) for batch in ranks[rank]["waiting"]]
