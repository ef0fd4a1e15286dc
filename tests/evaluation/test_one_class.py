"""Tests on images of one class: the figures that need two are not defined, the others are given."""

import csv
import json
import math
import shutil

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.intervals import wilson

UNDEFINED = ("auroc", "average_precision", "fpr_at_95_tpr", "precision_fake", "precision_real", "f1_fake", "f1_real",
             "precision_fake_at_0.1", "precision_fake_at_0.01")  # fmt: skip


@pytest.mark.parametrize("label", [0, 1])
def test_what_one_class_tells(label):
    p = np.array([0.1, 0.6, 0.9, 0.8], dtype=np.float32)
    flat = Evaluation(np.full(4, label, np.float32), p, 0.5).flat("test/")
    present, absent = ("fake", "real") if label else ("real", "fake")
    share = 0.75 if label else 0.25
    assert flat["test/accuracy"] == flat[f"test/recall_{present}"] == share
    assert (flat["test/accuracy_low"], flat["test/accuracy_high"]) == wilson(round(4 * share), 4)
    assert flat["test/brier"] == pytest.approx(np.mean((p - label) ** 2))
    assert flat["test/loss"] == pytest.approx(-np.log(p if label else 1 - p).mean(), rel=1e-5)
    for name in (*UNDEFINED, f"recall_{absent}"):
        assert flat[f"test/{name}"] is None and not {f"test/{name}_low", f"test/{name}_high"} & set(flat)
    assert all(value is None or math.isfinite(value) for value in flat.values())


def test_every_output_of_a_test_and_its_report(run, trained_run, image_tree, tmp_path):
    best, other = trained_run() / "checkpoints" / "best.ckpt", tmp_path / "other.ckpt"
    altered = torch.load(best, weights_only=True)
    altered["fakereal"]["threshold"] = 0.3
    torch.save(altered, other)
    for number, generator in enumerate(("sd", "gan")):
        image_tree(tmp_path / "made", 8, splits=(), offset=number)
        shutil.move(tmp_path / "made" / "FAKE", tmp_path / "tree" / "fake" / generator)
        shutil.rmtree(tmp_path / "made")
    words = ("data=folder", f"data.root={tmp_path / 'tree'}", "data.test_fraction=1")
    alone = run("test", f"ckpt_path={best}", *words, "hydra.run.dir=outputs/test/alone")
    assert alone.code == 0, alone.text
    assert alone.text.count("not defined: one class only") == 5 and "Traceback" not in alone.text
    metrics = json.loads((tmp_path / "outputs/test/alone/metrics.json").read_text())
    assert metrics["test/images"] == metrics["test/tp"] + metrics["test/fn"] == 16
    assert all(metrics[f"test/{name}"] is None for name in UNDEFINED)
    with (tmp_path / "outputs/test/alone/groups.csv").open() as file:
        assert [(row["group"], row["fake"]) for row in csv.DictReader(file)] == [("gan", "8"), ("sd", "8")]
    written = {path.stem for path in (tmp_path / "outputs/test/alone").glob("*.png")}
    assert {"confusion_matrix", "reliability"} <= written and not {"roc", "precision_recall"} & written
    scalars = EventAccumulator(str(tmp_path / "outputs/test/alone")).Reload().Tags()["scalars"]
    assert "test/accuracy" in scalars and "test/auroc" not in scalars

    joint = run("test", f"ckpt_path=[{best},{other}]", *words, "hydra.run.dir=outputs/test/joint")
    assert joint.code == 0 and "Members" in joint.text, joint.text
    report = run("report", "runs=run", "hydra.run.dir=reported")
    assert report.code == 0, report.text
    page = (tmp_path / "reported" / "report.md").read_text()
    assert page.count("not defined: one class only") == 2, "the test and the ensemble on other images"


def test_a_test_split_of_one_class_in_the_report(run, quick, image_tree, tmp_path):
    tree = image_tree(tmp_path / "tree", 40)
    shutil.rmtree(tree / "test" / "REAL")
    words = ("data=folder", f"data.root={tree}", "data.size=32", "data.batch_size=8", "logger=csv")
    tiny = [word for word in quick if not word.startswith("data")]
    trained = run("train", *tiny, *words)
    assert trained.code == 0, trained.text
    best = f"ckpt_path={tmp_path / 'run' / 'checkpoints' / 'best.ckpt'}"
    assert run("test", best, "hydra.run.dir=outputs/test/0").code == 0
    report = run("report", "runs=run", "hydra.run.dir=reported")
    assert report.code == 0 and "AUROC not defined: one class only" in report.text, report.text
    assert "| 1 |" in (tmp_path / "reported" / "report.md").read_text().split("## Looks")[1]


def test_a_training_needs_both(run, quick, image_tree, tmp_path):
    tree = image_tree(tmp_path / "tree", 8, splits=())
    shutil.rmtree(tree / "REAL")
    tiny = [word for word in quick if not word.startswith("data")]
    finished = run("train", *tiny, "data=folder", f"data.root={tree}", "data.size=32")
    assert finished.code == 1 and "all images are FAKE; two classes are needed" in finished.text
