"""Importing the large libraries, which take most of the time in which a command starts."""

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from fakereal.runtime.waiting import wait_asleep_among_others


@contextmanager
def importing() -> Iterator[None]:
    """Imports within it are not interrupted by searches for garbage, and what they leave is never searched.

    torch and Lightning bring half a million objects, to stay: searching them a thousand times is a fifth of the import.
    """
    wait_asleep_among_others()
    modules = len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > modules:
            pass_over_all()
        gc.enable()


def pass_over_all() -> None:
    """Whatever is there now is not searched for garbage any more.

    Nor when the process ends: of the 1.5 s that the end of a command took with it, 1.2 went into giving these objects
    back one by one.
    """
    gc.freeze()


def _silence_leak_reports() -> None:
    """Triton's bindings would list on standard error, after all else, what of theirs is still there at the end."""
    if "triton._C.libtriton" in sys.modules and sys.__stderr__ is not None:
        sys.__stderr__.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stderr__.fileno())


atexit.register(_silence_leak_reports)  # before the libraries register anything: it runs after what they do
