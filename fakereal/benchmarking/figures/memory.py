"""How much memory a training takes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from fakereal.benchmarking.bench import MANY, Bench, Row
from fakereal.benchmarking.figures.training import work
from fakereal.runtime.errors import UserError, installing

GB = 10**9
TENTH = 0.1  # seconds between two looks at the memory


def memory(bench: Bench, source: str | None, batch_size: int) -> Iterator[Row]:
    """GB that a training's processes hold together at most, decoding included; shared pages count once."""
    try:
        import psutil
    except ImportError as error:
        raise UserError(f"figures=memory needs psutil: {installing('benchmark')}.") from error
    short = ["trainer.max_epochs=1", "trainer.limit_train_batches=100"]
    words = [*work(bench, "cnn", MANY, batch_size, source), f"data.cache_dir={bench.folder / 'memory'}", *short]
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
    subject = f"cnn, {Path(source).name if source else f'{MANY:,} images'}"
    yield Row.alone("peak memory", subject, "GB", [most / GB], wanted=2, at_most=True)


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
