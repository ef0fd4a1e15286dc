"""The limit: the same network, batch and precision on one batch that is already in memory, and nothing else."""

import torch
import torch.nn.functional as F

from fakereal.benchmarking.laps import Lap
from fakereal.benchmarking.loops.task import begin, network_of
from fakereal.config.build import build
from fakereal.training.environment import spare_gpu_search
from fakereal.training.memory import keep_freed_memory


def main() -> None:
    """Laps until nobody asks any more."""
    task, cfg, device = begin()
    torch.backends.cudnn.benchmark = True  # as conf/trainer/default.yaml has it
    keep_freed_memory()  # as our own commands do: it would be no limit without
    spare_gpu_search()  # as without Lightning, which `begin` imports
    network = network_of(cfg).to(device).train()
    optimizer = build(cfg.optimizer)(network.parameters())
    batch, side = cfg.data.batch_size, cfg.model.image_size
    pixels = torch.randn(batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
    bf16 = str(cfg.trainer.precision) == "bf16-mixed"
    lap, steps = Lap(), -(-task.images // batch)
    while True:
        lap.wait()
        for _ in range(steps):
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                logits = network(pixels).squeeze(1)
            # New labels each time: learnt by heart, the batch would leave gradients that are denormal, and slow.
            labels = torch.randint(0, 2, (batch,), device=device).float()
            loss = F.binary_cross_entropy_with_logits(logits.float(), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        lap.done(steps * batch, device)


if __name__ == "__main__":
    main()
