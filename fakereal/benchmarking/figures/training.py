"""Images per second of whole training epochs, against the limit and against what people would use instead."""

import json
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
AUGMENT = {"none": "no augmentation", "flip_crop": "flip and crop"}
VAL_FRACTION = 0.02
LAPS = "+callbacks.laps._target_=fakereal.benchmarking.epoch_laps.EpochLaps"
BETWEEN = "+callbacks.between._target_=fakereal.benchmarking.loops.between.BareStepsBetween"


def training(
    bench: Bench, networks: dict[str, int], peers: Sequence[str], batch_size: int, given: Sequence[str]
) -> Iterator[Row]:
    """Rows for each network without augmentation and with flip and crop, against each of `peers` (of AGAINST).

    Args:
        networks: how many images make an epoch of each.
        given: overrides of the training besides, for all contenders as far as they concern them.
    """
    for network, images, augment in _each(networks):
        words, run = _command(bench, network, images, augment, batch_size, given, "training")
        task = Task(str(bench.tree(images)), images, augment == "flip_crop", bench.repeats + 1, words).argument()
        commands = {OURS: ["fakereal.train", *words, LAPS, run]}
        commands |= {peer: [f"fakereal.benchmarking.loops.{peer}", task] for peer in peers}
        with bench.contenders(commands, f"{network}_{augment}") as racing:
            rates = bench.race(racing)
        for peer in peers:
            yield _row(network, augment, AGAINST[peer], rates[OURS], rates[peer], _wanted(peer, network, words))


def steps(bench: Bench, networks: dict[str, int], batch_size: int, given: Sequence[str]) -> Iterator[Row]:
    """`training` against the limit, both in one process and by turns of a few steps; of epochs after the first."""
    for network, images, augment in _each(networks):
        words, run = _command(bench, network, images, augment, batch_size, given, "steps")
        to = bench.folder / f"steps_{network}_{augment}.json"
        bench.command("train", *words, BETWEEN, f"+callbacks.between.to={to}", run)
        rates = {who: epochs[1:] for who, epochs in json.loads(to.read_text()).items()}
        wanted = _wanted("limit", network, words)
        yield _row(network, augment, "bare steps between ours, in one process", rates["ours"], rates["bare"], wanted)


def _each(networks: dict[str, int]) -> Iterator[tuple[str, int, str]]:
    """Network, images and augmentation."""
    for network, images in networks.items():
        for augment in AUGMENT:
            yield network, images, augment


def _command(
    bench: Bench, network: str, images: int, augment: str, batch_size: int, given: Sequence[str], name: str
) -> tuple[list[str], str]:
    """Overrides of the training, which all contenders share, and where ours leaves its results."""
    words = [*work(bench, network, images, batch_size), *given]
    words += [f"data/augment={augment}", f"trainer.max_epochs={bench.repeats + 1}"]
    return words, f"hydra.run.dir={bench.folder / 'runs' / f'{name}_{network}_{augment}'}"


def _row(
    network: str, augment: str, against: str, ours: Sequence[float], theirs: Sequence[float], wanted: float | None
) -> Row:
    subject = f"{network}, {AUGMENT[augment]}"
    return Row.ratio("training", subject, against, "images/s", ours, theirs, wanted=wanted)


def _wanted(peer: str, network: str, words: Sequence[str]) -> float | None:
    on_gpu = torch.cuda.is_available() and "trainer.accelerator=cpu" not in words
    return (WANTED_OF_GPU if on_gpu else WANTED).get((peer, network))


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
