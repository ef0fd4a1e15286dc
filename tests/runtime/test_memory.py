"""A training does not pay for the same memory at every step, and gives it back at its end."""

import platform
import subprocess
import sys
import weakref

import pytest

from fakereal.runtime.errors import UserError
from fakereal.runtime.memory import explained_out_of_memory, released

FAULTS = """
import resource, sys, torch
from fakereal.runtime.memory import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()

def step():
    torch.empty(50_000_000, dtype=torch.uint8).fill_(1)  # more than glibc keeps by itself

step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc")
def test_the_pages_of_one_step_are_there_for_the_next():
    faults = {}
    for way in ("usual", "kept"):
        command = [sys.executable, "-c", FAULTS, way]
        faults[way] = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert faults["kept"] < 4 * 12_300 and faults["usual"] > 18 * 12_200  # pages, of twenty steps


def test_what_an_exception_and_those_before_it_held_is_free():
    class Held:
        pass

    def inner():
        weights = Held()
        freed.append(weakref.ref(weights))
        raise ValueError("first")

    def outer():
        activations = Held()
        freed.append(weakref.ref(activations))
        try:
            inner()
        except ValueError as error:
            second = RuntimeError("second")
            error.__context__ = second  # a circle, as contexts may be
            raise second from error

    freed = []
    with pytest.raises(RuntimeError) as caught, released():
        outer()
    assert caught.value.__cause__ is not None and [reference() for reference in freed] == [None, None]


def test_an_error_without_words_is_told_by_its_name():
    with (
        pytest.raises(UserError, match=r"lower data.batch_size \(now 8\).*\(MemoryError\)"),
        explained_out_of_memory(8, 32),
    ):
        raise MemoryError
