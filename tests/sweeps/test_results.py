"""Sweeps: the table is current after each job, keeps failed jobs, and the command then fails."""

import csv
import math
import subprocess
import sys

import pytest

from fakereal.sweeps.results import as_text, tabulate


def table(folder):
    with (folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_sweep_with_a_failing_job(run, quick, tmp_path):
    words = (*quick[:-1], "hydra.sweep.dir=sweep", "optimizer=sgd", "logger=none")
    finished = run("train", "--multirun", *words, "optimizer.lr=1e-3,1e30,1e-2", "scheduler=constant")
    assert finished.code == 1
    rows = table(tmp_path / "sweep")
    assert list(rows[0])[:3] == ["job", "optimizer.lr", "val/accuracy"], "only what varies, then the monitored metric"
    assert [row["error"] == "" for row in rows] == [True, True, False], "failed jobs stand last"
    assert float(rows[0]["val/accuracy"]) >= float(rows[1]["val/accuracy"])
    assert rows[2]["job"] == "1" and "loss was not a finite number at step" in rows[2]["error"]
    assert (tmp_path / "sweep" / "2" / "metrics.json").exists(), "the jobs after a failed one go on"
    first, md = rows[0], (tmp_path / "sweep" / "results.md").read_text()
    figures = [f"{float(first[f'val/accuracy{end}']):.4f}" for end in ("", "_low", "_high")]
    assert "{} ({} to {})".format(*figures) in md and "_low" not in md, "an interval stands beside its figure"
    assert "| 1 | 1e+30 |" in (tmp_path / "sweep" / "results.md").read_text()


@pytest.mark.parametrize("damage", ["metrics.json", ".hydra/overrides.yaml"])
def test_a_damaged_job_leaves_the_others_their_rows(run, quick, tmp_path, damage):
    words = (*quick[:-1], "hydra.sweep.dir=sweep", "logger=none")
    assert run("train", "--multirun", *words, "seed=0").code == 0
    if damage == "metrics.json":
        (tmp_path / "sweep" / "0" / damage).write_text('{"val/acc')
    else:
        (tmp_path / "sweep" / "7" / ".hydra").mkdir(parents=True)  # of a job that was killed as it began
    finished = run("train", "--multirun", *words, "seed=1")
    assert finished.code == 0 and "Traceback" not in finished.text
    told = {row["job"]: row["error"] for row in table(tmp_path / "sweep")}
    bad = "0" if damage == "metrics.json" else "7"
    assert told.pop(bad) and not any(told.values()) and len(told) == (1 if bad == "0" else 2)


def test_sorting_by_a_loss_puts_the_lowest_first():
    rows = [
        {"job": str(n), "overrides": {"seed": str(n), "same": "1"}, "error": "", "metrics": {"val/loss": loss}}
        for n, loss in enumerate((0.3, 0.1, 0.2))
    ]
    header, body = tabulate(rows, "val/loss")
    assert header == ["job", "seed", "val/loss", "error"]
    rows[0]["overrides"]["seed"] = "0.00268345678901"
    _, shown = as_text(*tabulate(rows, "val/loss"))
    assert [cells[1] for cells in shown] == ["1", "2", "0.002683"]
    assert [line[0] for line in body] == ["1", "2", "0"]


@pytest.mark.slow
def test_jobs_run_side_by_side_with_joblib(quick, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=sweep", "seed=0,1", "threads=1"]
    command = [sys.executable, "-m", "fakereal.train", "--multirun", *quick[:-1], *words]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert sorted(row["seed"] for row in table(tmp_path / "sweep")) == ["0", "1"]
    assert all(row["error"] == "" and 0 <= float(row["val/accuracy"]) <= 1 for row in table(tmp_path / "sweep"))


def test_what_varies_is_a_column_whatever_it_is_and_how_a_search_goes_is_none():
    given = [{"data.root": "a", "threads": "1", "n_trials": "3"}, {"data.root": "b", "threads": "2", "n_trials": "4"}]
    rows = [{"job": "0", "overrides": overrides, "error": "", "metrics": {}} for overrides in given]
    assert tabulate(rows, "val/loss")[0] == ["job", "data.root", "threads", "error"]


def test_a_loss_that_is_no_number_is_the_worst():
    rows = [
        {"job": str(job), "overrides": {}, "error": "", "metrics": {"val/loss": loss}}
        for job, loss in enumerate((0.3, math.nan, 0.2))
    ]
    assert [line[0] for line in tabulate(rows, "val/loss")[1]] == ["2", "0", "1"]
