"""The speed of this machine against the committed table: `pytest -m benchmarks`, on a quiet machine."""

from pathlib import Path

import pytest

from fakereal.benchmarking.table import read

COMMITTED = Path(__file__).with_name("committed.json")
FALLEN = 0.1  # the share by which a ratio may be worse


@pytest.mark.benchmarks
@pytest.mark.timeout(7200)
def test_no_ratio_has_fallen_by_more_than_a_tenth(run, tmp_path):
    finished = run("benchmark", "repeats=3", "hydra.run.dir=out")
    assert finished.code == 0, finished.text
    now = {(row.figure, row.subject, row.against): row for row in read(tmp_path / "out" / "benchmark.json")}
    fallen = []
    for before in (row for row in read(COMMITTED) if row.against):  # ratios: seconds are those of a machine
        row = now[before.figure, before.subject, before.against]
        worse = row.value / before.value if row.at_most else before.value / row.value
        if worse > 1 / (1 - FALLEN):
            fallen.append(f"{row.figure}, {row.subject}, {row.against}: {before.value:.3g}, now {row.value:.3g}")
    assert not fallen, "\n".join(fallen)
