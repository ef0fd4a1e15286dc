"""A resumed run is the uninterrupted run, weight for weight."""

import json
import shlex
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import pytest
import torch

from fakereal.models import schedulers
from fakereal.runtime.errors import UserError


def weights(folder, name="last"):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def assert_equal(one, other):
    assert one["state_dict"].keys() == other["state_dict"].keys()
    different = [k for k in one["state_dict"] if not torch.equal(one["state_dict"][k], other["state_dict"][k])]
    assert not different
    assert one["global_step"] == other["global_step"] and one["epoch"] == other["epoch"]


@pytest.fixture
def lively(quick):
    """Dropout, drop-path, augmentation, momentum, a schedule and EMA: all that has a state or draws."""
    return (
        *quick,
        "model.drop_rate=0.3",
        "model.drop_path_rate=0.2",
        "data/augment=all",
        "scheduler=onecycle",
        "callbacks=[default,ema]",
    )


def test_resume_at_epoch_two_of_four_equals_four_straight(run, lively, tmp_path, stopped_after):
    straight, halves = tmp_path / "straight", tmp_path / "halves"
    four = "trainer.max_epochs=4"
    assert run("train", *lively, four, f"hydra.run.dir={straight}").code == 0
    with stopped_after(2 * 5):
        stopped = run("train", *lively, four, f"hydra.run.dir={halves}", "ckpt_path=last")
    assert stopped.code == 130, stopped.text
    assert "there is no" in stopped.text and "starting a new training" in stopped.text
    assert weights(halves)["epoch"] == 1 and not (halves / "metrics.json").exists()
    resumed = run("train", *lively, four, f"hydra.run.dir={halves}", "ckpt_path=last")
    assert resumed.code == 0, resumed.text
    assert_equal(weights(straight), weights(halves))
    assert_equal(weights(straight, "best"), weights(halves, "best"))
    one, other = (json.loads((folder / "metrics.json").read_text()) for folder in (straight, halves))
    assert {k: v for k, v in one.items() if k.startswith("val/")} == {k: v for k, v in other.items() if k[:4] == "val/"}


@pytest.mark.parametrize("optimizer", ["adam", pytest.param("muon", marks=pytest.mark.slow)])
def test_an_interrupted_epoch_goes_on_with_its_next_batch(run, lively, tmp_path, stopped_after, optimizer):
    straight, halves = tmp_path / "straight", tmp_path / "halves"
    lively, two = (*lively, f"optimizer={optimizer}"), "trainer.max_epochs=2"
    assert run("train", *lively, two, f"hydra.run.dir={straight}").code == 0
    seconds = []
    for batches in (3, 4):  # stops in the first epoch, and again in the second
        with stopped_after(batches):
            stopped = run("train", *lively, two, f"hydra.run.dir={halves}", "ckpt_path=last")
        assert stopped.code == 130 and "Stopped; nothing is lost" in stopped.text, stopped.text
        clock = weights(halves)["callbacks"]["Throughput"]
        seconds.append(clock["seconds"])
        assert clock["images"] == 32 * (3 if len(seconds) == 1 else 6) + (16 if len(seconds) == 2 else 0)
    assert 0 < seconds[0] < seconds[1] < 300
    assert run("train", *lively, two, f"hydra.run.dir={halves}", "ckpt_path=last").code == 0
    assert_equal(weights(straight), weights(halves))


def test_a_stop_at_a_validated_step_loses_no_validation(run, lively, tmp_path, stopped_after):
    straight, halves = tmp_path / "straight", tmp_path / "halves"
    words = (*lively, "+trainer.val_check_interval=2", "trainer.max_epochs=2")  # of five steps
    assert run("train", *words, f"hydra.run.dir={straight}").code == 0
    with stopped_after(2):
        assert run("train", *words, f"hydra.run.dir={halves}").code == 130
    assert weights(halves)["global_step"] == 3, "saved when the validation is over"
    assert run("train", *words, f"hydra.run.dir={halves}", "ckpt_path=last").code == 0
    assert_equal(weights(straight), weights(halves))
    assert_equal(weights(straight, "best"), weights(halves, "best"))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            "data.content_seed=7",
            "started with other images than these. Give the same, or start a new training with init_from=CKPT",
        ),
        ("data.split_seed=7", "started with data.split_seed=0, not 7"),
        ("data.batch_size=16", "started with data.batch_size=32, not 16"),
    ],
)
def test_a_training_goes_on_with_its_own_images(run, lively, tmp_path, stopped_after, word, said):
    with stopped_after(3):
        assert run("train", *lively).code == 130
    before = (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes()
    stopped = run("train", *lively, word, "ckpt_path=last")
    assert stopped.code == 1 and said in stopped.text and "Traceback" not in stopped.text
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes() == before
    assert run("train", *lively, "ckpt_path=last").code == 0


def test_a_stopped_job_of_a_sweep_says_how_it_goes_on_alone(run, lively, tmp_path, stopped_after):
    words = (*lively, "hydra.mode=MULTIRUN", f"hydra.sweep.dir={tmp_path / 'sweep (1)'}", "trainer.max_epochs=1,2")
    with stopped_after(3):
        stopped = run("train", *words)
    assert stopped.code == 130
    advice = stopped.text.split("Resume with: ")[1].splitlines()
    assert "the whole sweep with the same command" in advice[1]
    command = shlex.split(advice[0])
    assert command[:3] == ["python", "-m", "fakereal.train"]
    assert run("train", *command[3:]).code == 0
    assert (tmp_path / "sweep (1)" / "0" / "metrics.json").exists()
    done = run("train", *words)
    assert done.code == 0 and "ckpt_path" not in (tmp_path / "sweep (1)" / "results.csv").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_signals_write_last_ckpt_first(quick, tmp_path, number):
    command = [sys.executable, "-m", "fakereal.train", *quick, "trainer.max_epochs=10000"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    log = tmp_path / "run" / "train.log"
    deadline = time.monotonic() + 120
    while not (log.exists() and "epoch 2/" in log.read_text()) and time.monotonic() < deadline:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    process.send_signal(number)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number, text
    assert "Traceback" not in text and "ckpt_path=last" in text
    assert weights(tmp_path / "run")["global_step"] >= 10


def test_an_explicit_checkpoint_must_exist(run, quick, tmp_path):
    finished = run("train", *quick, "ckpt_path=nowhere (1)/epoch=3.ckpt")
    assert finished.code == 1
    assert "ckpt_path=nowhere (1)/epoch=3.ckpt does not exist" in finished.text and "Traceback" not in finished.text
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == {".hydra", "train.log", ".training.lock"}


def test_resuming_a_complete_run_changes_nothing(run, quick, tmp_path):
    assert run("train", *quick).code == 0
    before = weights(tmp_path / "run")
    finished = run("train", *quick, "ckpt_path=last")
    assert finished.code == 0, finished.text
    assert_equal(before, weights(tmp_path / "run"))
    assert (tmp_path / "run" / "metrics.json").exists()


def test_a_longer_run_continues_a_complete_one_with_its_clock(run, quick, tmp_path):
    assert run("train", *quick, "scheduler=constant").code == 0
    first = json.loads((tmp_path / "run" / "metrics.json").read_text())
    finished = run("train", *quick, "scheduler=constant", "trainer.max_epochs=3", "ckpt_path=last")
    assert finished.code == 0, finished.text
    second = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert second["epochs"] == 3 and second["train_seconds"] > first["train_seconds"]
    assert weights(tmp_path / "run")["epoch"] == 2


@pytest.mark.parametrize("schedule", ["cosine", "linear", "step", "constant"])
def test_a_schedule_that_has_a_length_does_not_begin_anew_at_another(schedule):
    def scheduled(steps, planned):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        made = schedulers.scheduled(getattr(schedulers, schedule), optimizer, steps, planned, None)["scheduler"]
        for _ in range(100):
            optimizer.step()
            made.step()
        return made

    planned = scheduled(100, {}).state_dict()
    assert scheduled(100, planned).get_last_lr() == planned["_last_lr"]
    with nullcontext() if schedule == "constant" else pytest.raises(UserError, match="planned for 100 steps"):
        scheduled(200, planned)


def test_a_longer_training_by_a_schedule_that_was_shorter_is_refused(run, quick, trained_run):
    trained_run()
    finished = run("train", *quick, "trainer.max_epochs=3", "ckpt_path=last")
    assert finished.code == 1 and "was planned for 5 steps (its total_steps), but this training has 15" in finished.text


def test_a_frozen_backbone_stays_frozen_when_an_epoch_is_resumed_halfway(run, quick, tmp_path, stopped_after):
    straight, halves = tmp_path / "straight", tmp_path / "halves"
    words = (*quick, "model.freeze=1", "trainer.max_epochs=2")
    assert run("train", *words, f"hydra.run.dir={straight}").code == 0
    with stopped_after(3):
        assert run("train", *words, f"hydra.run.dir={halves}").code == 130
    assert run("train", *words, f"hydra.run.dir={halves}", "ckpt_path=last").code == 0
    assert_equal(weights(straight), weights(halves))


def test_a_moved_run_keeps_its_best_and_goes_on(run, quick, tmp_path):
    assert run("train", *quick, "scheduler=constant").code == 0
    (tmp_path / "run").rename(tmp_path / "moved")
    best = weights(tmp_path / "moved", "best")
    again = ("scheduler=constant", "ckpt_path=last", f"hydra.run.dir={tmp_path / 'moved'}")
    finished = run("train", *quick, *again)
    assert finished.code == 0, finished.text
    assert_equal(best, weights(tmp_path / "moved", "best"))
    assert json.loads((tmp_path / "moved" / "metrics.json").read_text())["checkpoint"].startswith(str(tmp_path))


def test_an_early_stopped_run_is_complete(run, quick, tmp_path):
    words = (*quick, "callbacks=[default,early_stopping]", "callbacks.early_stopping.patience=1")
    words = (*words, "callbacks.early_stopping.min_delta=0.9", "trainer.max_epochs=9")
    assert run("train", *words).code == 0
    before = weights(tmp_path / "run")
    assert before["epoch"] == 1
    assert run("train", *words, "ckpt_path=last").code == 0
    assert_equal(before, weights(tmp_path / "run"))


def test_a_checkpoint_of_another_network_cannot_be_resumed(run, quick, tmp_path):
    assert run("train", *quick).code == 0
    finished = run("train", *quick, "model=lenet", "model.backbone=lenet5", "ckpt_path=last")
    assert finished.code == 1 and "holds the weights of another network" in finished.text, finished.text


def test_fewer_epochs_than_there_were_are_refused_in_a_line(run, quick, tmp_path):
    words = (*quick, "trainer.max_epochs=3")
    assert run("train", *words).code == 0
    again = run("train", *quick, "trainer.max_epochs=2", "ckpt_path=last")
    assert again.code == 1 and "Traceback" not in again.text
    assert "trainer.max_epochs=2: the training to resume has already had 3 epochs. Give as many" in again.text
    assert run("train", *words, "ckpt_path=last").code == 0, "as many as there were validate best.ckpt again"
