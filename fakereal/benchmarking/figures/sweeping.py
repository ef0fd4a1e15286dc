"""What a job of a sweep costs beyond its training, and how much memory a training takes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

from fakereal.benchmarking.bench import Bench, Row
from fakereal.benchmarking.figures.training import work
from fakereal.config.errors import UserError

JOBS = 4  # of a sweep, beyond the first
IMAGES = 2_048
LARGE = 20_000  # images of the memory's measurement, where no data set is given
GIB = 2**30
TENTH = 0.1  # seconds between two looks at the memory


def sweeping(bench: Bench, batch_size: int) -> Iterator[Row]:
    """Seconds a job after the first, less the seconds of its training epochs."""
    overheads = []
    words = [*work(bench, "lenet", IMAGES, batch_size), "trainer.max_epochs=1"]
    for number in range(bench.repeats):
        took = {}
        for jobs in (1, 1 + JOBS):
            folder = bench.folder / "sweeps" / f"{number}_{jobs}"
            seeds = ",".join(map(str, range(jobs)))
            began = time.perf_counter()
            bench.command("train", "--multirun", *words, f"seed={seeds}", f"hydra.sweep.dir={folder}")
            trained = [json.loads(path.read_text())["train_seconds"] for path in folder.glob("*/metrics.json")]
            took[jobs] = time.perf_counter() - began - sum(trained)
        overheads.append((took[1 + JOBS] - took[1]) / JOBS)
    yield Row.alone("a sweep's job, beyond training", f"lenet, {JOBS} jobs after the first", "s", overheads,
                    wanted=1.5, at_most=True)  # fmt: skip


def memory(bench: Bench, source: str | None, batch_size: int) -> Iterator[Row]:
    """GiB that a training's processes hold together at most, decoding included; shared pages count once."""
    try:
        import psutil
    except ImportError as error:
        raise UserError('figures=memory needs psutil: pip install "fakereal[benchmark]".') from error
    given = [f"data.root={source or bench.tree(LARGE)}", f"data.cache_dir={bench.folder / 'memory'}"]
    words = [*work(bench, "cnn", IMAGES, batch_size), *given, "trainer.max_epochs=1", "trainer.limit_train_batches=100"]
    process = psutil.Popen(
        [sys.executable, "-m", "fakereal.train", *words, f"hydra.run.dir={bench.folder / 'runs' / 'memory'}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **bench.env},
    )
    most = 0
    while process.poll() is None:
        most = max(most, _held(process))
        time.sleep(TENTH)
    if process.returncode:
        raise UserError(f"The training whose memory was measured ended with status {process.returncode}.")
    yield Row.alone("peak memory", f"cnn, {source or f'{LARGE:,} images'}", "GiB", [most / GIB], wanted=2, at_most=True)


def _held(process) -> int:
    """Bytes of a process and all below it."""
    import psutil

    held = 0
    try:
        for one in (process, *process.children(recursive=True)):
            info = one.memory_full_info()
            held += getattr(info, "pss", info.uss)  # pages that several share are divided among them
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        pass  # it ended while it was looked at
    return held
