"""Baselines beside the runs: rows of an audit of the same images, never the winner."""

import csv
import json
import re
import sys
from importlib import import_module

import pytest
import yaml

from fakereal.runs.commands import audit_command
from fakereal.runs.folders import read_overrides

DATA = ("data=synthetic", "data.count=400", "data.size=32")


@pytest.fixture(scope="session")
def audited(tmp_path_factory):
    """An audit of the images of the session's runs, whose validation is larger than theirs."""
    folder = tmp_path_factory.mktemp("audited")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = (*DATA, "data.val_fraction=0.2", "threads=1", "hydra.run.dir=outputs/audit/0", "test=true")
        patch.setattr(sys, "argv", ["audit.py", *words])
        import_module("fakereal.audit").main()
    return folder / "outputs" / "audit"


def reported(run, tmp_path, *words):
    finished = run("report", "runs=outputs/sweep", *words, "resamples=100", "hydra.run.dir=report")
    assert finished.code == 0, finished.text
    with (tmp_path / "report" / "results.csv").open() as file:
        return finished.text, (tmp_path / "report" / "report.md").read_text(), list(csv.DictReader(file))


def test_they_stand_below_the_runs_and_never_win(run, outputs, audited, tmp_path):
    text, markdown, rows = reported(run, tmp_path, f"audits={audited}")
    said = json.loads((audited / "0" / "audit.json").read_text())["baselines"]
    assert set(said) == {"majority", "mean_colour", "colour_statistics", "power_spectrum"}
    for row, name in zip(rows[6:], sorted(said, key=lambda name: -said[name]["val/accuracy"]), strict=True):
        assert row["run"] == f"baseline {name}" and row["rank"] == ""
        for figure in ("val/accuracy", "val/auroc", "val/auroc_low", "test/accuracy", "test/auroc"):
            assert float(row[figure]) == said[name][figure]
    assert [row["rank"] for row in rows[:6]] == list("123456")
    table = markdown.split("## Runs")[1].split("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| baseline: ")]
    assert len(lines) == 4 and [
        f"{said['majority']['val/accuracy']:.2%}" in line for line in lines if "commoner" in line
    ] == [True]
    best = max(said.values(), key=lambda figures: figures["val/accuracy"])
    assert f"The best of them, {best['title']}, is right on {best['val/accuracy']:.2%} of 64 validation images" in table
    assert "The runs were validated on other images of the same data (32)" in table
    assert "baseline: " not in text, "in its table runs alone"


def test_the_command_of_an_audit_is_what_was_typed_of_the_data(tmp_path):
    (tmp_path / ".hydra").mkdir()
    words = ["model=lenet", "data.batch_size=16", "+data.new=1", "~data.augment.blur=0.1", "data.size=64"]
    (tmp_path / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(words))
    sources = [{"provider": "main", "path": "x"}, {"provider": "command-line", "path": "my conf"}]
    said = {"hydra": {"runtime": {"choices": {"data": "mine"}, "config_sources": sources}}}
    (tmp_path / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump(said))
    said = "python -m fakereal.audit '--config-dir=my conf' data=mine +data.new=1 '~data.augment.blur=0.1' data.size=64"
    assert audit_command(tmp_path) == said
    assert read_overrides(tmp_path) == {
        "model": "lenet", "data.batch_size": "16", "data.new": "1", "data.size": "64",
    }  # fmt: skip


def test_without_an_audit_of_these_images_the_command_is_told(run, outputs, audited, tmp_path):
    _, markdown, rows = reported(run, tmp_path)
    [command] = re.findall(r"python -m fakereal\.audit .*", markdown)
    assert command == "python -m fakereal.audit data=synthetic data.count=400" and len(rows) == 6
    other = json.loads((audited / "0" / "audit.json").read_text())
    other["data"] |= {"digest": "other", "files": "others"}
    (tmp_path / "outputs" / "audit" / "x").mkdir(parents=True)
    (tmp_path / "outputs" / "audit" / "x" / "audit.json").write_text(json.dumps(other))
    text, markdown, rows = reported(run, tmp_path, "audits=outputs/audit/x")
    assert command in markdown and len(rows) == 6 and "Left out" not in text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda said: said.pop("baselines"), "audit.json has no baselines"),
        (lambda said: said["baselines"]["majority"].pop("val/auroc"), "has no val/auroc"),
        (lambda said: said["baselines"].update(majority=3), "says nothing about the baseline majority"),
    ],
)
def test_an_audit_that_cannot_be_used_is_named(run, outputs, audited, tmp_path, change, reason):
    said = json.loads((audited / "0" / "audit.json").read_text())
    change(said)
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "audit.json").write_text(json.dumps(said))
    text, _, rows = reported(run, tmp_path, "audits=audit")
    assert re.search(f"Left out: audit: an audit: .*{reason}", text) and len(rows) == 6


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_a_winner_that_is_no_better_than_what_is_cheap_is_told_at_once(run, outputs, audited, tmp_path, accuracy):
    (tmp_path / "audit").mkdir()
    said = json.loads((audited / "0" / "audit.json").read_text())
    for figures in said["baselines"].values():
        figures["val/accuracy"] = accuracy
    (tmp_path / "audit" / "audit.json").write_text(json.dumps(said))
    text, markdown, _ = reported(run, tmp_path, "audits=audit")
    for told in (text, markdown.split("\n## ")[0]):
        assert ("is right on 100.00% of validation; this network is no better" in " ".join(told.split())) == bool(
            accuracy
        )
