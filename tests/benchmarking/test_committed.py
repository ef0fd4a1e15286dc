"""The speed of this machine against the committed table: `pytest -m benchmarks`, on a quiet machine."""

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from fakereal.benchmarking.bench import Row
from fakereal.benchmarking.figures.training import AGAINST
from fakereal.benchmarking.table import read

COMMITTED = Path(__file__).with_name("committed.json")
FALLEN = 0.1  # the share by which a ratio may be worse
FIGURES = {  # of the benchmark, which measure the rows of a figure
    "start": ["start"],
    "decoding": ["decode"],
    "first epoch": ["first_epoch"],
    "predict": ["predict"],
    "training": ["training", "steps"],
}


def has_fallen(before: Row, now: Row) -> bool:
    """Whether even the best round is worse than the committed median by more than `FALLEN`.

    Not the median: on a shared machine those of the same code differ by a fifth from one day to another.
    """
    if before.at_most:
        return now.low > before.value / (1 - FALLEN)
    was = min(before.value, 1.0) if before.against == AGAINST["limit"] else before.value  # more is the machine's
    return now.high < was * (1 - FALLEN)


@pytest.mark.parametrize(("rounds", "fallen"), [((0.7, 0.8, 0.91), False), ((0.7, 0.8, 0.89), True)])
def test_a_ratio_has_fallen_where_no_round_comes_near(rounds, fallen):
    before = Row.ratio("training", "cnn", "limit", "images/s", [1.0], [1.0])
    assert has_fallen(before, Row.ratio("training", "cnn", "limit", "images/s", rounds, [1.0] * 3)) is fallen
    before = Row.ratio("start", "--help", "torch", "s", [1.0], [1.0], at_most=True)
    slower = Row.ratio("start", "--help", "torch", "s", [1.0] * 3, rounds, at_most=True)
    assert has_fallen(before, slower) is fallen
    faster_than_the_limit = Row.ratio("training", "cnn", AGAINST["limit"], "images/s", [1.3], [1.0])
    assert has_fallen(faster_than_the_limit, Row.ratio("training", "cnn", "", "", rounds, [1.0] * 3)) is fallen


def key(row: Row) -> tuple[str, str, str]:
    """What a row compares."""
    return row.figure, row.subject, row.against


def measured(folder: Path, *words: str) -> dict[tuple[str, str, str], Row]:
    """Rows of a benchmark by what they compare."""
    command = [sys.executable, "-m", "fakereal.benchmark", "repeats=3", "hydra.run.dir=out", *words]
    env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}  # all cores, as people have
    folder.mkdir()
    subprocess.run(command, cwd=folder, env=env, check=True)
    return {key(row): row for row in read(folder / "out" / "benchmark.json")}


def fallen(rows: dict[tuple[str, str, str], Row]) -> dict[Row, Row]:
    """The committed row and that of now, of the ratios that have fallen; seconds are those of a machine."""
    before = [row for row in read(COMMITTED) if row.against]
    pairs = {row: rows[key(row)] for row in before if key(row) in rows}
    return {row: now for row, now in pairs.items() if has_fallen(row, now)}


def told(fall: tuple[Row, Row]) -> str:
    before, now = fall
    best = now.low if before.at_most else now.high
    return f"{before.figure}, {before.subject}, {before.against}: {before.value:.3g}, now at best {best:.3g}"


def again(suspects: Iterable[Row]) -> list[str]:
    """What to give the benchmark to measure these rows once more."""
    networks = sorted({row.subject.partition(",")[0] for row in suspects if row.figure == "training"})
    figures = sorted({figure for row in suspects for figure in FIGURES[row.figure]})
    return [f"figures=[{','.join(figures)}]", *([f"networks=[{','.join(networks)}]"] if networks else [])]


def test_only_what_has_fallen_is_measured_again():
    rows = [row for row in read(COMMITTED) if row.against]
    halved = [replace(row, **{name: getattr(row, name) / 2 for name in ("value", "low", "high")}) for row in rows]
    slower = {key(row): row for row in halved}
    assert set(fallen(slower)) == {row for row in rows if not row.at_most}
    assert not fallen({key(row): row for row in rows})
    suspects = [row for row in rows if row.figure in ("predict", "training") and row.subject.startswith("cnn")]
    assert again(suspects) == ["figures=[predict,steps,training]", "networks=[cnn]"]
    assert again(rows[:1]) == ["figures=[start]"]


@pytest.mark.benchmarks
@pytest.mark.timeout(7200)
def test_no_ratio_has_fallen_by_more_than_a_tenth(tmp_path):
    now = measured(tmp_path / "first")
    assert {key(row) for row in read(COMMITTED) if row.against} <= set(now)
    if suspects := fallen(now):  # a fall shows twice; once, it is the machine's: two of 31 rows in a run of faster code
        twice = fallen(measured(tmp_path / "again", *again(suspects)))
        suspects = {row: now for row, now in twice.items() if row in suspects}
    assert not suspects, "\n".join(map(told, suspects.items()))
