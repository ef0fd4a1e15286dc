"""Decoding many files: in this process, or what takes long in one process a core."""

import multiprocessing
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from fakereal.data.store import worker
from fakereal.data.store.decode import BadImage, Decoded, Resize, decode_many
from fakereal.data.store.entries import Entry
from fakereal.runtime.errors import UserError
from fakereal.runtime.hardware import cores
from fakereal.runtime.text import printable

Images = Iterator[tuple[Entry, Decoded | BadImage]]

# A task is a chunk: so many files, or so many bytes of files and of the pixels that they become.
CHUNK_FILES = 256
CHUNK_BYTES = 8 * 2**20
ALONE = 2.0  # seconds after which more processes may help: about as long as they take to start
SENT = 150e-6  # seconds of work on an image below which they do not: sending it takes this process nearly as long
WAITED = 1.5e-3  # seconds an image from which on they do, whatever the work: its disk is slow
SAMPLE = 0.2  # seconds of decoding that are enough to tell
MOST = 61  # processes that Windows can wait for
IN_FLIGHT = 2**30  # bytes of files that wait; only single huge files come near


def decode_all(entries: Iterable[Entry], resize: Resize, alone: float | None = None) -> Images:
    """Each entry with its image, in order. To be closed, so that no process outlives an error.

    `alone`: seconds after which more processes are started if that is faster; 0: they are, at once; None: ALONE.
    """
    chunks = _chunks(entries, 3 * resize.size**2)
    yield from _in_this_process(chunks, resize, ALONE if alone is None else alone)
    yield from _in_processes(chunks, resize, cores())


def _in_this_process(chunks: Iterable[list[Entry]], resize: Resize, alone: float) -> Images:
    """Until more processes would be faster."""
    start = time.perf_counter()
    spent, worked, count = 0.0, 0.0, 0  # on images, of late
    for chunk in chunks if alone else ():
        # Not the time alone: where a network answers meanwhile (`predict`), more processes want its cores as well.
        began, busy = time.perf_counter(), time.thread_time()
        images = decode_many(_contents(chunk), resize)
        spent, worked = spent + time.perf_counter() - began, worked + time.thread_time() - busy
        count += len(chunk)
        yield from zip(chunk, images, strict=True)
        if time.perf_counter() - start < alone:
            spent, worked, count = 0.0, 0.0, 0
        elif spent >= SAMPLE and cores() > 1:
            if worked / count > SENT or spent / count > WAITED:
                return
            spent, worked, count = 0.0, 0.0, 0


def _chunks(entries: Iterable[Entry], pixel_bytes: int) -> Iterator[list[Entry]]:
    chunk, size = [], 0
    for entry in entries:
        chunk.append(entry)
        size += entry.size + pixel_bytes
        if len(chunk) == CHUNK_FILES or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _in_processes(chunks: Iterable[list[Entry]], resize: Resize, workers: int) -> Images:
    pending: deque[tuple[list[Entry], Future]] = deque()
    workers = min(workers, MOST) if sys.platform == "win32" else workers
    # spawn: a fork of a process with threads (torch's, rich's) may hang
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=worker.start) as pool:
        try:
            for chunk in chunks:
                pending.append((chunk, pool.submit(decode_many, _contents(chunk), resize)))
                while len(pending) > 2 * workers or _bytes(pending) > IN_FLIGHT:
                    yield from _first_of(pending)
            while pending:
                yield from _first_of(pending)
        except BrokenProcessPool as error:
            raise _killed(pending) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _contents(chunk: list[Entry]) -> list[bytes | str | BadImage]:
    return [entry.content for entry in chunk]


def _bytes(pending: Iterable[tuple[list[Entry], Future]]) -> int:
    return sum(entry.size for chunk, _ in pending for entry in chunk)


def _first_of(pending: deque[tuple[list[Entry], Future]]) -> Images:
    chunk, future = pending[0]
    images = future.result()
    pending.popleft()
    yield from zip(chunk, images, strict=True)


def _killed(pending: deque[tuple[list[Entry], Future]]) -> UserError:
    where = f" at {printable(pending[0][0][0].name)} or soon after" if pending else ""
    return UserError(
        f"A decoding process was killed{where}, most likely for lack of memory: free some, or look for huge images. "
        'In a script of your own, put the code that calls this under `if __name__ == "__main__":`.'
    )
