"""A sweep begun again in its directory: finished jobs are passed over, others go on, new ones are added."""

import gc
import json
import signal
import subprocess
import sys
import threading

import lightning as L
import pytest
import torch
from filelock import FileLock

from fakereal.sweeps.jobs import identity_of
from fakereal.sweeps.results import SweepResults
from fakereal.training.callbacks import FiniteLoss


@pytest.fixture
def sweep(run, quick, tmp_path):
    """`sweep("seed=0,1")`: the same sweep directory each time."""

    def call(*words):
        return run("train", "--multirun", *quick[:-1], "sweep=mine", "logger=none", *words)

    return call


def times(folder):
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/metrics.json")}


def test_finished_jobs_are_passed_over_and_new_ones_added(sweep, folder, rows):
    assert sweep("seed=0,1").code == 0
    before = times(folder)
    again = sweep("seed=2,1,0", "threads=1")  # in another order, with a key that says how and not what
    assert again.code == 0, again.text
    assert again.text.count("is already finished") == 2 and again.text.count("Best checkpoint on validation") == 1
    assert "Launching 1 jobs" in again.text, "the others are not launched at all"
    after = times(folder)
    assert {name: after[name] for name in before} == before and [*sorted(after)] == ["0", "1", "2"]
    assert {seed: row["job"] for seed, row in rows().items()} == {"0": "0", "1": "1", "2": "2"}


def test_other_settings_are_another_job(sweep, folder):
    assert sweep("seed=0").code == 0
    assert sweep("seed=0", "optimizer.lr=0.01").code == 0
    assert [*sorted(times(folder))] == ["0", "1"]


def test_more_seeds_leave_a_job_the_same():
    job = {"seed": 1, "model": {"name": "cnn"}}
    beside = {"seeds": 5, "sweep": "mine", "threads": 2}
    assert identity_of(job | beside) == identity_of(job) != identity_of(job | {"seed": 2})
    here, there, other = ({"data": {"root": root, "cache_dir": cache}} for root, cache in ("aa", "ab", "ba"))
    assert identity_of(job | here) == identity_of(job | there) != identity_of(job | other)
    plain, silent, longer = (
        {"max_epochs": 1},
        {"max_epochs": 1, "enable_progress_bar": False, "profiler": None},
        {"max_epochs": 2},
    )
    assert len({identity_of(job | {"trainer": trainer}) for trainer in (plain, silent, longer)}) == 2


@pytest.mark.parametrize("word", ["threads=1,2", "data.cache_dir=a,b", "trainer.enable_progress_bar=true,false"])
def test_a_sweep_over_what_makes_no_other_job_is_told(sweep, folder, word):
    stopped = sweep(word)
    said = f"{word}: jobs that differ only in {word.split('=')[0]} train the same"
    assert stopped.code == 1 and said in stopped.text, stopped.text
    assert not [*folder.glob("*/.hydra")]


def test_jobs_are_recognised_without_the_index(sweep, folder):
    assert sweep("seed=3,4").code == 0
    (folder / ".jobs.json").write_text('{"cut')
    again = sweep("seed=4,3")
    assert again.text.count("is already finished") == 2 and len(times(folder)) == 2


def test_a_half_finished_job_goes_on_to_the_same_weights(sweep, run, quick, folder, rows, tmp_path, stopped_after):
    with stopped_after(8):  # in the second epoch
        stopped = sweep("seed=5,6", "trainer.max_epochs=2")
    assert stopped.code == 130 and not times(folder), stopped.text
    resumed = sweep("seed=5,6", "trainer.max_epochs=2")
    assert resumed.code == 0 and resumed.text.count("Resuming from") == 1, resumed.text
    assert run("train", *quick, "logger=none", "seed=5", "trainer.max_epochs=2").code == 0
    one, other = (
        torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for path in (folder / "0", tmp_path / "run")
    )
    assert all(torch.equal(one[name], other[name]) for name in other)
    assert rows()["5"]["error"] == "" and float(rows()["5"]["epochs"]) == 2


def test_a_failed_job_is_tried_again(run, image_tree, folder, rows, tmp_path):
    words = ("model=lenet", "data=folder", "data.root=tree", "data.size=32", "trainer.accelerator=cpu", "logger=none")
    words = ("--multirun", *words, "trainer.max_epochs=1", "sweep=mine", "seed=0,1")
    assert run("train", *words).code == 1
    assert all("does not exist" in row["error"] for row in rows().values())
    image_tree(tmp_path / "tree", 20)
    done = run("train", *words)
    assert done.code == 0, done.text
    assert [row["error"] for row in rows().values()] == ["", ""]


def test_a_job_of_another_process_is_left_to_it(sweep, folder):
    assert sweep("seed=0").code == 0
    (folder / "0" / "metrics.json").unlink()  # as while it is trained
    with FileLock(folder / "0" / ".training.lock"):
        left = sweep("seed=0")
    assert left.code == 0 and "is being trained by another process" in left.text
    assert not times(folder) and "not finished" in (folder / "results.csv").read_text()
    assert sweep("seed=0").code == 0 and len(times(folder)) == 1


def test_a_number_that_is_taken_is_not_given_again(sweep, folder):
    (folder / "0").mkdir(parents=True)
    assert sweep("seed=0").code == 0
    assert [*times(folder)] == ["1"]


@pytest.mark.slow
def test_two_launchers_at_once_train_each_job_once(quick, folder, rows, tmp_path):
    words = ("--multirun", *quick[:-1], "sweep=mine", "logger=none", "seed=0,1,2,3", "threads=1")
    command = [sys.executable, "-m", "fakereal.train", *words]
    launchers = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    texts = [launcher.communicate(timeout=240)[0] for launcher in launchers]
    assert [launcher.returncode for launcher in launchers] == [0, 0], texts
    assert sum(text.count("Best checkpoint on validation") for text in texts) == 4, texts
    assert len(json.loads((folder / ".jobs.json").read_text())) == 4
    assert {seed: row["error"] for seed, row in rows().items()} == dict.fromkeys("0123", "")


def test_a_name_that_is_a_path_is_refused(run, quick):
    done = run("train", *quick, "sweep='../up'")
    assert done.code == 1 and "`sweep`" in done.text


def test_a_job_leaves_nothing_behind_for_the_next(sweep, rows, monkeypatch):
    def held():
        trainers = sum(type(thing) is L.Trainer for thing in gc.get_objects())
        return trainers, threading.active_count(), signal.getsignal(signal.SIGTERM)

    def fail(self, trainer, *args):
        if trainer.optimizers[0].param_groups[0]["lr"] > 1:
            raise RuntimeError("out of memory")  # of which another exception is made

    monkeypatch.setattr(FiniteLoss, "on_train_batch_end", fail)
    before, after, original = held(), [], SweepResults.on_job_end
    monkeypatch.setattr(SweepResults, "on_job_end", lambda *args, **job: (original(*args, **job), after.append(held())))
    assert sweep("optimizer.lr=1e-3,1e30,1e-4", "logger=[tensorboard,csv]").code == 1
    assert sum("Out of memory: lower" in row["error"] for row in rows("optimizer.lr").values()) == 1
    assert after == [before] * 3


def test_a_job_that_failed_after_it_was_finished_is_trained_again(sweep, folder):
    assert sweep("seed=0").code == 0
    before = times(folder)
    (folder / "0" / "error.txt").write_text("RuntimeError: the machine went down\n")
    assert sweep("seed=0").code == 0
    assert times(folder)["0"] != before["0"] and not (folder / "0" / "error.txt").exists()
