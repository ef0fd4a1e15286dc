"""Weights & Biases and MLflow, where they are installed; a tracker that fails stops nothing."""

import json

import pytest

from fakereal.training.trackers import Careful


@pytest.fixture
def sweep(run, quick):
    """A sweep of two seeds with these loggers."""
    return lambda *words: run("train", "--multirun", *quick[:-1], "sweep=mine", "seed=0,1", "threads=1", *words)


def test_a_tracker_that_fails_is_told_once_and_left_out(caplog):
    asked = []

    def make():
        asked.append(True)
        raise ConnectionError("nobody answers")

    careful = Careful("tracker", make)
    for step in range(3):
        careful.log_metrics({"loss": 1.0}, step)
    careful.finalize("success")
    assert asked == [True]
    assert [record.levelname for record in caplog.records] == ["WARNING"] and "nobody answers" in caplog.text


def test_a_tracker_that_fails_is_closed_nevertheless(caplog):
    class Failing:
        def log_metrics(self, metrics, step):
            raise OSError("the disk is full")

        def finalize(self, status):
            raise AssertionError("it is asked for nothing more")

    closed = []
    careful = Careful("tracker", Failing, lambda: closed.append(True))
    careful.log_metrics({"loss": 1.0}, 0)
    careful.finalize("failed")
    assert closed == [True] and "the disk is full" in caplog.text
    careful = Careful("tracker", Failing, lambda: 1 / 0)
    careful.log_metrics({"loss": 1.0}, 0)
    careful.finalize("failed")
    assert "division by zero" in caplog.text and "nothing more" not in caplog.text


@pytest.mark.filterwarnings("default")
def test_mlflow_keeps_the_jobs_of_a_sweep(sweep, run, quick, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    done = sweep("logger=[csv,mlflow]")
    assert done.code == 0, done.text
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("fakereal").experiment_id])
    assert {one.info.run_name for one in runs} == {"0", "1"} and {one.data.tags["sweep"] for one in runs} == {"mine"}
    for one in runs:
        metrics = json.loads((tmp_path / "outputs/sweep/mine" / one.info.run_name / "metrics.json").read_text())
        assert one.data.metrics["val/accuracy"] == pytest.approx(metrics["val/accuracy"])
        assert one.info.status == "FINISHED"


@pytest.mark.filterwarnings("default")
def test_a_resumed_training_goes_on_in_its_mlflow_run(run, quick, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    words = (*quick, "logger=mlflow", "scheduler=constant")
    assert run("train", *words).code == 0
    assert run("train", *words, "trainer.max_epochs=2", "ckpt_path=last").code == 0
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    [one] = client.search_runs([client.get_experiment_by_name("fakereal").experiment_id])
    assert len(client.get_metric_history(one.info.run_id, "train/loss")) == 2


@pytest.mark.filterwarnings("default")
def test_a_server_that_is_not_there_stops_nothing(run, quick, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    done = run("train", *quick, "logger=mlflow", "logger.mlflow.tracking_uri=http://127.0.0.1:9")
    assert done.code == 0 and done.text.count("mlflow failed and is not used") == 1, done.text


@pytest.mark.filterwarnings("default")
def test_wandb_keeps_each_job_in_a_run_of_its_own(sweep, tmp_path):
    pytest.importorskip("wandb")
    done = sweep("logger=[csv,wandb]", "logger.wandb.offline=true")
    assert done.code == 0, done.text
    folder = tmp_path / "outputs" / "sweep" / "mine"
    assert [len([*folder.glob(f"{job}/wandb/offline-run-*/*.wandb")]) for job in (0, 1)] == [1, 1]


def test_a_tracker_that_is_not_installed_is_told(run, quick, monkeypatch):
    from importlib import util

    original = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name == "wandb" else original(name, *rest))
    done = run("train", *quick, "logger=wandb")
    assert done.code == 1 and 'pip install -c constraints.txt -e ".[wandb]"' in done.text
