"""How soon a command answers: help, what is wrong, the first step."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

from fakereal.benchmarking.bench import Bench, Row
from fakereal.benchmarking.figures.training import LAPS, OURS

IMPORTS = "import torch, lightning"
COMMANDS = {
    "--help": ["--help"],
    "a wrong key": ["no_such_key=1"],
    "a wrong choice": ["model=no_such_network"],
}


def starting(bench: Bench) -> Iterator[Row]:
    """Seconds of `fakereal.train`, against a Python that only imports torch and lightning."""
    seconds: dict[str, list[float]] = {name: [] for name in ("imports", *COMMANDS, "first step")}
    for number in range(bench.repeats + 1):  # the first fills the file system's cache
        took = {"imports": _seconds(bench, ["-c", IMPORTS])}
        took |= {name: _seconds(bench, ["-m", "fakereal.train", *words]) for name, words in COMMANDS.items()}
        took["first step"] = _first_step(bench, number)
        if number:
            for name, value in took.items():
                seconds[name].append(value)
    for name in (*COMMANDS, "first step"):
        yield Row.ratio(
            "start", name, f"python -c '{IMPORTS}'", "s", seconds[name], seconds["imports"],
            wanted=2.0 if name == "first step" else 0.5, at_most=True,
        )  # fmt: skip


def _seconds(bench: Bench, words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *words], capture_output=True, env={**os.environ, **bench.env}, cwd=bench.folder, check=False
    )
    return time.perf_counter() - began


def _first_step(bench: Bench, number: int) -> float:
    """Until the first optimizer step of a small network is done, on generated images."""
    words = ["data=synthetic", "data.count=400", "model=cnn", "trainer.limit_train_batches=1", "trainer.max_epochs=1"]
    run = f"hydra.run.dir={bench.folder / 'first_step' / str(number)}"
    began = time.perf_counter()
    with bench.contenders({OURS: ["fakereal.train", *bench.overrides, *words, LAPS, run]}, "first_step") as [contender]:
        contender.lap()
        return time.perf_counter() - began
