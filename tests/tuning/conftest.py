"""A search over a tiny network, and what its study holds."""

import optuna
import pytest


@pytest.fixture
def words(quick):
    """What all trials share: the study is named `mine`."""
    return (*quick[:-1], "study=mine", "logger=none", "threads=1", "pruner=none")


@pytest.fixture
def tune(run, words):
    """`tune("key=value", ...)`, the learning rate searched unless something else is."""

    def call(*more: str):
        searched = () if any("range(" in word for word in more) else ("optimizer.lr=tag(log,interval(1e-5,1e-1))",)
        return run("tune", *words, *searched, *more)

    return call


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "outputs" / "tune" / "mine"


@pytest.fixture
def trials(folder):
    """`trials()`: those of the study, as Optuna reads them."""
    from fakereal.tuning.study import open_storage

    return lambda: optuna.load_study(study_name="mine", storage=open_storage(None, folder)).trials
