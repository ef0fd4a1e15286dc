"""Sweeps whose jobs are launched elsewhere than in this process."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

LIMITS = ("hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=3", "hydra.launcher.timeout_min=5")


def has_slurm():
    if find_spec("hydra_plugins.hydra_submitit_launcher") is None:
        return False
    return bool(shutil.which("sinfo")) and subprocess.run(["sinfo"], capture_output=True, timeout=20).returncode == 0


@pytest.fixture
def launch(quick, tmp_path):
    """`launch("key=value", ...)`: a sweep in a process of its own, as from a shell; its exit status and text."""

    def call(*words):
        command = [
            sys.executable,
            "-m",
            "fakereal.train",
            "--multirun",
            *quick[:-1],
            "sweep=mine",
            "logger=none",
            *words,
        ]
        done = subprocess.run(command, cwd=tmp_path, env={**os.environ}, capture_output=True, text=True, timeout=280)
        return done.returncode, done.stdout + done.stderr

    return call


def test_submitit_runs_each_job_in_a_process_and_passes_over_finished_ones(launch, folder, rows):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    words = ("hydra/launcher=submitit_local", "threads=1", "seed=0,1")
    code, text = launch(*words)
    assert code == 0 and [row["error"] for row in rows().values()] == ["", ""], text
    before = [path.stat().st_mtime_ns for path in sorted(folder.glob("*/metrics.json"))]
    code, text = launch(*words)
    assert code == 0 and len(before) == 2, text
    assert before == [path.stat().st_mtime_ns for path in sorted(folder.glob("*/metrics.json"))]


def test_ray_runs_each_job_in_a_worker(launch, folder, rows):
    pytest.importorskip("hydra_plugins.hydra_ray_launcher")
    words = ("+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.remote.num_cpus=1", "threads=1")
    code, text = launch("hydra/launcher=ray", *words, "seed=0,1")
    assert code == 0 and [row["error"] for row in rows().values()] == ["", ""], text


@pytest.mark.slurm
@pytest.mark.skipif(not has_slurm(), reason="no Slurm here")
def test_slurm_runs_a_grid(launch, rows):
    code, text = launch("hydra/launcher=slurm", *LIMITS, "seed=0,1")
    assert code == 0 and [row["error"] for row in rows().values()] == ["", ""], text


@pytest.mark.slurm
@pytest.mark.skipif(not has_slurm(), reason="no Slurm here")
@pytest.mark.parametrize(
    "ranks",
    [
        ("trainer.devices=1", "trainer.num_nodes=2", "hydra.launcher.nodes=2"),
        ("trainer.devices=2", "trainer.accelerator=cpu", "hydra.launcher.tasks_per_node=2"),
    ],
    ids=["two nodes", "one node"],
)
def test_ranks_are_one_job(launch, folder, rows, ranks):
    code, text = launch("hydra/launcher=slurm", *LIMITS, "trainer=ddp", *ranks, "seed=0,1")
    assert code == 0 and [row["error"] for row in rows().values()] == ["", ""], text
    said = [json.loads(path.read_text()) for path in folder.glob("*/provenance.json")]
    assert [one["devices"] for one in said] == [2, 2]


@pytest.mark.slurm
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not has_slurm(), reason="no Slurm here")
def test_a_job_out_of_time_goes_on_to_the_same_weights(quick, folder, tmp_path):
    long = (
        *quick[:-1],
        "trainer.max_epochs=50",
        "data.count=1000",
        "model.drop_rate=0.3",
        "data/augment=all",
        "seed=7",
    )
    command = [sys.executable, "-m", "fakereal.train", *long, "logger=none"]
    limits = (*LIMITS[:2], "hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=25")
    sweep = [*command, "--multirun", "sweep=mine", "hydra/launcher=slurm", *limits]
    subprocess.run(sweep, cwd=tmp_path, check=True, timeout=1000)
    straight = [*command, f"hydra.run.dir={tmp_path / 'straight'}"]
    subprocess.run(straight, cwd=tmp_path, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=600)
    [log] = folder.glob(".submitit/*/*_log.err")
    assert "resumes from here" in log.read_text()
    one, other = (
        torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for path in (folder / "0", tmp_path / "straight")
    )
    assert all(torch.equal(one[name], other[name]) for name in other)
