"""One GPU for each job that runs beside others, on a list of devices that nobody has."""

import json
import os
import subprocess
import sys

import pytest

from fakereal.runtime.errors import UserError
from fakereal.runtime.gpus import gpus

pytest.importorskip("hydra_plugins.hydra_joblib_launcher")

# What a job sees, beside what the launcher does: CUDA is not needed for it.
WITNESS = '''
import json, os, time
from pathlib import Path
from lightning.pytorch.callbacks import Callback

class Witness(Callback):
    """Waits until two jobs have begun, and writes which GPUs this one sees."""
    def __init__(self, folder):
        self.folder = Path(folder)
    def on_fit_start(self, trainer, module):
        began = time.monotonic()
        (self.folder / f"began-{os.getpid()}").touch()
        while len(list(self.folder.glob("began-*"))) < 2 and time.monotonic() - began < 100:
            time.sleep(0.05)
        said = {"pid": os.getpid(), "sees": os.environ.get("CUDA_VISIBLE_DEVICES")}
        (Path(trainer.default_root_dir) / "witness.json").write_text(json.dumps(said))
'''


@pytest.mark.slow
def test_jobs_at_the_same_time_have_different_gpus(quick, folder, rows, tmp_path):
    (tmp_path / "witness.py").write_text(WITNESS)
    words = ["--multirun", *quick[:-1], "sweep=mine", "logger=none", "hydra/launcher=gpus", "threads=1"]
    words.append("seed=range(4)")
    words += ["+callbacks.witness._target_=witness.Witness", f"+callbacks.witness.folder={tmp_path}"]
    done = subprocess.run(
        [sys.executable, "-m", "fakereal.train", *words],
        cwd=tmp_path,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "3,GPU-5", "PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [row["error"] for row in rows().values()] == [""] * 4
    said = [json.loads(path.read_text()) for path in folder.glob("*/witness.json")]
    assert len(said) == 4 and {one["sees"] for one in said} == {"3", "GPU-5"}
    assert len({(one["pid"], one["sees"]) for one in said}) == 2, "a process keeps its GPU"


def test_a_gpu_is_free_again_when_its_process_has_ended(tmp_path):
    code = "from fakereal.runtime.gpus import own_gpu; print(own_gpu({0}), own_gpu({0} + 1)); input()"
    environment = {"CUDA_VISIBLE_DEVICES": "4,7", "TMPDIR": str(tmp_path), "PATH": "", "USER": "somebody"}

    def holder(number):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return subprocess.Popen([sys.executable, "-c", code.format(number)], env=environment, **pipes)

    def answer(process):
        return process.stdout.readline().split()

    one = holder(1)
    assert answer(one) == ["7", "7"]
    two = holder(1)
    assert answer(two) == ["4", "4"], "the next, where that of its number is taken"
    three = holder(1)
    assert answer(three) == ["7", "7"], "shared by number, where all are taken"
    for process in (one, three):
        process.communicate("\n")
    four = holder(3)
    assert answer(four) == ["7", "7"]
    for process in (two, four):
        process.communicate("\n")


def test_without_a_gpu_the_launcher_says_what_to_use(monkeypatch, tmp_path, run, quick):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="finds no GPU"):
        gpus()
    refused = run("train", "--multirun", *quick[:-1], "sweep=mine", "hydra/launcher=gpus", "seed=0,1")
    assert refused.code == 1 and "finds no GPU" in refused.text and "Traceback" not in refused.text


def test_gpus_are_those_that_the_driver_names(monkeypatch, tmp_path):
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 0; echo 1; echo 2\n")
    smi.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert gpus() == ["0", "1", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 1,-1,0")
    assert gpus() == ["2", "1"]
