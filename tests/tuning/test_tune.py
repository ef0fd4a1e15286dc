"""A study: what is searched, joined, interrupted, pruned and refused."""

import csv
import os
import signal
import subprocess
import sys
import threading
import time

import optuna
import pytest
from filelock import FileLock
from optuna.trial import TrialState

from fakereal.training.callbacks import EpochLog
from fakereal.tuning.study import INSTEAD_OF, open_storage

LR = "optimizer.lr"


def states(trials):
    return [trial.state.name for trial in trials()]


def values(trials):
    return [(trial.params, trial.value) for trial in trials() if trial.state == TrialState.COMPLETE]


@pytest.mark.slow
def test_a_study_that_goes_on_searches_as_one_that_was_never_left(tune, trials, folder, run, words):
    first = tune("n_trials=2", "sampler.n_startup_trials=1")
    assert first.code == 0 and states(trials) == ["COMPLETE"] * 2, first.text
    again = tune("n_trials=2", "sampler.n_startup_trials=1")
    assert again.code == 0 and "0 of 2 trials left to start" in again.text and len(trials()) == 2
    assert tune("n_trials=4", "sampler.n_startup_trials=1").code == 0
    with (folder / "results.csv").open() as file:
        rows = {float(row[LR]): float(row["val/accuracy"]) for row in csv.DictReader(file)}
    assert rows == {trial.params[LR]: trial.value for trial in trials()} and len(rows) == 4
    parts = values(trials)
    whole = [word.replace("study=mine", "study=whole") for word in words]
    search = (f"{LR}=tag(log,interval(1e-5,1e-1))", "n_trials=4", "sampler.n_startup_trials=1")
    assert run("tune", *whole, *search).code == 0
    journal = optuna.storages.journal.JournalFileBackend(str(folder.with_name("whole") / "study.journal"))
    study = optuna.load_study(study_name="whole", storage=optuna.storages.JournalStorage(journal))
    assert [(trial.params, trial.value) for trial in study.trials] == parts


def test_a_loss_is_minimised_and_the_best_is_named(tune, trials, folder):
    done = tune("monitor=val/loss", "n_trials=2")
    assert done.code == 0, done.text
    best = min(trials(), key=lambda trial: trial.value)
    assert f"Trial 1: {trials()[1].value:.4f}; the best is trial {best.number} with {best.value:.4f}" in done.text
    study = optuna.load_study(study_name="mine", storage=open_storage(None, folder))
    assert study.direction == optuna.study.StudyDirection.MINIMIZE


def test_trials_that_fall_behind_are_pruned_and_that_is_no_failure(tune, trials, folder, monkeypatch):
    monkeypatch.setattr(optuna.pruners.MedianPruner, "prune", lambda self, study, trial: trial.number > 0)
    done = tune("n_trials=3", "trainer.max_epochs=3", "pruner=median")
    assert done.code == 0 and states(trials) == ["COMPLETE", "PRUNED", "PRUNED"], done.text
    assert [sorted(trial.intermediate_values) for trial in trials()] == [[0, 1, 2], [0], [0]]
    assert not (folder / "1" / "metrics.json").exists() and "failed:" not in done.text
    assert (folder / "results.md").read_text().count("| pruned |") == 2


def test_failed_trials_are_recorded_and_never_fatal(tune, trials, monkeypatch):
    original, count = EpochLog.on_train_epoch_end, 0

    def fail_once(self, *args):
        nonlocal count
        count += 1
        if count == 1:
            raise ValueError("broken on purpose")
        original(self, *args)

    monkeypatch.setattr(EpochLog, "on_train_epoch_end", fail_once)
    done = tune("n_trials=2")
    assert done.code == 0 and states(trials) == ["FAIL", "COMPLETE"], done.text
    assert trials()[0].user_attrs["error"] == "ValueError: broken on purpose"


def test_a_search_in_which_all_fails_alike_ends(tune, trials):
    done = tune("model.backbone=nowhere", "n_trials=10")
    assert done.code == 1 and "all 3 trials failed alike" in done.text and "nowhere" in done.text
    assert states(trials) == ["FAIL"] * 3


@pytest.mark.slow
def test_what_failed_every_trial_can_be_mended(tune, trials, tmp_path, monkeypatch):
    original = EpochLog.on_train_epoch_end

    def fail(self, *args):
        raise ValueError("broken on purpose")

    monkeypatch.setattr(EpochLog, "on_train_epoch_end", fail)
    assert "no trial succeeded" in tune("n_trials=2").text
    assert tune("n_trials=2").code == 1 and 2 < len(trials()) <= 4, "tried again, and not for ever"
    failed = len(trials())
    monkeypatch.setattr(EpochLog, "on_train_epoch_end", original)
    assert tune("n_trials=1").code == 0 and states(trials)[failed:] == ["COMPLETE"]
    assert tune("n_trials=2").code == 0 and states(trials)[failed:] == ["COMPLETE"] * 2  # joined, and gone on with
    assert tune("n_trials=2").code == 0 and len(trials()) == failed + 2


def test_an_interrupted_trial_goes_on_with_its_settings(tune, trials, stopped_after):
    with stopped_after(8):  # in the second epoch
        stopped = tune("n_trials=2", "trainer.max_epochs=2")
    assert stopped.code == 130 and states(trials) == ["FAIL", "WAITING"], stopped.text
    done = tune("n_trials=2", "trainer.max_epochs=2")
    assert done.code == 0 and done.text.count("Resuming from") == 1, done.text
    assert states(trials) == ["FAIL", "COMPLETE", "COMPLETE"]
    first, second, third = trials()
    assert first.params == second.params != third.params and second.user_attrs[INSTEAD_OF] == 0


@pytest.fixture
def worker(words, tmp_path):
    """`worker("key=value")`: the search in a process of its own."""

    def start(*more):
        command = [sys.executable, "-m", "fakereal.tune", *words, f"{LR}=tag(log,interval(1e-5,1e-1))", *more]
        return subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )

    return start


def test_a_worker_that_is_killed_loses_nothing(worker, tune, trials, folder):
    killed = worker("n_trials=1", "trainer.max_epochs=500", "data.count=2000")
    deadline = time.monotonic() + 120
    while not (folder / "0" / "checkpoints" / "last.ckpt").exists():
        assert killed.poll() is None and time.monotonic() < deadline, killed.communicate()[0]
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert states(trials) == ["RUNNING"]
    refused = tune("n_trials=1", "data.count=2000")  # other epochs: nothing is touched
    assert refused.code == 1 and "started with" in refused.text and states(trials) == ["RUNNING"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EpochLog, "on_train_epoch_end", lambda _, trainer, __: setattr(trainer, "should_stop", True))
        done = tune("n_trials=1", "trainer.max_epochs=500", "data.count=2000")
    assert done.code == 0 and "Trial 0 was interrupted" in done.text and "Resuming from" in done.text, done.text
    assert states(trials) == ["FAIL", "COMPLETE"] and trials()[1].params == trials()[0].params


@pytest.mark.slow
def test_two_workers_share_a_study(worker, trials, folder):
    workers = [worker("n_trials=5") for _ in range(2)]
    texts = [each.communicate(timeout=240)[0] for each in workers]
    assert [each.returncode for each in workers] == [0, 0], texts
    assert states(trials) == ["COMPLETE"] * 5 and all("Trial " in text for text in texts), texts
    assert len({trial.params[LR] for trial in trials()}) == 5
    assert len(list(folder.glob("*/metrics.json"))) == 5


@pytest.mark.slow
def test_a_database_is_joined_from_another_directory(tune, tmp_path):
    storage = f"storage=sqlite:///{tmp_path}/study.db"
    assert tune(storage, "n_trials=1").code == 0
    other = tune(storage, "n_trials=2", f"hydra.sweep.dir={tmp_path}/elsewhere")
    assert other.code == 0 and "1 of 2 trials left to start" in other.text
    assert len(optuna.load_study(study_name="mine", storage=f"sqlite:///{tmp_path}/study.db").trials) == 2
    assert (tmp_path / "elsewhere" / "1" / "metrics.json").exists()


@pytest.mark.slow
def test_a_grid_ends_with_its_last_combination(tune, trials, folder):
    grid = ("sampler=grid", f"{LR}=choice(0.001,0.002)", "data.batch_size=range(16,48,16)")
    done = tune(*grid)  # n_trials is more than there are
    assert done.code == 0 and "4 of 4 trials left to start" in done.text, done.text
    assert states(trials) == ["COMPLETE"] * 4
    assert len({tuple(trial.params.items()) for trial in trials()}) == 4
    again = tune(*grid, "n_trials=30")
    assert again.code == 0 and "0 of 4 trials left to start" in again.text and len(trials()) == 4
    assert "n_trials" not in (folder / "results.csv").read_text()


@pytest.mark.slow
def test_a_grid_that_failed_is_tried_again_whole(tune, trials, monkeypatch):
    original = EpochLog.on_train_epoch_end

    def fail(self, *args):
        raise ValueError("broken on purpose")

    grid = ("sampler=grid", f"{LR}=choice(0.001,0.002,0.003,0.004)", "n_trials=4")
    monkeypatch.setattr(EpochLog, "on_train_epoch_end", fail)
    assert tune(*grid).code == 1
    failed = len(trials())
    monkeypatch.setattr(EpochLog, "on_train_epoch_end", original)
    assert tune(*grid).code == 0
    tried = [trial.params["optimizer.lr"] for trial in trials()[failed:] if trial.state.name == "COMPLETE"]
    assert sorted(tried) == ["0.001", "0.002", "0.003", "0.004"]


def test_a_trial_with_the_values_of_another_that_is_under_way_has_its_result(tune, trials, folder):
    once = (f"{LR}=choice(0.001)", "data.batch_size=range(32,33)")
    assert tune(*once, "n_trials=1").code == 0
    held = threading.Event()

    def another_worker():
        with FileLock(folder / "0" / ".training.lock"):
            held.set()
            time.sleep(3)

    worker = threading.Thread(target=another_worker)
    worker.start()
    held.wait()
    done = tune(*once, "n_trials=2")
    worker.join()
    assert done.code == 0 and states(trials) == ["COMPLETE"] * 2, done.text
    assert trials()[0].value == trials()[1].value and not (folder / "1").exists()


@pytest.mark.parametrize("chosen", ["sampler=random", "sampler=gp", "pruner=hyperband", "pruner=median"])
def test_each_sampler_and_pruner_runs(tune, trials, chosen):
    done = tune(chosen, "n_trials=1")
    assert done.code == 0 and states(trials) == ["COMPLETE"], done.text


def test_a_study_of_other_settings_is_not_joined(tune, trials):
    searched = ("data/augment=choice(none,flip)", f"{LR}=interval(0.001,0.002)", "model.drop_rate=range(0,1)")
    assert tune(*searched, "n_trials=1").code == 0
    others = {
        "data.count=300": "started with data.count=200, not 300",
        "monitor=val/auroc": "started with monitor=val/accuracy",
        "data/augment=choice(none,crop)": "choices cannot change",
    }
    for other, said in others.items():
        refused = tune(*searched, other, "n_trials=2")
        assert refused.code == 1 and said in refused.text, refused.text
        assert len(trials()) == 1


@pytest.mark.parametrize(
    "given, said",
    [
        (("n_trials=0",), "`n_trials`"),
        (("storage=oracle9://nowhere/x",), "storage=oracle9://nowhere/x cannot be opened"),
        (("sampler.n_startup=3",), "sampler.n_startup"),
        (("study='../up'",), "`study`"),
        (("storage=nowhere/x.log",), "storage=nowhere/x.log cannot be opened"),
        (("storage=.",), "storage=. cannot be opened"),
        (("sampler=grid", f"{LR}=interval(0.001,0.002)"), "sampler=grid: `optimizer.lr` has no steps"),
        (("+sampler.nothing=3",), "`sampler.nothing` is not a parameter of TPESampler"),
        (("optimzer.lr=1,2",), "optimzer"),
        (("threads=1,2",), "jobs that differ only in threads train the same"),
    ],
)
def test_bad_input_is_told_before_any_trial(tune, folder, given, said):
    done = tune(*given)
    assert done.code == 1 and said in done.text and "Traceback" not in done.text
    assert not list(folder.glob("*/.hydra")) and not (folder / "study.journal").exists()


def test_the_report_shows_the_search(tune, run, trials, folder, tmp_path):
    done = tune("data/augment=choice(none,flip)", f"{LR}=tag(log,interval(1e-4,1e-1))", "n_trials=4", "logger=csv")
    assert done.code == 0, done.text
    assert run("report", f"runs={folder}", f"hydra.run.dir={tmp_path}/report").code == 0
    page = (tmp_path / "report" / "report.html").read_text()
    section = page[page.index('<section id="search">') :].partition("</section>")[0]
    assert "Study mine" in section and "4 complete, 0 pruned" in section
    assert section.count("<svg") == 4 and "Objective" not in section and "optimizer.lr" in section
    (folder / "study.journal").write_text("{cut")
    assert run("report", f"runs={folder}", f"hydra.run.dir={tmp_path}/again").code == 0
    assert "study.journal cannot be read" in (tmp_path / "again" / "report.html").read_text()
