"""Two processes on a CPU (gloo): every image once an epoch, and the same weights on both ranks."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from fakereal.data.loader import EpochBatches
from fakereal.runtime.errors import UserError
from fakereal.training.refusals import on_several_devices
from fakereal.training.spawned import _pickled

RECORDER = '''
import json, os, sys
from lightning.pytorch.callbacks import Callback

class Recorder(Callback):
    """Writes which images each rank saw in each epoch, and a digest of its weights."""
    def __init__(self, folder):
        self.folder, self.seen = folder, {}
    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        real = batch["index"][batch["weight"] > 0].tolist()
        self.seen.setdefault(trainer.current_epoch, []).extend(real)
    def on_train_end(self, trainer, module):
        weights = [p.double().sum().item() for p in module.parameters()]
        path = f"{self.folder}/rank{trainer.global_rank}.json"
        open(path, "w").write(json.dumps([self.seen, weights]))
'''


def ranks(folder, *words):
    """What a training prints that runs in the folder, whose modules it may import."""
    finished = subprocess.run(
        [sys.executable, "-m", "fakereal.train", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.mark.slow
def test_two_ranks_see_every_image_once_and_end_with_equal_weights(quick, tmp_path):
    (tmp_path / "recorder.py").write_text(RECORDER)
    words = [*quick, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.max_epochs=2"]
    words += ["data.count=203", "data.batch_size=30", "threads=1", "model.drop_rate=0.2"]
    words += ["+callbacks.recorder._target_=recorder.Recorder", f"+callbacks.recorder.folder={tmp_path}"]
    text = ranks(tmp_path, *words)
    (seen0, weights0), (seen1, weights1) = (json.loads((tmp_path / f"rank{r}.json").read_text()) for r in (0, 1))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    train = json.loads((tmp_path / "run" / "provenance.json").read_text())["data"]["splits"]["train"]
    for epoch in ("0", "1"):
        assert sorted(seen0[epoch] + seen1[epoch]) == list(range(train["REAL"] + train["FAKE"]))
    assert seen0["0"] != seen0["1"]
    assert weights0 == weights1
    val = json.loads((tmp_path / "run" / "provenance.json").read_text())["data"]["splits"]["val"]
    assert metrics["val/tn"] + metrics["val/fp"] == val["REAL"] and metrics["val/fn"] + metrics["val/tp"] == val["FAKE"]
    assert metrics["val/accuracy"] == pytest.approx((metrics["val/tn"] + metrics["val/tp"]) / metrics["val/images"])
    assert text.count("Best checkpoint on validation") == 1
    assert len(list((tmp_path / "run").glob("**/best.ckpt"))) == 1


KEEPER = """
import torch
from lightning.pytorch.callbacks import Callback

class Keeper(Callback):
    def __init__(self, path):
        self.path, self.steps = path, 0
    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.steps += 1
        if self.steps == 20 and trainer.is_global_zero:
            torch.save({name: value.clone() for name, value in module.state_dict().items()}, self.path)
"""


def test_two_processes_train_as_one_with_the_same_global_batch(tmp_path):
    (tmp_path / "keeper.py").write_text(KEEPER)
    words = ["model=lenet", "model.image_size=32", "data=synthetic", "data.count=207", "data.batch_size=31"]
    words += ["data/augment=flip_crop", "optimizer=sgd", "optimizer.lr=0.05", "trainer.precision=32-true"]
    words += ["trainer.max_epochs=5", "trainer.accelerator=cpu", "threads=1", "logger=none"]
    kept, metrics = {}, {}
    for name, devices in (("one", []), ("two", ["trainer=ddp", "trainer.devices=2"])):
        callback = ["+callbacks.keeper._target_=keeper.Keeper", f"+callbacks.keeper.path={tmp_path / name}.pt"]
        ranks(tmp_path, *words, *devices, *callback, f"hydra.run.dir={name}")
        kept[name] = torch.load(tmp_path / f"{name}.pt", weights_only=True)
        metrics[name] = json.loads((tmp_path / name / "metrics.json").read_text())
    for key, value in kept["one"].items():
        torch.testing.assert_close(kept["two"][key], value, rtol=0, atol=1e-5, msg=key)
    for key in ("val/tn", "val/fp", "val/fn", "val/tp", "val/images", "epochs"):
        assert metrics["one"][key] == metrics["two"][key]
    for key in ("val/loss", "val/auroc", "val/average_precision"):
        assert metrics["one"][key] == pytest.approx(metrics["two"][key], abs=1e-4)


@pytest.mark.slow
def test_torchrun_starts_the_ranks_of_one_run(quick, tmp_path):
    words = [*quick[:-1], "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "threads=1"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    finished = subprocess.run(
        [*torchrun, "-m", "fakereal.train", *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    [out] = (tmp_path / "outputs" / "train").iterdir()
    assert out.name.startswith("torchrun-") and (out / "metrics.json").exists()
    assert json.loads((out / "provenance.json").read_text())["devices"] == 2


@pytest.mark.slow
def test_spawned_ranks_leave_one_run(quick, tmp_path):
    words = [*quick, "trainer=ddp", "trainer.strategy=ddp_spawn", "trainer.accelerator=cpu", "trainer.devices=2"]
    text = ranks(tmp_path, *words, "threads=1", "logger=none")
    assert text.count("Best checkpoint on validation") == 1 and (tmp_path / "run" / "metrics.json").exists()
    assert json.loads((tmp_path / "run" / "provenance.json").read_text())["devices"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_the_jobs_of_a_sweep_have_ranks_of_their_own(quick, tmp_path, strategy):
    words = [*quick[:-1], "trainer=ddp", f"trainer.strategy={strategy}", "trainer.accelerator=cpu", "trainer.devices=2"]
    ranks(tmp_path, "--multirun", *words, "threads=1", "sweep=mine", "optimizer.lr=0.001,0.01", "logger=none")
    folder = tmp_path / "outputs" / "sweep" / "mine"
    assert sorted(path.parent.name for path in folder.glob("*/metrics.json")) == ["0", "1"]
    for job in ("0", "1"):
        said = json.loads((folder / job / "provenance.json").read_text())
        assert said["devices"] == 2 and len(list((folder / job).glob("**/best.ckpt"))) == 1
    kept = [torch.load(folder / job / "checkpoints" / "best.ckpt", weights_only=True) for job in ("0", "1")]
    one, other = (checkpoint["state_dict"]["backbone.fc.weight"] for checkpoint in kept)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("length", [3, 5, 64, 65, 67])
def test_shares_of_ranks_average_to_the_mean_over_the_global_batch(length):
    torch.manual_seed(0)
    data, layer = torch.randn(length, 3), nn.Linear(3, 1)
    ranks = [EpochBatches(length, 8, shuffle=True, seed=3, rank=rank, world=4) for rank in range(4)]
    seen = []
    for shares in zip(*ranks, strict=True):
        batch = np.concatenate([share.positions[share.weights > 0] for share in shares])
        expected = torch.autograd.grad(layer(data[batch]).square().mean(), layer.weight)[0]
        gradients = []
        for share in shares:
            assert len(share.positions), "a rank without a batch would leave the others waiting"
            losses = layer(data[share.positions]).square().squeeze(1)
            loss = (losses * torch.from_numpy(share.weights)).sum()
            gradients.append(torch.autograd.grad(loss, layer.weight)[0])
        torch.testing.assert_close(torch.stack(gradients).mean(0), expected)
        seen += batch.tolist()
    assert sorted(seen) == list(range(length))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ranks_of_a_job_stop_together_and_go_on(quick, tmp_path, number):
    words = [*quick[:-1], "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "threads=1", "sweep=mine"]
    words += ["seed=3", "trainer.max_epochs=40", "logger=none"]
    command = [sys.executable, "-m", "fakereal.train", "--multirun", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(command, cwd=tmp_path, **pipes)
    last = tmp_path / "outputs" / "sweep" / "mine" / "0" / "checkpoints" / "last.ckpt"
    began = time.monotonic()
    while not last.exists():
        assert process.poll() is None and time.monotonic() - began < 120
        time.sleep(0.1)
    process.send_signal(number)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number and "Stopped; nothing is lost" in text, text
    epochs = torch.load(last, weights_only=True)["epoch"] + 1
    assert 0 < epochs < 40
    assert "Resuming from" in (done := subprocess.run(command, cwd=tmp_path, timeout=240, **pipes)).stdout
    assert done.returncode == 0, done.stdout
    assert torch.load(last, weights_only=True)["epoch"] == 39


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sweep_that_is_stopped_before_its_ranks_train_is_over(quick, tmp_path, number):
    words = [*quick[:-1], "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "threads=1", "sweep=mine"]
    command = [sys.executable, "-m", "fakereal.train", "--multirun", *words, "seed=3,4", "logger=none"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("fakereal-ranks-*")):
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(number)
    _, text = process.communicate(timeout=100)
    assert process.returncode == 128 + number, text
    folder = tmp_path / "outputs" / "sweep" / "mine"
    assert not (folder / "1").exists() and not (folder / "0" / "error.txt").exists()
    assert not list(tmp_path.glob("fakereal-ranks-*"))


def test_an_exception_of_a_rank_travels_or_its_words_do():
    class Odd(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one} and {two}")

    assert str(pickle.loads(_pickled(UserError("x" * 100_000)))) == "x" * 100_000
    assert str(pickle.loads(_pickled(Odd(1, 2)))) == "Odd: 1 and 2"


FAILING = """
import os, time
from lightning.pytorch.callbacks import Callback

class Failing(Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if batch_idx == 1 and trainer.is_global_zero:
            raise RuntimeError("the first rank fails alone")
        while batch_idx == 1:
            time.sleep(1)  # as NCCL waits
"""


def test_no_rank_outlives_the_first(quick, tmp_path):
    (tmp_path / "failing.py").write_text(FAILING)
    words = [*quick, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "threads=1", "logger=none"]
    command = [sys.executable, "-m", "fakereal.train", *words, "+callbacks.failing._target_=failing.Failing"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    # The pipes are open for as long as any of the ranks lives.
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "the first rank fails alone" in done.stderr
    assert "Forcefully terminating" not in done.stderr


def test_thawing_is_refused_by_ddp_alone(run, quick):
    words = (*quick, "model.freeze=1", "trainer.accelerator=cpu")
    for several in (("trainer=ddp", "trainer.devices=2"), ("trainer.strategy=ddp",)):
        refused = run("train", *words, *several)
        assert refused.code == 1 and "model.freeze=1 (an epoch count) works on one device only" in refused.text
    alone = run("train", *words, "trainer=ddp", "trainer.strategy=auto")  # whose devices are one, on a CPU
    assert alone.code == 0, alone.text


def test_one_chosen_device_is_not_several():
    for devices, several in (([3], False), (1, False), ("1", False), ([0, 1], True), (2, True), ("auto", True)):
        assert on_several_devices(OmegaConf.create({"trainer": {"devices": devices, "num_nodes": 1}})) is several
