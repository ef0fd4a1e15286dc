"""What a job of a sweep costs beyond its training."""

import json
from collections.abc import Iterator

from fakereal.benchmarking.bench import Bench, Row
from fakereal.benchmarking.figures.training import work

JOBS = 4  # of a sweep, beyond the first
IMAGES = 2_048


def sweeping(bench: Bench, batch_size: int) -> Iterator[Row]:
    """Seconds a job after the first, less the seconds of its training epochs."""
    overheads = []
    words = [*work(bench, "lenet", IMAGES, batch_size), "trainer.max_epochs=1"]
    for number in range(bench.repeats):
        took = {}
        for jobs in (1, 1 + JOBS):
            folder = bench.folder / "sweeps" / f"{number}_{jobs}"
            seeds = ",".join(map(str, range(jobs)))
            seconds = bench.command("train", "--multirun", *words, f"seed={seeds}", f"hydra.sweep.dir={folder}")
            trained = [json.loads(path.read_text())["train_seconds"] for path in folder.glob("*/metrics.json")]
            took[jobs] = seconds - sum(trained)
        overheads.append((took[1 + JOBS] - took[1]) / JOBS)
    yield Row.alone("a sweep's job, beyond training", f"lenet, {JOBS} jobs after the first", "s", overheads,
                    wanted=1.5, at_most=True)  # fmt: skip
