"""Operating points: thresholds that keep a limit of false alarms on validation, and what they come to elsewhere."""

import csv
import shutil

import numpy as np
import pytest
import torch

from fakereal.evaluation.intervals import wilson
from fakereal.evaluation.operating import measured_at, operating_points
from fakereal.models.checkpoint import load_classifier


def drawn(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = (np.arange(count) % 2).astype(np.float32)
    return labels, 1 / (1 + np.exp(-generator.normal(2 * labels - 1, 1)))


def test_each_limit_is_kept_by_the_lowest_threshold_that_keeps_it():
    labels, p = drawn(20_000)
    points = operating_points(labels, p)
    assert [point["max_fpr"] for point in points] == [0.1, 0.05, 0.01, 0.001]
    real = np.sort(p[labels == 0])
    for point in points:
        alarms = int((real >= point["threshold"]).sum())
        assert alarms == round(point["max_fpr"] * 10_000), "one more would be too many"
        assert (point["fpr"], point["fpr_low"], point["fpr_high"]) == (alarms / 10_000, *wilson(alarms, 10_000))
        assert point["recall_fake"] == np.mean(p[labels == 1] >= point["threshold"])


@pytest.mark.parametrize(("real", "limits"), [(49, []), (50, [0.1]), (100, [0.1, 0.05]), (4_999, [0.1, 0.05, 0.01])])
def test_limits_that_allow_hardly_an_image_have_no_threshold(real, limits):
    labels, p = drawn(2 * real)
    assert [point["max_fpr"] for point in operating_points(labels, p)] == limits


def test_there_are_none_without_both_classes_or_numbers_or_where_none_keeps_the_limit():
    labels, p = drawn(2_000)
    assert operating_points(np.zeros(2_000), p) == operating_points(np.ones(2_000), p) == []
    assert operating_points(labels, np.where(np.arange(2_000) == 5, np.nan, p)) == []
    certain = np.where((labels == 0) & (np.arange(2_000) % 20 < 2), 1.0, p)  # a tenth of REAL
    assert [point["max_fpr"] for point in operating_points(labels, certain)] == [0.1]


def test_probabilities_near_one_have_thresholds_that_can_be_given():
    labels, p = drawn(20_000)
    near = 1 / (1 + np.exp(-(np.log(p / (1 - p)) * 2 + 10)))
    for point in operating_points(labels, near):
        given = float(f"{point['threshold']:.9g}")
        assert given < 1
        [again] = measured_at([(point["max_fpr"], given)], labels, near.astype(np.float32))
        assert again["fpr"] == point["fpr"] and again["recall_fake"] == point["recall_fake"]


@pytest.mark.filterwarnings("ignore:No positive samples")
def test_a_checkpoint_of_a_validation_without_fakes_can_be_loaded(run, image_tree, tmp_path):
    tree = image_tree(tmp_path / "tree", 60, splits=("train", "val"))
    for number, path in enumerate(sorted((tree / "val" / "FAKE").iterdir())):
        if number:
            path.unlink()
    words = ("data=folder", f"data.root={tree}", "data.size=32", "data.batch_size=50", "model=lenet", "threads=1")
    short = ("trainer.limit_val_batches=1", "trainer.max_epochs=1", "data.test_fraction=0", "hydra.run.dir=run")
    trained = run("train", *words, *short)
    assert trained.code == 0, trained.text
    assert load_classifier(tmp_path / "run" / "checkpoints" / "best.ckpt").operating_points == []


def test_of_one_class_the_other_share_is_not_defined():
    [row] = measured_at([(0.1, 0.5)], np.ones(4), np.array([0.1, 0.5, 0.6, 0.9]))
    assert row["fpr"] is row["fpr_low"] is None and row["recall_fake"] == 0.75


def test_a_test_uses_the_thresholds_of_validation_and_a_card_names_them(run, trained_run, tmp_path):
    best = trained_run("data.count=2000") / "checkpoints" / "best.ckpt"
    chosen = load_classifier(best).operating_points
    with (tmp_path / "run" / "operating_points.csv").open() as file:
        kept = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert chosen == kept and [point["max_fpr"] for point in chosen] == [0.1]
    tested = run("test", f"ckpt_path={best}", "hydra.run.dir=tested")
    assert tested.code == 0 and "chosen on validation" in tested.text, tested.text
    with (tmp_path / "tested" / "predictions.csv").open() as file:
        rows = [(row["label"], float(row["prob_fake"])) for row in csv.DictReader(file)]
    with (tmp_path / "tested" / "operating_points.csv").open() as file:
        [measured] = csv.DictReader(file)
    threshold = float(measured["threshold"])
    assert threshold == chosen[0]["threshold"]
    for name, cls in (("fpr", "REAL"), ("recall_fake", "FAKE")):
        assert float(measured[name]) == np.mean([p >= threshold for label, p in rows if label == cls])

    exported = run("export", f"ckpt_path={best}", "format=safetensors", "hydra.run.dir=exported")
    assert exported.code == 0, exported.text
    assert f"| 10.0% | {threshold:.9g} |" in (tmp_path / "exported" / "model_card.md").read_text()
    assert load_classifier(tmp_path / "exported" / "model.safetensors").operating_points == chosen
    other = shutil.copy(best, tmp_path / "other.ckpt")
    content = torch.load(other, weights_only=True)
    content["fakereal"]["threshold"] = 0.3
    torch.save(content, other)
    joint = run("test", f"ckpt_path=[{best},{other}]", "hydra.run.dir=tested")
    assert joint.code == 0 and not (tmp_path / "tested" / "operating_points.csv").exists()
    content["fakereal"]["operating_points"] = [{"threshold": float("nan")}]
    torch.save(content, other)
    altered = run("test", f"ckpt_path={other}")
    assert altered.code == 1 and "was altered: its fakereal.operating_points" in altered.text
