"""A stream that is read ahead gives what the stream gives, errors too, and leaves no thread."""

import io
import threading

import numpy as np
import pytest

from fakereal.data.store import ahead
from fakereal.data.store.ahead import Ahead


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
