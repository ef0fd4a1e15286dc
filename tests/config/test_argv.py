"""Paths on the command line."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from fakereal.config.argv import quote_paths


@pytest.mark.parametrize(
    "path",
    [
        "/data/1000 (10).jpg",
        "/data/epoch=3-step=4.ckpt",
        "/da'ta (b)/c=d",
        "/plain/path.zip",
        "C:\\images (1)\\",
        "it's \\' (odd)",
        'say "x" (y)',
        "relative (dir)/{a}",
    ],
)
@pytest.mark.parametrize("key", ["data.root", "ckpt_path", "runs", "+data.cache_dir"])
def test_any_path_reaches_hydra_as_it_is(key, path):
    [word] = quote_paths([f"{key}={path}"])
    assert OverridesParser.create().parse_override(word).value() == path


@pytest.mark.parametrize(
    "word", ["data.root=[a,b]", "data.root='/a (b)'", "optimizer.lr=1e-3,1e-4", "model=resnet50", "--multirun", "x=(("]
)
def test_all_else_is_left_alone(word):
    assert quote_paths([word]) == [word]


def test_each_path_of_a_list_is_quoted():
    [word] = quote_paths(["ckpt_path=[/a (1).ckpt, epoch=2.ckpt,/c'd.ckpt]"])
    assert OverridesParser.create().parse_override(word).value() == ["/a (1).ckpt", "epoch=2.ckpt", "/c'd.ckpt"]


def test_a_sweep_over_paths_stays_one():
    [word] = quote_paths(["data.root=a.zip,b.zip"])
    assert OverridesParser.create().parse_override(word).is_sweep_override()
