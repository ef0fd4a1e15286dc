"""What varies, what groups, and what the curves are."""

from itertools import pairwise
from math import inf
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from fakereal.reporting.charts import Point, pareto_front, setting_chart
from fakereal.reporting.curves import mean_curve, read_curves
from fakereal.reporting.figures import Figure, Published, over_seeds
from fakereal.reporting.runs import Run, flat
from fakereal.reporting.settings import by_settings, label, ranked, varied_keys

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


@pytest.mark.parametrize(
    ("accuracy", "verdict"),
    [(0.89, "below our interval"), (0.9, "in our interval"), (0.915, "in our interval"), (0.96, "above our interval")],
)
def test_where_a_published_figure_lies(accuracy, verdict):
    assert Published(accuracy, "val", "", Figure(0.92, 0.9, 0.94), "").verdict == verdict
    assert Published(accuracy, "test", "", None, "").verdict == "we have not tested"


def test_over_seeds_is_of_two_or_more():
    assert over_seeds([0.9]) is None
    assert over_seeds([0.9, 0.9])[:3] == (2, 0.9, 0.0)


def test_an_interval_over_seeds_ends_where_the_figure_does():
    assert over_seeds([0.7, 0.8])[3:] == (pytest.approx(0.1147, abs=1e-4), 1.0)
    assert over_seeds([0.7, 0.8], inf)[4] == pytest.approx(1.3853, abs=1e-4)  # a loss
    assert over_seeds([0.1, 0.3], inf).low == 0.0


@pytest.mark.parametrize("values", [(2.6e-4, 4.9e-4, 4.89e-4, 1e-3, 8.3e-3), (1e-5, 1e-4, 1e-3), (16, 32, 33), (1, 2)])
def test_labels_of_a_setting_do_not_cover_each_other(values):
    figure = setting_chart([Point(value, (0.8, 0.7, 0.9), "") for value in values], "lr")
    FigureCanvasAgg(figure).draw()
    axis = figure.axes[0].xaxis
    low, high = sorted(figure.axes[0].get_xlim())
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    boxes = sorted(
        (label.get_window_extent().x0, label.get_window_extent().x1)
        for tick in ticks
        if (label := tick.label1).get_text() and label.get_visible() and low <= tick.get_loc() <= high
    )
    assert len(boxes) >= 2 and all(left[1] < right[0] for left, right in pairwise(boxes)), boxes


HEADER = "epoch,step,train/loss,train/accuracy,val/loss,val/accuracy\n"


def test_a_resumed_run_has_one_curve_and_the_later_version_wins(tmp_path):
    for version, lines in (
        (0, "0,9,0.9,0.5,,\n0,9,,,0.8,0.6\n1,19,0.7,0.6,,\n1,19,,,0.75,0.65\n2,2"),
        (2, "1,19,0.6,0.65,,\n1,19,,,0.7,0.7\n2,29,0.5,nan,,\n2,29,,,0.6,0.8\n"),
        (10, "3,39,0.1,0.9,,\n2,29,,,0.55,cut"),
    ):
        (tmp_path / "csv" / f"version_{version}").mkdir(parents=True)
        (tmp_path / "csv" / f"version_{version}" / "metrics.csv").write_text(HEADER + lines)
    curves = read_curves(tmp_path)
    assert curves["train/loss"] == {1: 0.9, 2: 0.6, 3: 0.5, 4: 0.1}
    assert curves["val/loss"] == {1: 0.8, 2: 0.7, 3: 0.55}
    assert curves["val/accuracy"] == {1: 0.6, 2: 0.7, 3: 0.8}, "a figure cut short leaves the older one"
    assert curves["train/accuracy"] == {1: 0.5, 2: 0.65, 4: 0.9}
    assert read_curves(tmp_path / "elsewhere") == {}


def test_a_mean_curve_is_of_the_epochs_that_all_have():
    assert mean_curve([{1: 1.0, 2: 2.0, 3: 9.0}, {1: 3.0, 2: 4.0}, {}]) == {1: 2.0, 2: 3.0}


def test_the_pareto_front_holds_what_nothing_beats():
    seconds, accuracy = [10, 20, 20, 30, 40, 5], [0.8, 0.9, 0.85, 0.9, 0.95, 0.8]
    assert pareto_front(seconds, accuracy) == [5, 1, 4]
