"""Every figure that is printed or written has its interval, and lies in it."""

import csv
import json

import numpy as np
import pytest

from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.intervals import bootstrap

# Counts, settings and costs, which are no estimates.
EXACT = {"seen_in_training", "images", "threshold", "tn", "fp", "fn", "tp", "sizes"}


def without_interval(figures, prefix):
    defined = [name for name, value in figures.items() if value is not None]
    names = [name for name in defined if name.startswith(prefix) and not name.endswith(("_low", "_high"))]
    return [name for name in names if name.split("/")[-1] not in EXACT and f"{name}_high" not in figures]


def outside(figures):
    names = [name.removesuffix("_low") for name in figures if name.endswith("_low")]
    return [n for n in names if not figures[f"{n}_low"] - 1e-6 <= figures[n] <= figures[f"{n}_high"] + 1e-6]


def test_of_an_evaluation():
    generator = np.random.default_rng(0)
    labels = np.arange(400) % 2
    probabilities = np.clip(0.3 + 0.4 * labels + 0.25 * generator.standard_normal(400), 0.01, 0.99)
    figures = Evaluation(labels, probabilities.astype(np.float32), 0.5).flat("")
    assert not without_interval(figures, "") and not outside(figures)
    few = Evaluation(labels[:24], probabilities[:24].astype(np.float32), 0.5).flat("")
    assert not outside(few), "the calibration error too, which resampling makes larger"


def test_the_interval_of_a_biased_figure_holds_it():
    labels, ranks = np.arange(30) % 2, np.arange(30) // 2  # both classes have the same

    def figure(real, fake):
        return abs(float((real - fake) @ np.arange(15))) / 30

    plain, moved = (bootstrap(figure, labels, ranks, biased=biased)[1] for biased in (False, True))
    assert plain[0] == moved[0] == 0, "a figure of 0 is in its interval"
    assert moved[1] < plain[1]


def test_of_a_training_and_a_test(run, quick, tmp_path):
    trained = run("train", *quick)
    assert trained.code == 0, trained.text
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert not without_interval(metrics, "val/") and not outside(metrics)
    for name in ("val/accuracy", "val/calibrated/loss", "val/f1_fake"):
        form = "{:.2%}" if "accuracy" in name else "{:.4f}"
        low, high = (form.format(metrics[f"{name}_{end}"]) for end in ("low", "high"))
        assert f"({low} to {high})" in " ".join(trained.text.split())
    done = run("test", f"ckpt_path={tmp_path}/run/checkpoints/best.ckpt", "trainer.accelerator=cpu", "hydra.run.dir=t")
    assert done.code == 0, done.text
    figures = json.loads((tmp_path / "t" / "metrics.json").read_text())
    assert not outside(figures)
    # How many images lie far by each measure alone stands beside the share by any, which has the interval.
    assert set(without_interval(figures, "test/")) <= {"test/far/features", "test/far/pixels"}
    look = json.loads((tmp_path / "t" / "look.json").read_text())
    assert not without_interval(look, "test/")


def test_of_robustness(run, trained_run, tmp_path):
    best = trained_run() / "checkpoints" / "best.ckpt"
    words = ("corruptions=[jpeg]", "severities=[1]", "split=val", "trainer.accelerator=cpu", "hydra.run.dir=r")
    done = run("robustness", f"ckpt_path={best}", *words)
    assert done.code == 0, done.text
    with (tmp_path / "r" / "robustness.csv").open() as file:
        [*rows] = csv.DictReader(file)
    figures = {name: float(value) for name, value in rows[-1].items() if name not in ("corruption", "parameter")}
    # What the best threshold would reach is found on these images: no estimate of anything.
    exact = {
        "severity",
        "strength",
        "change",
        "images",
        "oracle_accuracy",
        "oracle_threshold",
        "lost_to_threshold",
        "lost_to_ranking",
    }
    assert set(without_interval(figures, "")) <= exact and not outside(figures)


@pytest.mark.parametrize("figure", ["auroc", "average_precision"])
def test_ranking_figures_are_those_of_torchmetrics(figure):
    import torch
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    generator = np.random.default_rng(2)
    labels = generator.integers(0, 2, 300)
    scores = (generator.random(300) * 20).round() / 20  # with ties
    value, (low, high) = getattr(Evaluation(labels, scores, 0.5), figure)()
    theirs = {"auroc": binary_auroc, "average_precision": binary_average_precision}[figure]
    assert value == pytest.approx(float(theirs(torch.from_numpy(scores), torch.from_numpy(labels))), abs=1e-6)
    assert low < value < high


def test_the_interval_of_a_biased_figure_is_moved_down_by_its_bias():
    labels, ranks = np.arange(400) % 2, np.arange(400) // 2

    def figure(real, fake):  # it is 1, and what resampling adds to it is noise
        return 1 + abs(float((real - fake) @ np.arange(200))) / 400

    plain, moved = (bootstrap(figure, labels, ranks, biased=biased)[1] for biased in (False, True))
    assert moved[0] < 1 < moved[1] < plain[1]
