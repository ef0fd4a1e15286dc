"""Threads wait asleep where other programs are busy, and as whoever started the command says."""

import os
import subprocess
import sys

import pytest

from fakereal.runtime.waiting import BUSY, SAID, CpuTime, wait_asleep_among_others

CODE = (
    "import os, sys, time\n"
    "from fakereal.runtime.waiting import others, wait_asleep_among_others\n"
    "assert others() is None, 'too early to tell'\n"
    "time.sleep(0.5)\n"
    "wait_asleep_among_others()\n"
    "print(os.environ.get('OMP_WAIT_POLICY'), round(others(), 2))\n"
)


@pytest.fixture
def busy():
    """A program on each core."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())]
    yield
    for program in programs:
        program.kill()
        program.wait()


def policy(cores=None, **given):
    env = {name: value for name, value in os.environ.items() if name not in (*SAID, "OMP_NUM_THREADS")} | given
    words, kept = [sys.executable, "-c", CODE], dict(env=env, capture_output=True, text=True, timeout=60)
    done = subprocess.run(words, **kept, preexec_fn=cores and (lambda: os.sched_setaffinity(0, cores)))
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(CpuTime.now() is None, reason="needs Linux")
@pytest.mark.skipif(os.cpu_count() == 1, reason="one thread waits for nobody")
def test_beside_busy_programs_threads_wait_asleep_unless_something_else_is_said(busy):
    said, used = policy()
    assert said == "passive" and BUSY < float(used) < 1.2 * os.cpu_count()
    assert policy(OMP_NUM_THREADS="1")[0] == "None", "alone it waits for nobody"
    assert policy(cores={min(os.sched_getaffinity(0))})[0] == "None", "on one core it has one thread"
    assert policy(OMP_WAIT_POLICY="active")[0] == "active"
    assert policy(GOMP_SPINCOUNT="1000")[0] == "None"


def test_torch_that_is_there_already_would_not_listen(monkeypatch):
    for name in (*SAID, "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "torch", object())
    wait_asleep_among_others()
    assert not {*SAID} & {*os.environ}
