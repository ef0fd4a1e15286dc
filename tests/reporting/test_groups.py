"""Accuracy by group in the report: how far detectors trained on one generator carry to others."""

import csv
import json
import shutil

import numpy as np
import pytest

TINY = ("model=lenet", "data=folder", "data.size=32", "data.batch_size=16", "trainer.max_epochs=2", "threads=1")


@pytest.fixture
def tree(image_tree, tmp_path):
    """Images of two generators, 40 each, in train and val folders, and as many real ones of each."""
    for number, generator in enumerate(("gan", "sd")):
        image_tree(tmp_path / "set" / generator, 20, splits=("train", "val"), offset=number)
    return tmp_path / "set"


def section(markdown: str) -> list[list[str]]:
    """The cells of the table of the section, with its header."""
    lines = markdown.split("## Accuracy by group")[1].split("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    return [rows[0], *rows[2:]]


def test_detectors_trained_on_different_generators_are_tested_on_both(run, tree, tmp_path):
    split = "data.splits={val: test}"
    for generator in ("gan", "sd"):
        trained = run("train", *TINY, split, f"data.root={tree / generator}", f"hydra.run.dir=outputs/{generator}")
        assert trained.code == 0, trained.text
        words = (f"ckpt_path=outputs/{generator}/checkpoints/best.ckpt", "data=folder", f"data.root={tree}", split)
        tested = run("test", *words, f"hydra.run.dir=outputs/test/{generator}", "threads=1")
        assert tested.code == 0 and "trained on" not in tested.text, tested.text
    finished = run("report", "runs=outputs", "resamples=100", "hydra.run.dir=report")
    assert finished.code == 0, finished.text
    assert "belongs to no run" not in finished.text, "the test of the run that is left out is shown"
    header, *rows = section((tmp_path / "report" / "report.md").read_text())
    assert header[0] == "test" and {*header[1:3]} == {"gan", "sd"} and header[3:] == ["mean"]
    assert [row[0] for row in rows] == [f"#1 data.root={tree / 'sd'}", f"data.root={tree / 'gan'}"], (
        "the newest reported"
    )
    for row, generator in zip(rows, ("sd", "gan"), strict=True):
        with (tmp_path / "outputs" / "test" / generator / "groups.csv").open() as file:
            expected = {line["group"]: float(line["balanced_accuracy"]) for line in csv.DictReader(file)}
        assert row[1:3] == [f"{expected[name]:.2%}" for name in header[1:3]]
        assert row[3] == f"{np.mean([*expected.values()]):.2%}"
    assert (tmp_path / "report" / "figures" / "groups_0.png").exists()
    assert "groups_0" in (tmp_path / "report" / "report.html").read_text()


def test_runs_of_one_data_set_stand_in_order_and_other_tables_are_passed_over(run, tree, tmp_path):
    trained = run("train", "--multirun", *TINY, f"data.root={tree}", "seed=0,1,2", "hydra.sweep.dir=outputs/sweep")
    assert trained.code == 0, trained.text
    tests = tmp_path / "outputs" / "test"
    for job in range(3):
        words = (f"ckpt_path=outputs/sweep/{job}/checkpoints/best.ckpt", f"hydra.run.dir={tests / str(job)}")
        assert run("test", *words, "threads=1").code == 0
    (tests / "1" / "groups.csv").write_text("group,class,images,accuracy\ngan,REAL,4,0.5\n")
    (tests / "2" / "groups.csv").write_bytes(b"\x00\xff")
    finished = run("report", "runs=outputs", "resamples=100", "hydra.run.dir=report")
    assert finished.code == 0, finished.text
    _, *rows = section((tmp_path / "report" / "report.md").read_text())
    assert len(rows) == 1 and rows[0][0].startswith("#") and rows[0][0].endswith("seed=0")
    shutil.rmtree(tests / "0")
    finished = run("report", "runs=outputs", "resamples=100", "hydra.run.dir=report")
    assert finished.code == 0 and "Accuracy by group" not in (tmp_path / "report" / "report.md").read_text()


def test_images_that_were_trained_on_are_told(run, tree, tmp_path):
    assert run("train", *TINY, f"data.root={tree / 'sd'}", "hydra.run.dir=outputs/sd").code == 0
    words = ("ckpt_path=outputs/sd/checkpoints/best.ckpt", "data=folder", f"data.root={tree}", "data.test_fraction=1")
    tested = run("test", *words, "hydra.run.dir=outputs/test/all", "threads=1")
    assert tested.code == 0 and "trained on" in tested.text, tested.text
    metrics = json.loads((tmp_path / "outputs" / "test" / "all" / "metrics.json").read_text())
    with (tmp_path / "outputs" / "test" / "all" / "groups.csv").open() as file:
        seen = {row["group"]: int(row["seen_in_training"]) for row in csv.DictReader(file)}
    assert seen["gan"] == 0 and seen["sd"] == metrics["test/seen_in_training"] > 0
    assert run("report", "runs=outputs", "resamples=100", "hydra.run.dir=report").code == 0
    header, row = section((tmp_path / "report" / "report.md").read_text())
    assert header[-1] == "images trained on" and row[-1] == str(seen["sd"])
