"""Accuracy by group in the report: how far detectors trained on one generator carry to others."""

import csv
import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.groups import by_group, macro_means
from fakereal.presentation.rows import write_rows
from fakereal.reporting.groups import Row, _matrix, _over_seeds, read_groups
from fakereal.runs import tested as looks

TINY = ("model=lenet", "data=folder", "data.size=32", "data.batch_size=16", "trainer.max_epochs=2", "threads=1")


@pytest.fixture
def tree(image_tree, tmp_path):
    """Images of two generators, 40 each, in train and val folders, and as many real ones of each."""
    for number, generator in enumerate(("gan", "sd")):
        image_tree(tmp_path / "set" / generator, 20, splits=("train", "val"), offset=number)
    return tmp_path / "set"


def section(markdown: str) -> list[list[str]]:
    """The cells of the table of the section, with its header."""
    lines = markdown.split("## Balanced accuracy by group")[1].split("\n## ")[0].splitlines()
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
    assert "1 other runs were trained on other data" in finished.text
    assert "not been tested on its own test split, but on other images" in finished.text
    header, *rows = section((tmp_path / "report" / "report.md").read_text())
    assert header[0] == "test" and {*header[1:3]} == {"gan", "sd"} and header[3:] == ["mean"]
    assert [row[0] for row in rows] == [f"#1 root={tree / 'sd'}", f"root={tree / 'gan'}"], "the newest reported"
    for row, generator in zip(rows, ("sd", "gan"), strict=True):
        with (tmp_path / "outputs" / "test" / generator / "groups.csv").open() as file:
            expected = {line["group"]: float(line["balanced_accuracy"]) for line in csv.DictReader(file)}
        assert row[1:3] == [f"{expected[name]:.2%}" for name in header[1:3]]
        assert row[3] == f"{np.mean([*expected.values()]):.2%}"
    assert (tmp_path / "report" / "figures" / "groups_0.png").exists()
    assert "groups_0" in (tmp_path / "report" / "report.html").read_text()


def test_runs_of_one_data_set_stand_in_order_and_other_tables_are_passed_over(run, tree, tmp_path):
    trained = run("train", "--multirun", *TINY, f"data.root={tree}", "seed=0,1", "hydra.sweep.dir=outputs/sweep")
    assert trained.code == 0, trained.text
    tests = tmp_path / "outputs" / "test"
    for job in range(2):
        words = (f"ckpt_path=outputs/sweep/{job}/checkpoints/best.ckpt", f"hydra.run.dir={tests / str(job)}")
        assert run("test", *words, "threads=1").code == 0
    assert run("report", "runs=outputs", "resamples=100", "hydra.run.dir=report").code == 0
    header, *rows, over = section((tmp_path / "report" / "report.md").read_text())
    assert [row[0].split()[0] for row in rows] == ["#1", "#2"] and len({row[0] for row in rows}) == 2
    assert "mean ± standard deviation of 2" in over[0]
    for column in range(1, len(header)):
        values = [float(row[column].rstrip("%")) for row in rows]
        said, deviation = (float(part.strip(" %")) for part in over[column].split("±"))
        assert (said, deviation) == pytest.approx((np.mean(values), np.std(values, ddof=1)), abs=0.02)
    (tests / "1" / "groups.csv").write_text("group,class,images,accuracy\ngan,REAL,4,0.5\n")
    finished = run("report", "runs=outputs", "resamples=100", "hydra.run.dir=report")
    assert finished.code == 0, finished.text
    _, *rows = section((tmp_path / "report" / "report.md").read_text())
    assert len(rows) == 1 and rows[0][0].startswith("#") and rows[0][0].endswith("seed=0")
    (tests / "0" / "groups.csv").write_bytes(b"\x00\xff")
    finished = run("report", "runs=outputs", "resamples=100", "hydra.run.dir=report")
    assert finished.code == 0 and "Balanced accuracy by group" not in (tmp_path / "report" / "report.md").read_text()


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


def rows_of(groups: str, folder: Path) -> list[dict]:
    """Of "aR aF bF": groups.csv of 10 images of each group and class, by a detector that is often right."""
    names, labels = zip(*((word[0], float(word[1] == "F")) for word in groups.split() for _ in range(10)), strict=True)
    labels = np.array(labels, dtype=np.float32)
    probabilities = np.random.default_rng(1).random(len(labels)).astype(np.float32) * 0.5 + labels * 0.3
    rows = by_group(Evaluation(labels, probabilities, 0.4), names)
    write_rows(folder / "groups.csv", rows)
    return rows


def look(folder: Path) -> looks.Tested:
    return looks.Tested(folder, {}, {})


def test_the_mean_is_the_tests_own_and_real_images_for_all_stand_alone(tmp_path):
    rows = rows_of("rR aF bF", tmp_path)
    balanced, alone = read_groups(look(tmp_path))
    assert {*balanced} == {"a", "b"} and {*alone} == {"r"}
    assert np.mean([*balanced.values()]) == pytest.approx(macro_means(rows)["balanced_accuracy"])
    _, chart, table = _matrix([Row(None, "", "#1", balanced, alone, 0)], "data", "groups_0")
    assert [*table.header][1:] == [*sorted(balanced, key=balanced.get), "mean", "r alone"]
    mean = macro_means(rows)["balanced_accuracy"]
    assert table.rows[0][3] == f"{mean:.2%}" and table.rows[0][4] == f"{alone['r']:.2%}"
    [axes] = chart.figure.axes
    assert [text.get_text() for text in axes.texts][2:] == [f"{100 * mean:.1f}", f"{100 * alone['r']:.1f}"]
    norm = axes.images[0].norm
    assert (norm.vmin, norm.vmax) == (0.5, 1)
    assert axes.images[0].get_array()[0].tolist() == pytest.approx([*sorted(balanced.values()), mean, alone["r"]])


def test_the_same_seed_again_is_no_independent_draw():
    def row(seed, time):
        return Row(SimpleNamespace(config={"seed": seed}, time=time), "lr=1", "", {}, {}, 0)

    rows = [row(0, "2026-01-02"), row(1, "2026-01-01"), row(0, "2026-01-01"), Row(None, "", "E1", {}, {}, 0)]
    values = [[0.9, 0.8], [0.7, 0.6], [0.1, 0.1], [0.3, 0.3]]
    [cells] = _over_seeds(rows, values)
    assert cells == ["lr=1: mean ± standard deviation of 2", "80.00% ± 14.14%", "70.00% ± 14.14%", ""]
    assert not _over_seeds([rows[0], rows[2]], values[:2])


def test_a_table_that_was_cut_short_or_altered_is_passed_over(tmp_path):
    rows_of("aR aF bR bF cF", tmp_path)
    path = tmp_path / "groups.csv"
    whole = path.read_text()
    complete = read_groups(look(tmp_path))
    lines = {"".join(whole.splitlines(keepends=True)[:count]) for count in range(5)}
    for end in range(len(whole)):
        path.write_text(whole[:end])
        balanced, alone = read_groups(look(tmp_path))
        for held, known in zip((balanced, alone), complete, strict=True):
            assert all(math.isclose(held[name], known[name], abs_tol=0.5) for name in held)
        if whole[:end] not in lines and not whole[:end].endswith("\r"):
            assert len(balanced) + len(alone) in (0, whole[:end].count("\n"))
    for said in ("nan", "1.5", "-1", "inf", "many"):
        path.write_text(whole.replace(whole.splitlines()[1].split(",")[3], said))
        balanced, alone = read_groups(look(tmp_path))
        assert all(0 <= value <= 1 for value in (*balanced.values(), *alone.values()))
