"""The ranks that Lightning starts for a single run by the same command line."""

from collections.abc import Iterator
from contextlib import contextmanager

import lightning as L


@contextmanager
def ending_together(trainer: L.Trainer) -> Iterator[None]:
    """Where this process fails, the ranks that were started from it end too.

    Lightning ends them on Ctrl-C alone; else they would wait for this one, with NCCL for half an hour.
    """
    try:
        yield
    except Exception:
        procs = getattr(trainer.strategy.launcher, "procs", [])
        ranks = [*procs]
        procs.clear()  # else Lightning, which watches them, would kill this process for their end
        for process in ranks:
            process.kill()
        raise
