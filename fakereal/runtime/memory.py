"""Keeps the memory of one step for the next, and says what to lower when it runs out."""

import ctypes
import functools
import gc
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fakereal.runtime.errors import UserError, first_line
from fakereal.runtime.imports import pass_over_all

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_freed_memory() -> None:
    """Makes malloc keep what is freed, in this process and from now on; without effect where it is not glibc's.

    By itself it returns large blocks at once, and the kernel has to clear as many pages for the next step: of AlexNet's
    steps on a CPU that was two fifths. So memory stays at its peak, which it reaches at every step anyway.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


@contextmanager
def explained_out_of_memory(batch_size: int, image_size: int | None) -> Iterator[None]:
    """Turns any device's out-of-memory error into a UserError that names the two keys to lower."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        text = str(error).lower()
        # torch's CPU allocator raises a plain RuntimeError
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or (
            "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
        ):
            size = image_size or "that of the images"
            sizes = f"data.batch_size (now {batch_size}) or model.image_size (now {size})"
            raise UserError(f"Out of memory: lower {sizes}. ({first_line(error)})") from error
        raise


@contextmanager
def released() -> Iterator[None]:
    """What a training holds, on its device too, is free after it: the next job of a sweep needs the room.

    What outlives the first training, half a million objects of imported modules, is not searched again.
    """
    try:
        yield
    except Exception as error:
        _clear(error)  # Hydra keeps the exceptions of a sweep's jobs, and they their frames
        raise
    finally:
        gc.collect()  # the objects of Lightning go in circles
        _pass_over_once()


@functools.cache
def _pass_over_once() -> None:
    pass_over_all()


def _clear(error: BaseException) -> None:
    """Forgets what the frames hold that an exception went through, and those of the exceptions that it came of."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:  # the exceptions that one came of may go in a circle
            continue
        seen.add(id(one))
        traceback.clear_frames(one.__traceback__)
        waiting += [one.__cause__, one.__context__]
