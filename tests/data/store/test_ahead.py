"""A stream, or items, that are made ahead are what they are without; errors too; and no thread is left."""

import io
import itertools
import threading
from contextlib import closing

import numpy as np
import pytest

from fakereal.data.store import ahead
from fakereal.data.store.ahead import Ahead, ahead_of


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(ahead, "BLOCK", 1000)


class Failing(io.BytesIO):
    def read(self, size=-1):
        if self.tell() >= 5000:
            raise EOFError("cut short")
        return super().read(size)


@pytest.mark.parametrize("size", [1, 999, 1000, 1001, 10**6])
def test_all_bytes_come_in_their_order(size):
    data = np.random.default_rng(0).bytes(50_123)
    reader = Ahead(io.BytesIO(data))
    assert b"".join(iter(lambda: reader.read(size), b"")) == data
    assert reader.read(size) == b""  # and goes on saying so
    reader.close()


def test_what_comes_before_an_error_is_read():
    reader = Ahead(Failing(bytes(9000)))
    assert b"".join(reader.read(1000) for _ in range(5)) == bytes(5000)
    with pytest.raises(EOFError, match="cut short"):
        reader.read(1)
    reader.close()


def test_a_reader_that_is_closed_early_leaves_no_thread():
    before = threading.active_count()
    reader = Ahead(io.BytesIO(bytes(10**6)))
    assert threading.active_count() == before + 1
    reader.read(10)
    reader.close()
    assert threading.active_count() == before


def test_items_come_in_order_and_are_made_while_the_first_is_used():
    made = threading.Event()

    def items():
        yield 0
        made.set()
        yield 1
        yield 2

    for expected, item in enumerate(ahead_of(items())):
        assert item == expected
        assert made.wait(10)  # though nobody asked for the second yet
    assert expected == 2


def test_what_making_an_item_raises_comes_after_those_before_it():
    def items():
        yield 0
        raise ValueError("broken")

    ready = ahead_of(items())
    assert next(ready) == 0
    with pytest.raises(ValueError, match="broken"):
        next(ready)


def test_no_item_is_made_after_it_is_closed():
    closed, count = [], itertools.count()

    def items():
        try:
            yield from count
        finally:
            closed.append(True)

    making = items()
    with closing(making), closing(ahead_of(making)) as ready:
        assert next(ready) == 0
    assert closed == [True] and next(count) <= 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]
