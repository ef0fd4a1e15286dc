"""Decoding a data set once, and the first epoch from files that were never seen."""

from collections.abc import Iterator
from pathlib import Path

from fakereal.benchmarking.bench import MANY, Bench, Row
from fakereal.benchmarking.figures.training import AGAINST, LAPS, OURS, work
from fakereal.benchmarking.loops.task import Task


def decoding(bench: Bench, source: str | None) -> Iterator[Row]:
    """Images per second into the store, against one PIL thread that reads the same folder or archive."""
    path = source or str(bench.tree(MANY))
    commands = {way: ["fakereal.benchmarking.loops.decode", path, way] for way in ("store", "pil")}
    with bench.contenders(commands, "decode") as racing:
        rates = bench.race(racing)
    subject = Path(path).name if source else f"{MANY:,} JPEG files of 32 px"
    yield Row.ratio("decoding", subject, "one PIL thread", "images/s", rates["store"], rates["pil"], wanted=1.8)


def first_epoch(bench: Bench, batch_size: int) -> Iterator[Row]:
    """From the start of the command to the end of the first epoch of LeNet, nothing decoded before: ours to theirs."""
    words = [*work(bench, "lenet", MANY, batch_size), "data/augment=none", "trainer.max_epochs=1"]
    task = Task(str(bench.tree(MANY)), MANY, False, 1, words, workers=-1).argument()
    ours, theirs = [], []
    for number in range(bench.repeats):
        folder = bench.folder / "first" / str(number)
        command = ["fakereal.train", *words, LAPS, f"data.cache_dir={folder}", f"hydra.run.dir={folder / 'run'}"]
        ours.append(MANY / bench.seconds_to_first_lap(OURS, command))
        command = ["fakereal.benchmarking.loops.imagefolder", task]
        theirs.append(MANY / bench.seconds_to_first_lap("imagefolder", command))
    subject = f"lenet, {MANY:,} JPEG files, from the start of the command"
    yield Row.ratio("first epoch", subject, AGAINST["imagefolder"], "images/s", ours, theirs, wanted=1.0)
