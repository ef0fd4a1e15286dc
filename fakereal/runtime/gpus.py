"""A GPU of its own for each job of a sweep that runs beside others on one machine.

Imported before torch: what CUDA_VISIBLE_DEVICES says when a process first uses CUDA holds for the whole process.
"""

import itertools
import os
import subprocess
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

from fakereal.runtime.errors import UserError

_own: list[tuple[str, FileLock | None]] = []  # this process's, until it ends: jobs that it runs later have the same


def gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES names, or else the NVIDIA GPUs of this machine; UserError where there are none."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        try:
            asked = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
            named = ",".join(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split())
        except (OSError, subprocess.CalledProcessError):
            named = ""
    # As CUDA reads it: what follows a number below 0 is not there.
    names = [name.strip() for name in named.split(",") if name.strip()]
    found = [*itertools.takewhile(lambda name: not name.startswith("-"), names)]
    if not found:
        raise UserError(
            "hydra/launcher=gpus finds no GPU (CUDA_VISIBLE_DEVICES, nvidia-smi). "
            "Without GPUs: hydra/launcher=joblib hydra.launcher.n_jobs=2."
        )
    return found


def own_gpu(number: int) -> str:
    """The GPU that this process has from now on, for CUDA_VISIBLE_DEVICES: that of the job's number, if it is free.

    Else the next that no other job's process of this user holds; where all are taken, that of the number is shared.
    """
    if not _own:
        _own.append(_choose(int(number)))
    return _own[0][0]


def _choose(number: int) -> tuple[str, FileLock | None]:
    found = gpus()
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir(), f"fakereal-gpus-{user}")
    folder.mkdir(exist_ok=True)
    first = number % len(found)
    for name in [*found[first:], *found[:first]]:
        lock = FileLock(folder / f"{name.replace('/', '_')}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        return name, lock
    return found[first], None
