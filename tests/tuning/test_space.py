"""Hydra's sweep grammar as Optuna's distributions."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from fakereal.runtime.errors import UserError
from fakereal.tuning.space import parse_space


@pytest.mark.parametrize(
    "sweep, expected",
    [
        ("tag(log, interval(1e-5, 1e-2))", FloatDistribution(1e-5, 1e-2, log=True)),
        ("interval(0, 1)", FloatDistribution(0, 1)),
        ("int(interval(2, 64))", IntDistribution(2, 64)),
        ("tag(log, int(interval(2, 64)))", IntDistribution(2, 64, log=True)),
        ("range(1, 9)", IntDistribution(1, 8)),
        ("range(1, 9, 3)", IntDistribution(1, 7, step=3)),
        ("range(0.1, 0.5, 0.2)", FloatDistribution(0.1, 0.3, step=0.2)),
        ("choice(32, 64)", CategoricalDistribution(("32", "64"))),
        ("a,b,a", CategoricalDistribution(("a", "b"))),
        ("'x y',[1,2]", CategoricalDistribution(("'x y'", "[1,2]"))),
    ],
)
def test_each_kind_of_sweep(sweep, expected):
    assert parse_space([f"key={sweep}"]).distributions == {"key": expected}


def test_what_is_not_searched_is_fixed_and_the_last_word_counts():
    space = parse_space(["lr=interval(0,1)", "model=lenet", "+a.b='c d'", "~callbacks.ema", "size=1,2", "size=3"])
    assert list(space.distributions) == ["lr"]
    assert space.overrides({"lr": 0.25}) == ["model=lenet", "+a.b='c d'", "~callbacks.ema", "size=3", "lr=0.25"]


@pytest.mark.parametrize(
    "words, said",
    [
        (["model=lenet"], "nothing to search"),
        (["lr=interval(2,1)"], "lr"),
        (["lr=tag(log,interval(0,1))"], "lr"),
        (["n=range(5,5)"], "empty"),
        (["lr=tag(lag,interval(0.1,1))"], "the tag 'lag' has no meaning here"),
        (["lr=interval(nan,1)"], "finite"),
        (["monitor=val/loss,val/accuracy"], "monitor controls the search"),
        (["lr=interval(0,1)", "n_trials=3,2"], "n_trials controls the search"),
        (["sampler.n_startup_trials=3,2"], "sampler.n_startup_trials controls the search"),
    ],
)
def test_what_cannot_be_searched_is_said(words, said):
    with pytest.raises(UserError, match=said):
        parse_space(words)
