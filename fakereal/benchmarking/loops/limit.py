"""The limit: the same network, batch and precision on one batch that is already in memory, and nothing else."""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import nn

from fakereal.benchmarking.laps import Lap
from fakereal.benchmarking.loops.task import begin, network_of
from fakereal.config.build import build
from fakereal.models.backbones.small_maps import use_matrix_products
from fakereal.runtime.environment import spare_gpu_search
from fakereal.runtime.memory import keep_freed_memory


class BareLoop:
    """Steps of a network with one logit, on the device that it is on.

    Args:
        optimizer: is called with the network's parameters.
        shape: (B, 3, H, W) of the batch.
        bf16: mixed precision, or fp32.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        shape: tuple[int, int, int, int],
        bf16: bool,
    ):
        self.network, self.bf16 = network.train(), bf16
        self.optimizer = optimizer(network.parameters())
        self.device = next(network.parameters()).device
        self.pixels = torch.randn(shape, device=self.device).contiguous(memory_format=torch.channels_last)

    def step(self) -> None:
        """Forward, backward and optimizer."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            logits = self.network(self.pixels).squeeze(1)
        # New labels each time: learnt by heart, the batch would leave gradients that are denormal, and slow.
        labels = torch.randint(0, 2, (len(self.pixels),), device=self.device).float()
        loss = F.binary_cross_entropy_with_logits(logits.float(), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def main() -> None:
    """Laps until nobody asks any more."""
    task, cfg, device = begin()
    torch.backends.cudnn.benchmark = True  # as conf/trainer/default.yaml has it
    keep_freed_memory()  # as our own training does, and the products below: it would be no limit without
    spare_gpu_search()  # as without Lightning, which `begin` imports
    batch, side = cfg.data.batch_size, cfg.model.image_size
    bf16 = str(cfg.trainer.precision) == "bf16-mixed"
    network = network_of(cfg).to(device)
    use_matrix_products(network)
    if cfg.model.compile:
        network.compile(dynamic=False)
    loop = BareLoop(network, build(cfg.optimizer), (batch, 3, side, side), bf16)
    lap, steps = Lap(), -(-task.images // batch)
    while True:
        lap.wait()
        for _ in range(steps):
            loop.step()
        lap.done(steps * batch, device)


if __name__ == "__main__":
    main()
