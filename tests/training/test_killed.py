"""A run that is killed, at any moment: the same command ends as if nothing had been."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

resource = pytest.importorskip("resource")  # Windows has none

KILLS = 20
# What is waited for, below the run's directory or the cache, before the kill: then up to so many seconds more.
MOMENTS = (
    ("cache/stores/*", 0.5),  # decoding
    ("run/checkpoints/*.part", 0.0),  # while a checkpoint is written
    ("run/checkpoints/last.ckpt", 0.3),  # within an epoch, validation, or between the two
    ("run/checkpoints/best.ckpt", 0.3),
    ("run/train.log", 6.0),  # anything
)
TIMES = ("train_seconds", "images_per_second", "checkpoint", "checkpoint_digest")


@pytest.fixture(scope="module")
def words(image_tree, pack, tmp_path_factory):
    """Dropout, drop-path, augmentation, a schedule, EMA, early stopping; a checkpoint at almost every step."""
    folder = tmp_path_factory.mktemp("data")
    archive = pack(image_tree(folder / "tree", 300, side=40), folder / "images.tar.gz")
    return (
        *("data=folder", f"data.root={archive}", "data.size=32", "data.batch_size=32", "data/augment=all"),
        *("model=timm", "model.backbone=test_resnet", "model.drop_rate=0.3", "model.drop_path_rate=0.2"),
        *("scheduler=onecycle", "callbacks=[default,ema,early_stopping]", "callbacks.early_stopping.patience=9"),
        *("trainer.max_epochs=4", "trainer.accelerator=cpu", "trainer.log_every_n_steps=2", "threads=1", "seed=3"),
        *("callbacks.last.every_minutes=0.001", "ckpt_path=last"),
    )


@pytest.fixture(scope="module")
def begin(words, tmp_path_factory):
    """`begin("name")`: the command in a folder of that name, whose cache is its own."""
    parent = tmp_path_factory.mktemp("runs")

    def start(name):
        folder = parent / name
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "fakereal.train", *words, "hydra.run.dir=run"]
        return folder, subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "FAKEREAL_CACHE": str(folder / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return start


@pytest.fixture(scope="module")
def straight(begin):
    """The folder of the uninterrupted run."""
    return finish(begin, "straight")


def finish(begin, name):
    folder, process = begin(name)
    text, _ = process.communicate(timeout=240)
    assert process.returncode == 0, text
    return folder


def kill_at(begin, name, pattern, more):
    """Whether it was killed, not finished before."""
    folder, process = begin(name)
    deadline = time.monotonic() + 120
    while process.poll() is None and not any(folder.glob(pattern)):
        assert time.monotonic() < deadline
        time.sleep(0.0005)
    time.sleep(more)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def left(folder):
    """Weights and optimizer of both checkpoints, and all metrics but times."""
    run = folder / "run"
    saved = {}
    for name in ("last", "best"):
        checkpoint = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
        saved |= {f"{name}.{key}": value for key, value in checkpoint["state_dict"].items()}
        for group in checkpoint["optimizer_states"][0]["state"].items():
            saved |= {f"{name}.optimizer.{group[0]}.{key}": value for key, value in group[1].items()}
    metrics = json.loads((run / "metrics.json").read_text())
    return saved, {key: value for key, value in metrics.items() if key not in TIMES}


def assert_equal(one, other):
    (weights, metrics), (others, figures) = left(one), left(other)
    assert weights.keys() == others.keys()
    assert not [key for key in weights if not torch.equal(torch.as_tensor(weights[key]), torch.as_tensor(others[key]))]
    assert metrics == figures


def steps_logged(folder):
    """Of each of TensorBoard's scalars."""
    events = EventAccumulator(str(folder / "run")).Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def assert_one_curve(folder, straight):
    curves, expected = steps_logged(folder), steps_logged(straight)
    for tag in ("train/loss_step", "val/loss", "val/accuracy", "train/loss"):
        assert curves[tag] == expected[tag], tag


def test_a_killed_run_ends_as_the_uninterrupted_one(begin, straight):
    assert kill_at(begin, "killed", "run/checkpoints/last.ckpt", 0.1)  # within the first epoch
    assert_equal(straight, finish(begin, "killed"))
    assert_one_curve(straight.with_name("killed"), straight)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_kills_at_random_moments(begin, straight):
    draws, kills = random.Random(0), defaultdict(int)
    for number in range(KILLS):
        pattern, longest = MOMENTS[number % len(MOMENTS)]
        killed = kill_at(begin, f"killed_{number}", pattern, longest * draws.random())
        folder = finish(begin, f"killed_{number}")
        assert_equal(straight, folder)
        assert_one_curve(folder, straight)
        kills[pattern] += killed
    assert sum(kills.values()) >= KILLS - 2, kills  # a kill may come after the end


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_good_one(begin):
    folder, process = begin("full")
    last = folder / "run" / "checkpoints" / "last.ckpt"
    while not last.exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.001)
    # As on a full disk: no file of this process can grow to a checkpoint's size any more.
    limit = last.stat().st_size // 2
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    text, _ = process.communicate(timeout=240)
    assert process.returncode == 1 and "cannot be written" in text and "Traceback" not in text, text
    assert torch.load(last, weights_only=True)["global_step"] > 0 and not list(last.parent.glob("*.part"))
