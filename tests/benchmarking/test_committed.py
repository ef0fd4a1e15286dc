"""The speed of this machine against the committed table: `pytest -m benchmarks`, on a quiet machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakereal.benchmarking.bench import Row
from fakereal.benchmarking.table import read

COMMITTED = Path(__file__).with_name("committed.json")
FALLEN = 0.1  # the share by which a ratio may be worse


def has_fallen(before: Row, now: Row) -> bool:
    """Whether even the best round is worse than the committed median by more than `FALLEN`.

    Not the median: on a shared machine those of the same code differ by a fifth from one day to another.
    """
    if before.at_most:
        return now.low > before.value / (1 - FALLEN)
    return now.high < before.value * (1 - FALLEN)


@pytest.mark.parametrize(("rounds", "fallen"), [((0.7, 0.8, 0.91), False), ((0.7, 0.8, 0.89), True)])
def test_a_ratio_has_fallen_where_no_round_comes_near(rounds, fallen):
    before = Row.ratio("training", "cnn", "limit", "images/s", [1.0], [1.0])
    assert has_fallen(before, Row.ratio("training", "cnn", "limit", "images/s", rounds, [1.0] * 3)) is fallen
    before = Row.ratio("start", "--help", "torch", "s", [1.0], [1.0], at_most=True)
    slower = Row.ratio("start", "--help", "torch", "s", [1.0] * 3, rounds, at_most=True)
    assert has_fallen(before, slower) is fallen


@pytest.mark.benchmarks
@pytest.mark.timeout(7200)
def test_no_ratio_has_fallen_by_more_than_a_tenth(tmp_path):
    command = [sys.executable, "-m", "fakereal.benchmark", "repeats=3", "hydra.run.dir=out"]
    env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}  # all cores, as people have
    subprocess.run(command, cwd=tmp_path, env=env, check=True)
    now = {(row.figure, row.subject, row.against): row for row in read(tmp_path / "out" / "benchmark.json")}
    fallen = []
    for before in (row for row in read(COMMITTED) if row.against):  # ratios: seconds are those of a machine
        row = now[before.figure, before.subject, before.against]
        if has_fallen(before, row):
            best = row.low if row.at_most else row.high
            fallen.append(f"{row.figure}, {row.subject}, {row.against}: {before.value:.3g}, now at best {best:.3g}")
    assert not fallen, "\n".join(fallen)
