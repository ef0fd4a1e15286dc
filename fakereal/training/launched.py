"""The ranks that Lightning starts for a single run by the same command line."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import lightning as L

AT_ONCE = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has the latter alone; it ends a process there


@contextmanager
def ending_together(trainer: L.Trainer) -> Iterator[None]:
    """Where this process fails, the ranks that were started from it end too.

    Lightning ends them on Ctrl-C alone; else they would wait for this one, with NCCL for half an hour.
    """
    try:
        yield
    except Exception:
        if trainer.strategy.launcher is not None:
            trainer.strategy.launcher.kill(AT_ONCE)
        raise
