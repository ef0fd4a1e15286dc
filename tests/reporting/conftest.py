"""Real runs and tests, made once; each test works on a copy of its own."""

import json
import shutil
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

# No batch normalisation: after so few steps its averages would make all answers the same.
NETWORK = ("model=lenet", "trainer.accelerator=cpu", "threads=1")
TRAINING = ("data=synthetic", "data.count=400", "data.batch_size=16", "trainer.max_epochs=3", "logger=csv", *NETWORK)


def command(name: str, *words: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"{name}.py", *words])
        import_module(f"fakereal.{name}").main()


@pytest.fixture(scope="session")
def made(tmp_path_factory, worker_id) -> Path:
    """outputs/sweep/lr: 3 seeds x 2 learning rates; outputs/test: jobs 0, 1 and 2, and job 0 on other images.

    Made once for all test processes: the others wait for the first.
    """
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "made"
    with FileLock(folder.with_suffix(".lock")):
        if not (done := folder.with_suffix(".done")).exists():
            folder.mkdir()  # fails where another process began and failed
            _make(folder)
            done.touch()
    return folder


def _make(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        swept = ("seed=0,1,2", "optimizer.lr=3e-3,3e-4", "hydra.sweep.dir=outputs/sweep/lr")
        command("train", "--multirun", *TRAINING, *swept)
        for job in (0, 1, 2):
            command("test", f"ckpt_path={best(job)}", f"hydra.run.dir=outputs/test/{job}", "threads=1")
        command("test", f"ckpt_path={best(0)}", "data.count=120", "hydra.run.dir=outputs/test/other", "threads=1")


def best(job: int) -> str:
    return f"outputs/sweep/lr/{job}/checkpoints/best.ckpt"


@pytest.fixture
def outputs(made, tmp_path) -> Path:
    """A copy of what was made, where `run` runs."""
    shutil.copytree(made / "outputs", tmp_path / "outputs", ignore=shutil.ignore_patterns("last.ckpt"))
    return tmp_path / "outputs"


@pytest.fixture
def change():
    """`change(path, {key: value})` in a JSON or YAML file; None takes a key out."""

    def change(path: Path, keys: dict) -> None:
        load, dump = (json.loads, json.dumps) if path.suffix == ".json" else (yaml.safe_load, yaml.safe_dump)
        content = load(path.read_text())
        for key, value in keys.items():
            if value is None:
                del content[key]
            else:
                content[key] = value
        path.write_text(dump(content))

    return change
