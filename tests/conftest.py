"""What all tests share: commands run in this process, on generated images."""

import itertools
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings

# The same examples on each run; `--hypothesis-profile=search` looks for others.
settings.register_profile("same", deadline=None, derandomize=True, max_examples=40)
settings.register_profile("search", deadline=None, max_examples=5000)
settings.load_profile("same")
# Two test processes on two cores; and the order of sums is the same on any machine. Children inherit it.
os.environ["OMP_NUM_THREADS"] = "1"
# A shell that runs the tests in the background has them ignore Ctrl-C, and their children would, too.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Finished(NamedTuple):
    """What a command left: its exit status and all that it printed."""

    code: int
    text: str


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch) -> None:
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("FAKEREAL_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True)
def own_log_level() -> Iterator[None]:
    """A command sets the level for its process, and the next test would be told more than it asks for."""
    level = logging.root.level
    yield
    logging.root.setLevel(level)


@pytest.fixture
def run(tmp_path, monkeypatch, capfd) -> Callable[..., Finished]:
    """`run("train", "key=value", ...)`: the command as from a shell in tmp_path, but in this process."""

    def call(command: str, *words: str) -> Finished:
        from fakereal.config.argv import as_meant

        monkeypatch.chdir(tmp_path)
        code = 0
        capfd.readouterr()
        try:
            monkeypatch.setattr(sys, "argv", as_meant([f"{command}.py", *words]))
            import_module(f"fakereal.{command}").main()
        except SystemExit as exit:
            code = exit.code or 0
            if isinstance(code, str):  # as the interpreter ends a process
                print(code, file=sys.stderr)
                code = 1
        printed = capfd.readouterr()
        return Finished(code, printed.out + printed.err)

    return call


@pytest.fixture
def quick(tmp_path) -> tuple[str, ...]:
    """Overrides of a training that takes a second: a tiny network, few images, in tmp_path/run."""
    return (
        "model=timm",
        "model.backbone=test_resnet",
        "data=synthetic",
        "data.count=200",
        "data.batch_size=32",
        "trainer.max_epochs=1",
        "trainer.accelerator=cpu",
        f"hydra.run.dir={Path(tmp_path) / 'run'}",
    )


@pytest.fixture(scope="session")
def kept_runs() -> dict[tuple[str, ...], Path]:
    """The runs of `trained_run`, by their words."""
    return {}


@pytest.fixture
def trained_run(run, quick, kept_runs, tmp_path, tmp_path_factory) -> Callable[..., Path]:
    """`trained_run("data.count=400")`: tmp_path/run as the training of `quick` and these words leaves it.

    Trained once; each test has a copy, which it may change.
    """

    def of(*words: str) -> Path:
        own = Path(tmp_path) / "run"
        if words in kept_runs:
            shutil.copytree(kept_runs[words], own)
        else:
            finished = run("train", *quick, *words)
            assert finished.code == 0, finished.text
            kept_runs[words] = Path(shutil.copytree(own, tmp_path_factory.mktemp("kept") / "run"))
        return own

    return of


@pytest.fixture
def stopped_after() -> Callable[[int], AbstractContextManager]:
    """`with stopped_after(3):`: a training in this process is stopped, as by Ctrl-C, after so many batches."""

    @contextmanager
    def block(batches: int) -> Iterator[None]:
        from fakereal.training.callbacks import FiniteLoss

        original, seen = FiniteLoss.on_train_batch_end, itertools.count(1)

        def hook(self, *args):
            original(self, *args)
            if next(seen) == batches:
                signal.raise_signal(signal.SIGINT)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FiniteLoss, "on_train_batch_end", hook)
            yield

    return block


@pytest.fixture(scope="session")
def image_tree() -> Callable[..., Path]:
    """`image_tree(folder)`: a small tree laid out as CIFAKE, of `per_class` distinct images in each class folder.

    `splits=()` leaves the split folders out; `offset` gives other images; the ending is the format.
    """
    import numpy as np
    from PIL import Image

    def write(
        folder: Path,
        per_class: int = 6,
        *,
        splits=("train", "test"),
        side: int = 32,
        ending: str = "jpg",
        offset: int = 0,
    ) -> Path:
        numbers = np.random.default_rng(offset)
        for parent in [folder / split for split in splits] or [folder]:
            for name in ("REAL", "FAKE"):
                (parent / name).mkdir(parents=True)
                for index in range(per_class):
                    coarse = Image.fromarray(numbers.integers(0, 256, (4, 4, 3), dtype=np.uint8))
                    image = coarse.resize((side, side), Image.Resampling.BICUBIC)
                    image.save(parent / name / f"{index:04d} ({index % 10 + 1}).{ending}")
        return folder

    return write


@pytest.fixture(scope="session")
def pack() -> Callable[[Path, Path], Path]:
    """`pack(folder, archive)`: what is in the folder as an archive of the kind that its name says."""
    import tarfile
    import zipfile

    def write(folder: Path, archive: Path) -> Path:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
                for path in sorted(folder.rglob("*")):
                    file.write(path, path.relative_to(folder))
        else:
            compression = archive.suffix[1:].replace("tgz", "gz").replace("tar", "")
            with tarfile.open(archive, f"w:{compression}") as file:
                file.add(folder, ".")
        return archive

    return write
