"""Working ahead in a thread: what needs no GIL, such as decompressing, decoding and torch, takes a core of its own."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, TypeVar

Item = TypeVar("Item")
BLOCK = 2**18  # bytes
BLOCKS = 16  # that are read ahead


def ahead_of(items: Iterator[Item], count: int = 2) -> Iterator[Item]:
    """The same items, of which up to `count` are made while an earlier one is used; what making raised is raised.

    To be closed before `items` is, or gone through: the thread is then done with it.
    """
    end = object()
    with ThreadPoolExecutor(1) as thread:
        waiting = deque(thread.submit(next, items, end) for _ in range(count))
        try:
            while (item := waiting.popleft().result()) is not end:
                waiting.append(thread.submit(next, items, end))
                yield item
        finally:
            thread.shutdown(cancel_futures=True)


class Ahead:
    """A stream of bytes that is read before it is asked for; `read` raises what reading raised. To be closed."""

    def __init__(self, stream: BinaryIO):
        self.stream, self.rest = stream, memoryview(b"")
        self.thread = ThreadPoolExecutor(1)
        self.blocks = deque(self._next() for _ in range(BLOCKS))

    def read(self, size: int) -> bytes:
        """So many bytes, or fewer; none at the end."""
        if not self.rest:
            self.rest = memoryview(self.blocks.popleft().result())
            self.blocks.append(self._next())
        found, self.rest = self.rest[:size], self.rest[size:]
        return bytes(found)

    def close(self) -> None:
        """Ends the thread; the stream itself stays open."""
        self.thread.shutdown(cancel_futures=True)

    def _next(self):
        return self.thread.submit(self.stream.read, BLOCK)
