"""How soon a command answers: help, what is wrong, the first step."""

from collections.abc import Iterator

from fakereal.benchmarking.bench import Bench, Row
from fakereal.benchmarking.figures.training import LAPS, OURS

IMPORTS = "import torch, lightning"
COMMANDS = {  # with the status that each ends with
    "--help": ("--help", 0),
    "a wrong key": ("no_such_key=1", 1),
    "a wrong choice": ("model=no_such_network", 1),
}


def starting(bench: Bench) -> Iterator[Row]:
    """Seconds of `fakereal.train`, against a Python that only imports torch and lightning."""
    seconds: dict[str, list[float]] = {name: [] for name in ("imports", *COMMANDS, "first step")}
    for number in range(bench.repeats + 1):  # the first fills the file system's cache
        took = {"imports": bench.python("-c", IMPORTS)}
        took |= {name: bench.command("train", word, status=status) for name, (word, status) in COMMANDS.items()}
        took["first step"] = _first_step(bench, number)
        if number:
            for name, value in took.items():
                seconds[name].append(value)
    for name in (*COMMANDS, "first step"):
        yield Row.ratio(
            "start", name, f"python -c '{IMPORTS}'", "s", seconds[name], seconds["imports"],
            wanted=2.0 if name == "first step" else 0.5, at_most=True,
        )  # fmt: skip


def _first_step(bench: Bench, number: int) -> float:
    """Until the first optimizer step of a small network is done, on generated images."""
    words = ["data=synthetic", "data.count=400", "model=cnn", "trainer.limit_train_batches=1", "trainer.max_epochs=1"]
    run = f"hydra.run.dir={bench.folder / 'first_step' / str(number)}"
    return bench.seconds_to_first_lap(OURS, ["fakereal.train", *bench.overrides, *words, LAPS, run])
