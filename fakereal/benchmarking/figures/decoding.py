"""Decoding a data set once, and the first epoch from files that were never seen."""

import time
from collections.abc import Iterator
from pathlib import Path

from fakereal.benchmarking.bench import MANY, Bench, Row
from fakereal.benchmarking.figures.training import AGAINST, LAPS, OURS, VAL_FRACTION, work
from fakereal.benchmarking.images import packed, tree_of
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
    """From an archive to the end of the first epoch of LeNet, nothing decoded before: ours to theirs.

    Theirs has the archive extracted, then loads the files. Whoever is first in a round is second in the next.
    """
    archive = packed(bench.tree(MANY))
    words = [*work(bench, "lenet", MANY, batch_size, str(archive)), "data/augment=none", "trainer.max_epochs=1"]
    ours, theirs = [], []
    for number in range(bench.repeats):
        folder = bench.folder / "first" / str(number)
        turns = [(ours, _our_first), (theirs, _their_first)]
        for rates, first in turns if number % 2 else turns[::-1]:
            rates.append(first(bench, archive, words, folder))
    subject = f"lenet, {MANY:,} JPEG files in a .tar, from the start of the command"
    yield Row.ratio("first epoch", subject, AGAINST["imagefolder"], "images/s", ours, theirs, wanted=1.0)


def _our_first(bench: Bench, archive: Path, words: list[str], folder: Path) -> float:
    command = ["fakereal.train", *words, LAPS, f"data.cache_dir={folder}", f"hydra.run.dir={folder / 'run'}"]
    return MANY * (1 - VAL_FRACTION) / bench.seconds_to_first_lap(OURS, command)


def _their_first(bench: Bench, archive: Path, words: list[str], folder: Path) -> float:
    began = time.perf_counter()
    tree = tree_of(archive, folder / "extracted")
    extraction = time.perf_counter() - began
    task = Task(str(tree), MANY, False, 1, words, workers=-1).argument()
    command = ["fakereal.benchmarking.loops.imagefolder", task]
    return MANY / (extraction + bench.seconds_to_first_lap("imagefolder", command))
