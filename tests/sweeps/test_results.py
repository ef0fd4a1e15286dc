"""Sweeps: the table is current after each job, keeps failed jobs, and the command then fails."""

import csv
import json
import math
import subprocess
import sys
import time

import pytest

from fakereal.sweeps.results import show_results
from fakereal.sweeps.table import Job, as_text, tabulate


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
    losses = enumerate((0.3, 0.1, 0.2))
    jobs = [Job(str(n), {"seed": str(n), "same": "1"}, {"val/loss": loss}) for n, loss in losses]
    header, body = tabulate(jobs, "val/loss")
    assert header == ["job", "seed", "val/loss", "error"]
    jobs[0].overrides["seed"] = "0.00268345678901"
    _, shown = as_text(*tabulate(jobs, "val/loss"))
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
    jobs = [Job("0", overrides) for overrides in given]
    assert tabulate(jobs, "val/loss")[0] == ["job", "data.root", "threads", "error"]


def test_a_loss_that_is_no_number_is_the_worst():
    jobs = [Job(str(job), metrics={"val/loss": loss}) for job, loss in enumerate((0.3, math.nan, 0.2))]
    assert [line[0] for line in tabulate(jobs, "val/loss")[1]] == ["2", "0", "1"]


@pytest.fixture
def swept(tmp_path):
    """Two jobs with figures, and one that failed."""
    low, high = {"val/accuracy_low": 0.7042, "val/loss_low": 0.2}, {"val/accuracy_high": 0.9133, "val/loss_high": 0.4}
    figures = {"val/accuracy": 0.83333, "val/auroc": 0.92888, "val/loss": 0.3, "epochs": 3, "parameters": 288_000}
    for number in range(3):
        folder = tmp_path / str(number)
        (folder / ".hydra").mkdir(parents=True)
        said = f"- optimizer.lr=0.00{number + 1}\n- trainer.gradient_clip_val={number}\n- data.batch_size={number}\n"
        (folder / ".hydra" / "overrides.yaml").write_text(said)
        if number < 2:
            (folder / "metrics.json").write_text(json.dumps(figures | low | high))
        else:
            (folder / "error.txt").write_text("Unreadable: a.jpg\n")
    return tmp_path


@pytest.mark.parametrize("width", [30, 60, 80, 100, 170, None])
def test_a_narrow_terminal_has_whole_figures(swept, capsys, monkeypatch, width):
    if width:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm")
    show_results(swept, "val/accuracy", 0.0)
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith("│") and "0.8333" in line]
    assert len(rows) == 2 and all(len(line) <= (width or 10_000) for line in rows), lines
    assert ("0.8333 (0.7042 to 0.9133)" in rows[0]) == (width in (170, None)), lines
    assert not any("…" in line for line in lines)
    assert any("Job 2" in line for line in lines)


def test_what_failed_before_is_told_in_a_line(swept, capsys):
    show_results(swept, "val/accuracy", time.time() + 60)
    text = capsys.readouterr().out
    assert "Failed in an earlier command, and not retried by this one: 2 (results.csv says why)" in text
    assert "Unreadable" not in text
