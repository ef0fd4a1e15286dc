"""The parts of a prediction, each alone: `SOURCE decode` or `CHECKPOINT forward IMAGES BATCH OVERRIDE...`.

Decoding uses every core, as `fakereal.predict` does; the forward pass has its images in memory. torch is imported by
the latter alone: the processes that decode import this module again.
"""

import sys
from contextlib import closing

from fakereal.benchmarking.laps import Lap


def decode(source: str) -> None:
    """Laps over all images below a folder."""
    from fakereal.data.store.decode import Resize
    from fakereal.data.store.parallel import decode_all
    from fakereal.prediction.images import Images
    from fakereal.prediction.question import ALONE

    lap = Lap()
    while True:
        lap.wait()
        with closing(decode_all(Images([source]), Resize(32), ALONE)) as decoded:
            lap.done(sum(1 for _ in decoded))


def forward(checkpoint: str, images: int, batch: int, overrides: list[str]) -> None:
    """Laps over so many answers of a network."""
    import torch

    from fakereal.benchmarking.loops.task import composed
    from fakereal.config.build import build
    from fakereal.models.ensemble import Ensemble, load_members
    from fakereal.runtime.memory import keep_freed_memory

    cfg = composed("predict", [f"ckpt_path={checkpoint}", "images=.", *overrides])
    keep_freed_memory()
    fabric = build(cfg.trainer, devices=1)
    network = fabric.setup_module(Ensemble(load_members(checkpoint)))
    pixels = torch.randint(0, 256, (batch, 32, 32, 3), dtype=torch.uint8).permute(0, 3, 1, 2).to(fabric.device)
    lap, steps = Lap(), -(-images // batch)
    while True:
        lap.wait()
        with torch.inference_mode():
            for _ in range(steps):
                network(pixels)
        lap.done(steps * batch, fabric.device)


if __name__ == "__main__":
    first, part, *rest = sys.argv[1:]
    if part == "decode":
        decode(first)
    else:
        forward(first, int(rest[0]), int(rest[1]), rest[2:])
