"""How torch's threads wait for each other: awake where the cores are theirs, asleep where other programs use them.

A thread that waits awake keeps a core from the one that it waits for: beside one busy program on two cores LeNet trains
at 3,300 images/s, and asleep at 5,200. Where nobody else is busy, waiting asleep costs about a fifth, LeNet up to two.
"""

import logging
import os
import sys
import time
from typing import NamedTuple

from fakereal.runtime.hardware import cores

log = logging.getLogger(__name__)
SAID = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")  # by whoever knows better
BUSY = 0.4  # of a core, from which on others are in the way
LEAST = 0.1  # seconds that are long enough to tell


class CpuTime(NamedTuple):
    """Seconds: on the clock, of this process, and of all processes on all cores."""

    clock: float
    own: float
    all: float

    @classmethod
    def now(cls) -> "CpuTime | None":
        """None where the system does not tell: only Linux does here."""
        try:
            with open("/proc/stat") as file:
                user, nice, system, _idle, _waiting, irq, softirq = map(int, file.readline().split()[1:8])
        except (OSError, ValueError):
            return None
        ticks = user + nice + system + irq + softirq
        return cls(time.perf_counter(), time.process_time(), ticks / os.sysconf("SC_CLK_TCK"))


_begun = CpuTime.now()  # when a command starts, which is some time before it imports torch


def others() -> float | None:
    """How many cores other processes have used since this module was imported; None where that is not known."""
    now = CpuTime.now()
    if now is None or _begun is None or now.clock - _begun.clock < LEAST:
        return None
    return (now.all - _begun.all - (now.own - _begun.own)) / (now.clock - _begun.clock)


def wait_asleep_among_others() -> None:
    """To be called before torch is imported: its threads read the setting once."""
    if "torch" in sys.modules or any(name in os.environ for name in SAID):
        return
    there, given = os.cpu_count() or 1, os.environ.get("OMP_NUM_THREADS", "")
    threads = int(given) if given.isdecimal() else cores()
    used = others()
    if threads > 1 and used is not None and used > there - threads + BUSY:
        os.environ["OMP_WAIT_POLICY"] = "passive"
        log.info(
            "Other programs use %.1f of %d cores: torch's threads sleep while waiting (OMP_WAIT_POLICY=passive)",
            used, there,
        )  # fmt: skip
