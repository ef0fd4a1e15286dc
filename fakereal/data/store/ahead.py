"""Reading a stream in a thread: decompressing, which needs no GIL, takes a core of its own."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

BLOCK = 2**18  # bytes
BLOCKS = 16  # that are read ahead


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
