"""What all tests share: commands run in this process, on generated images."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest


class Finished(NamedTuple):
    """What a command left: its exit status and all that it printed."""

    code: int
    text: str


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch) -> None:
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("FAKEREAL_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def run(tmp_path, monkeypatch, capfd) -> Callable[..., Finished]:
    """`run("train", "key=value", ...)`: the command as from a shell in tmp_path, but in this process."""

    def call(command: str, *words: str) -> Finished:
        from fakereal.config.argv import quote_paths

        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", quote_paths([f"{command}.py", *words]))
        code = 0
        capfd.readouterr()
        try:
            import_module(f"fakereal.{command}").main()
        except SystemExit as exit:
            code = int(exit.code or 0)
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
