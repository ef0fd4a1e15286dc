"""Importing the large libraries, which take most of the time in which a command starts."""

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Imports within it are not interrupted by searches for garbage, and what they leave is never searched.

    torch and Lightning bring half a million objects, to stay: searching them a thousand times is a fifth of the import.
    """
    modules = len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > modules:
            pass_over_all()
        gc.enable()


def pass_over_all() -> None:
    """Whatever is there now is not searched for garbage any more, until the process ends."""
    gc.freeze()
    atexit.register(gc.unfreeze)  # libraries complain of what is still there at the end
