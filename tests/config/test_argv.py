"""Paths on the command line."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from fakereal.config.argv import as_meant, quote_paths


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
        "in/**/*.png",
        "2024",
        "1e3",
        "\\\\server\\share\\best.ckpt",
        "in\\[a\\].png",
        "-",
    ],
)
@pytest.mark.parametrize("key", ["data.root", "ckpt_path", "images", "runs", "+data.cache_dir"])
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


def test_folders_named_by_numbers_are_no_numbers():
    [word] = quote_paths(["images=[2023,2024]"])
    assert OverridesParser.create().parse_override(word).value() == ["2023", "2024"]


def test_a_sweep_over_paths_stays_one():
    [word] = quote_paths(["data.root=a.zip,b.zip"])
    assert OverridesParser.create().parse_override(word).is_sweep_override()


def test_a_flag_may_stand_anywhere():
    assert as_meant(["train.py", "a=1", "--multirun", "b=1,2"]) == ["train.py", "--multirun", "a=1", "b=1,2"]


def test_the_folders_that_hydra_makes_may_lie_at_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me (1)")
    words = ["+hydra.run.dir=~/run", "hydra.sweep.dir=~/a b", "hydra.run.dir='~/as it is'"]
    assert quote_paths(words) == [
        "+hydra.run.dir='/home/me (1)/run'", "hydra.sweep.dir='/home/me (1)/a b'", "hydra.run.dir='~/as it is'",
    ]  # fmt: skip


def test_words_for_other_commands_stay_whole():
    [word] = quote_paths(["overrides=[data.resident=true,model.compile=true]"])
    parsed = OverridesParser.create().parse_override(word)
    assert parsed.value() == ["data.resident=true", "model.compile=true"]


@pytest.mark.parametrize(
    ("typed", "paths"),
    [
        ("ckpt_path=x=1/b.ckpt,x=2/b.ckpt", ["x=1/b.ckpt", "x=2/b.ckpt"]),
        ("data.root=a (1),b", ["a (1)", "b"]),
        ("data.root=2024,2025", ["2024", "2025"]),
        ("data.root=choice(a,b)", ["a", "b"]),
        ("data.root='a (1)',b", ["a (1)", "b"]),
    ],
)
def test_a_sweep_over_paths_has_each_of_them(typed, paths):
    *_, word = quote_paths(["--multirun", typed])
    override = OverridesParser.create().parse_override(word)
    assert override.is_sweep_override()
    values = [getattr(item, "text", item) for item in override.value().list]
    assert values == paths


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("a=1 --config-dir conf b=2", "--config-dir conf a=1 b=2"),
        ("a=1 --config-dir=conf b=2", "--config-dir=conf a=1 b=2"),
        ("a=1 --resolve --cfg job b=2", "--resolve --cfg job a=1 b=2"),
        ("a=1 --info config b=2", "--info config a=1 b=2"),
        ("--info b=2", "--info=all b=2"),
        ("a=1 -i", "-i=all a=1"),
        ("", ""),
    ],
)
def test_options_of_hydra_may_stand_anywhere(typed, meant):
    assert as_meant(["train.py", *typed.split()]) == ["train.py", *meant.split()]


@pytest.mark.parametrize("option", ["--cfg=job", "-c=job"])
def test_a_search_can_be_asked_for_its_configuration(run, option):
    done = run("tune", option, "model=lenet")
    assert done.code == 0 and "Traceback" not in done.text
