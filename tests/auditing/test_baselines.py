"""Baselines: what cheap features alone achieve, judged on images that they were not fitted on."""

import json

import numpy as np
import pytest

from fakereal.auditing.baselines import baselines
from fakereal.auditing.shortcuts import fit_each
from fakereal.evaluation.intervals import wilson
from fakereal.evaluation.ranking import auroc


def test_figures_are_those_of_the_regression_on_rows_it_has_not_seen():
    numbers = np.random.default_rng(0)
    labels = np.repeat([0, 1, 1], 200)
    features = {"mean_colour": numbers.normal(labels[:, None], 1, (600, 3)), "file": numbers.normal(size=(600, 2))}
    order = numbers.permutation(600)
    splits = {"train": order[:300], "val": order[300:450], "test": order[450:]}
    fitted = fit_each(features, labels, splits["train"])
    found = baselines(features, fitted, labels, splits)
    assert list(found) == ["majority", "mean_colour", "file"]
    for split in ("val", "test"):
        held_out = labels[splits[split]]
        score = fitted["mean_colour"](features["mean_colour"][splits[split]])
        right = int(((score >= 0) == held_out).sum())
        said = found["mean_colour"]
        assert said[f"{split}/accuracy"] == pytest.approx(right / 150)
        assert (said[f"{split}/accuracy_low"], said[f"{split}/accuracy_high"]) == wilson(right, 150)
        assert said[f"{split}/auroc"] == pytest.approx(auroc(held_out, score))
        assert said[f"{split}/auroc_low"] < said[f"{split}/auroc"] < said[f"{split}/auroc_high"]
        assert found["majority"][f"{split}/accuracy"] == pytest.approx(held_out.mean()), "FAKE is the commoner class"
        assert found["majority"][f"{split}/auroc"] == 0.5
    assert found["mean_colour"]["parameters"] == 4 and found["majority"]["parameters"] == 1


def test_test_is_looked_at_only_where_asked_and_then_counted(tree, audit, tmp_path):
    def dark(image, path, label):
        image.point(lambda level: level * (0.5 if label == "FAKE" else 1)).save(path.with_suffix(".png"))

    words = ("data=folder", f"data.root={tree(60, dark)}", "data.val_fraction=0.4")
    figures, _ = audit(*words)
    found = figures["baselines"]
    assert list(found) == ["majority", "mean_colour", "colour_statistics", "power_spectrum", "file"]
    assert found["mean_colour"]["val/accuracy"] > 0.9 and found["majority"]["val/accuracy"] == 0.5
    assert found["mean_colour"]["val/images"] == 48 and found["mean_colour"]["val/auroc"] == pytest.approx(
        figures["shortcuts"]["mean_colour"]["auroc"], abs=1e-3
    )
    assert not any(name.startswith("test/") for said in found.values() for name in said)
    ledger = tmp_path / "outputs" / "test_ledger.jsonl"
    assert not ledger.exists()
    assert "Baselines" in (tmp_path / "out" / "audit.md").read_text()
    figures, _ = audit(*words, "test=true")
    [look] = map(json.loads, ledger.read_text().splitlines())
    best = max(figures["baselines"].values(), key=lambda said: said["val/accuracy"])
    assert look["checkpoint_digest"] == "baselines" and look["test/accuracy"] == best["test/accuracy"]
    assert look["test/images"] == 120 and look["data_digest"] == figures["data"]["digest"]
    assert "| features | validation accuracy | validation AUROC | test accuracy | test AUROC |" in (
        (tmp_path / "out" / "audit.md").read_text().replace("  ", " ")
    )


def test_with_few_validation_images_test_is_looked_at_if_that_is_allowed(tree, audit, tmp_path):
    words, ledger = ("data=folder", f"data.root={tree(30)}"), tmp_path / "outputs" / "test_ledger.jsonl"
    figures, _ = audit(*words)
    assert figures["shortcuts_measured_on"] == "" and figures["shortcuts"] == figures["baselines"] == {}
    assert "test=true measures them on test" in (tmp_path / "out" / "audit.md").read_text() and not ledger.exists()
    figures, _ = audit(*words, "test=true")
    assert figures["shortcuts_measured_on"] == "test" and figures["baselines"] == {}
    [look] = map(json.loads, ledger.read_text().splitlines())
    assert look["checkpoint_digest"] == "baselines" and "test/accuracy" not in look
