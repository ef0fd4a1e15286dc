"""One process at a time, of those that would do the same work."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)


@contextmanager
def alone(path: Path, doing: str) -> Iterator[None]:
    """Holds the lock at `path`; where another process has it, says that one `doing` is waited for."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("Waiting for another process that %s", doing)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
