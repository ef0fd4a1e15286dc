"""Images per second of whole training epochs, against the limit and against what people would use instead."""

from collections.abc import Iterator, Sequence

import torch

from fakereal.benchmarking.bench import Bench, Row
from fakereal.benchmarking.loops.task import Task

OURS = "fakereal"
AGAINST = {
    "limit": "bare loop, one batch in memory",
    "imagefolder": "ImageFolder + DataLoader + Lightning, fp32",
    "timm": "timm's loader and training loop",
}
WANTED_OF_GPU = {
    ("limit", "cnn"): 0.97, ("limit", "resnet18"): 0.97, ("limit", "resnet50"): 0.97,
    ("imagefolder", "cnn"): 5.0, ("imagefolder", "resnet18"): 5.0,
}  # fmt: skip
WANTED = {
    ("limit", "lenet"): 0.95, ("limit", "cnn"): 0.95, ("limit", "resnet18"): 0.98, ("limit", "resnet50"): 0.98,
    ("imagefolder", "lenet"): 4.0, ("imagefolder", "cnn"): 4.0, ("imagefolder", "resnet18"): 1.5,
    ("timm", "lenet"): 1.0, ("timm", "cnn"): 1.0, ("timm", "resnet18"): 1.0, ("timm", "resnet50"): 1.0,
}  # fmt: skip
VAL_FRACTION = 0.02
LAPS = "+callbacks.laps._target_=fakereal.benchmarking.epoch_laps.EpochLaps"


def training(
    bench: Bench, networks: dict[str, int], peers: Sequence[str], batch_size: int, given: Sequence[str]
) -> Iterator[Row]:
    """Rows for each network without augmentation and with flip and crop, against each of `peers` (of AGAINST).

    Args:
        networks: how many images make an epoch of each.
        given: overrides of the training besides, for all contenders as far as they concern them.
    """
    for network, images in networks.items():
        words = [*work(bench, network, images, batch_size), *given]
        for augment in (False, True):
            yield from _race(bench, network, images, augment, peers, words)


def _race(
    bench: Bench, network: str, images: int, augment: bool, peers: Sequence[str], words: list[str]
) -> Iterator[Row]:
    laps = bench.repeats + 1
    name = f"{network}_{'flip_crop' if augment else 'none'}"
    words = [
        *words,
        f"data/augment={'flip_crop' if augment else 'none'}",
        f"trainer.max_epochs={laps}",
    ]
    task = Task(str(bench.tree(images)), images, augment, laps, words).argument()
    commands = {OURS: ["fakereal.train", *words, LAPS, f"hydra.run.dir={bench.folder / 'runs' / name}"]}
    commands |= {peer: [f"fakereal.benchmarking.loops.{peer}", task] for peer in peers}
    with bench.contenders(commands, name) as racing:
        rates = bench.race(racing)
    subject = f"{network}, {'flip and crop' if augment else 'no augmentation'}"
    on_gpu = torch.cuda.is_available() and "trainer.accelerator=cpu" not in words
    for peer in peers:
        bound = {"wanted": (WANTED_OF_GPU if on_gpu else WANTED).get((peer, network))}
        yield Row.ratio("training", subject, AGAINST[peer], "images/s", rates[OURS], rates[peer], **bound)


def work(bench: Bench, network: str, images: int, batch_size: int, root: str | None = None) -> list[str]:
    """Overrides of a training from scratch at 32 px, on so many generated images or those of `root`."""
    return [
        *bench.overrides,
        f"model={network}",
        "model.pretrained=false",
        "model.image_size=32",
        "data=folder",
        f"data.root={root or bench.tree(images)}",
        "data.size=32",
        f"data.val_fraction={VAL_FRACTION}",
        f"data.batch_size={batch_size}",
    ]
