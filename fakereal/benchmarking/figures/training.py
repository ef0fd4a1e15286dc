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
    "steps": "bare steps between ours, in one process",  # a figure of its own, not a process
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
    """Rows for each network without augmentation and with flip and crop, against each peer: limit, imagefolder, timm.

    Args:
        networks: how many images make an epoch of each.
        given: overrides of the training besides, for all contenders as far as they concern them.
    """
    for network, images, augment, words in _trainings(bench, networks, batch_size, given):
        task = Task(str(bench.tree(images)), images, augment == "flip_crop", bench.repeats + 1, words).argument()
        name = f"{network}_{augment}"
        commands = {OURS: ["fakereal.train", *words, LAPS, f"hydra.run.dir={bench.folder / 'runs' / name}"]}
        commands |= {peer: [f"fakereal.benchmarking.loops.{peer}", task] for peer in peers}
        with bench.contenders(commands, name) as racing:
            rates = bench.race(racing)
        for peer in peers:
            yield _row(network, augment, words, peer, rates[OURS], rates[peer])


def steps(bench: Bench, networks: dict[str, int], batch_size: int, given: Sequence[str]) -> Iterator[Row]:
    """`training` against the limit, both in one process and by turns of a few steps; of epochs after the first."""
    for network, _, augment, words in _trainings(bench, networks, batch_size, given):
        run = bench.folder / "runs" / f"steps_{network}_{augment}"
        to = run / "rates.json"
        bench.command("train", *words, BETWEEN, f"+callbacks.between.to={to}", f"hydra.run.dir={run}")
        rates = {who: epochs[1:] for who, epochs in json.loads(to.read_text()).items()}
        yield _row(network, augment, words, "steps", rates["ours"], rates["bare"])


def _trainings(
    bench: Bench, networks: dict[str, int], batch_size: int, given: Sequence[str]
) -> Iterator[tuple[str, int, str, list[str]]]:
    """Network, images, augmentation, and the overrides that all who train so share."""
    for network, images in networks.items():
        for augment in AUGMENT:
            words = [*work(bench, network, images, batch_size), *given, f"data/augment={augment}"]
            yield network, images, augment, [*words, f"trainer.max_epochs={bench.repeats + 1}"]


def on_gpu(accelerator: str) -> bool:
    """Whether a training on this accelerator (auto, cpu, gpu, mps) takes NVIDIA's or AMD's."""
    return torch.cuda.is_available() and accelerator not in ("cpu", "mps")


def _row(
    network: str, augment: str, words: Sequence[str], peer: str, ours: Sequence[float], theirs: Sequence[float]
) -> Row:
    accelerator = next(word.partition("=")[2] for word in words if word.startswith("trainer.accelerator="))
    wanted = (WANTED_OF_GPU if on_gpu(accelerator) else WANTED).get(("limit" if peer == "steps" else peer, network))
    subject = f"{network}, {AUGMENT[augment]}"
    return Row.ratio("training", subject, AGAINST[peer], "images/s", ours, theirs, wanted=wanted)


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
