"""What varies, and what groups."""

from pathlib import Path

from fakereal.runs.settings import by_settings, label, ranked, varied_keys
from fakereal.runs.trained import Run, flat

CONFIG = {
    "seed": 0,
    "optimizer": {"lr": 0.1},
    "data": {"seed": "${seed}", "root": "a"},
    "logger": {"csv": {"save_dir": "x"}},
    "callbacks": {"checkpoint": {"dirpath": "${hydra:runtime.output_dir}"}},
}


def trained(words: dict[str, str], changes: dict, *, accuracy: float = 0.9, **choices: str) -> Run:
    metrics = {"val/accuracy": accuracy, "val/loss": 0.1, "parameters": 7}
    return Run(Path("x"), flat(CONFIG) | changes, words, choices, metrics, {"time": str(accuracy)}, "x")


def test_only_what_was_set_and_differs_is_a_varied_key_and_the_seed_stands_last():
    runs = [
        trained({"seed": "0", "model": "cnn", "data.root": "a"}, {"trainer.benchmark": True}, model="cnn"),
        trained({"optimizer.lr": "0.2", "threads": "2"}, {"optimizer.lr": 0.2, "seed": 1}, model="resnet50"),
        trained({"optimizer.lr": "1e-1", "logger": "none"}, {"data.root": "b"}, model="cnn"),
    ]
    keys = varied_keys(runs)
    assert keys == ["model", "optimizer.lr", "seed"], "0.1 and 1e-1 are one value; paths and loggers are no settings"
    assert [label(run, keys) for run in runs[:2]] == ["model=cnn, lr=0.1, seed=0", "model=resnet50, lr=0.2, seed=1"]


def test_a_group_does_not_vary_by_what_others_of_the_keys_say():
    words = {"optimizer": "sgd", "optimizer.lr": "", "data": "synthetic", "data/augment": ""}
    flipped = {"data.augment.horizontal_flip": 0.5}
    runs = [
        trained(words, {"optimizer.lr": lr} | changes, optimizer="sgd", **{"data/augment": augment})
        for lr, changes, augment in ((0.1, {}, "none"), (0.2, flipped, "flip"))
    ]
    assert varied_keys(runs) == ["optimizer.lr", "data/augment"]
    runs.append(trained(words, {"optimizer.momentum": 0.9}, optimizer="sgd"))  # which no key tells
    assert varied_keys(runs) == ["optimizer", "optimizer.lr", "data/augment"]


def test_short_names_stay_apart():
    runs = [trained({"optimizer.lr": "", "data.lr": ""}, {"optimizer.lr": n, "data.lr": n}) for n in (1, 2)]
    assert label(runs[0], varied_keys(runs)) == "optimizer.lr=1, data.lr=1"


def test_groups_differ_in_the_seed_alone_and_a_repeated_seed_counts_once():
    beside = {"data.root": "elsewhere", "logger.csv.save_dir": "y", "sweep": "name", "seeds": 3}
    beside |= {"trainer.enable_progress_bar": False, "trainer.profiler": None}
    first = trained({}, {"seed": 0} | beside, accuracy=0.6)
    second, again = (trained({}, {"seed": 1}, accuracy=accuracy) for accuracy in (0.7, 0.8))
    other, fixed = trained({}, {"optimizer.lr": 0.2}), trained({}, {"seed": 1, "data.seed": 5}, accuracy=0.1)
    groups = by_settings([first, second, again, other, fixed], "val/accuracy")
    assert [group.runs for group in groups] == [[other], [again, first], [fixed]]
    assert groups[1].members == [first, second, again]


def test_ties_go_to_the_lower_loss():
    worse, better = trained({}, {}), trained({}, {})
    better.metrics["val/loss"] = 0.05
    assert ranked([worse, better], "val/accuracy") == [better, worse]
