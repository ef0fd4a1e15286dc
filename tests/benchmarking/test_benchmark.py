"""The benchmark: contenders that take turns, and what is written of them."""

import csv
import json
import tarfile
from types import SimpleNamespace

import pytest
import torch

from fakereal.benchmarking.bench import Bench, Row
from fakereal.benchmarking.figures.training import BETWEEN
from fakereal.benchmarking.table import cells, read, write
from fakereal.runtime.errors import UserError


def test_a_ratio_is_taken_round_by_round():
    row = Row.ratio("training", "cnn", "limit", "images/s", [10.0, 30.0, 8.0], [10.0, 20.0, 10.0], wanted=0.95)
    assert (row.value, row.low, row.high, row.repeats) == (1.0, 0.8, 1.5, 3)
    assert (row.ours, row.theirs, row.reached) == (10.0, 10.0, True)
    assert Row.alone("memory", "cnn", "GiB", [2.5], wanted=2, at_most=True).reached is False
    assert Row.alone("memory", "cnn", "GiB", [2.5]).reached is None


def test_what_is_written_can_be_read_again(tmp_path):
    rows = [
        Row.ratio("training", "cnn", "limit", "images/s", [1600.0], [1700.0], wanted=0.95),
        Row.alone("memory", "cnn", "GiB", [1.25], wanted=2, at_most=True),
    ]
    write(rows, {"cpu": "a fast one", "threads": 2}, tmp_path)
    assert read(tmp_path / "benchmark.json") == rows
    with (tmp_path / "benchmark.csv").open() as file:
        assert [(row["figure"], row["reached"]) for row in csv.DictReader(file)] == [
            ("training", "False"),
            ("memory", "True"),
        ]
    table = (tmp_path / "benchmark.md").read_text()
    assert "| cnn | limit | 0.941 | at least 0.95, missed | 1,600 images/s | 1,700 images/s |" in table
    assert "cpu a fast one, threads 2" in table and len({len(cells(row)) for row in rows}) == 1


def test_contenders_take_turns_over_the_same_images(tmp_path, image_tree):
    source = str(image_tree(tmp_path / "in", 20))
    bench = Bench(tmp_path, repeats=2, overrides=[])
    commands = {way: ["fakereal.benchmarking.loops.decode", source, way] for way in ("store", "pil")}
    with bench.contenders(commands, "decode") as racing:
        processes = [contender.process for contender in racing]
        rates = bench.race(racing)
    assert {name: len(values) for name, values in rates.items()} == {"store": 2, "pil": 2}
    assert all(rate > 0 for values in rates.values() for rate in values)
    assert all(process.poll() is not None for process in processes), "none outlives the block"


def test_each_round_is_begun_by_another(tmp_path):
    laps = []

    def contender(name):
        return SimpleNamespace(name=name, lap=lambda: laps.append(name) or 1.0)

    Bench(tmp_path, repeats=3, overrides=[]).race([contender(name) for name in "abc"])
    assert "".join(laps) == "abc" + "abc" + "bca" + "cab"


@pytest.mark.slow
def test_a_contender_that_fails_is_named_with_its_last_words(tmp_path):
    bench = Bench(tmp_path, repeats=1, overrides=[])
    commands = {"store": ["fakereal.benchmarking.loops.decode", str(tmp_path / "missing.tar"), "store"]}
    told = r"(?s)store ended.*missing\.tar does not exist"
    with bench.contenders(commands, "decode") as racing, pytest.raises(UserError, match=told):
        bench.race(racing)


@pytest.mark.slow
def test_training_is_compared_with_each_peer(run, tmp_path):
    words = ("figures=training", "networks=[lenet]", "epoch_images.lenet=256", "batch_size=64", "repeats=1")
    finished = run("benchmark", *words, "threads=1", "accelerator=cpu", "hydra.run.dir=out")
    assert finished.code == 0, finished.text
    content = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert content["machine"]["threads"] == 1 and content["machine"]["cpu"]
    rows = [Row(**row) for row in content["rows"]]
    subjects = ("lenet, no augmentation", "lenet, flip and crop")
    assert [row.subject for row in rows] == [subject for subject in subjects for _ in range(3)]
    for row in rows:
        assert row.value == pytest.approx(row.ours / row.theirs) and 0 < row.value < 100
    assert len({row.theirs for row in rows}) == 6 and len({row.ours for row in rows}) == 2


def test_bare_steps_between_those_of_a_training_leave_it_as_it_is(run, tmp_path, image_tree):
    tree = image_tree(tmp_path / "in", 80)
    words = ("model=lenet", "data=folder", f"data.root={tree}", "data.size=32", "data.batch_size=16", "threads=1")
    words += ("trainer.max_epochs=2", "trainer.accelerator=cpu", "seed=3", "model.drop_rate=0.5")
    for name, more in (("alone", ()), ("between", (BETWEEN, "+callbacks.between.to=rates.json"))):
        finished = run("train", *words, *more, f"hydra.run.dir={name}")
        assert finished.code == 0, finished.text
    alone, beside = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("alone", "between")
    )
    assert all(torch.equal(alone[key], beside[key]) for key in alone)
    rates = json.loads((tmp_path / "rates.json").read_text())
    assert {name: len(epochs) for name, epochs in rates.items()} == {"ours": 2, "bare": 2}
    assert all(rate > 0 for epochs in rates.values() for rate in epochs)


@pytest.mark.slow
def test_steps_are_compared_without_and_with_augmentation(run, tmp_path):
    words = ("figures=steps", "networks=[lenet]", "epoch_images.lenet=256", "batch_size=64", "repeats=2", "threads=1")
    finished = run("benchmark", *words, "accelerator=cpu", "hydra.run.dir=out")
    assert finished.code == 0, finished.text
    rows = read(tmp_path / "out" / "benchmark.json")
    assert [row.subject for row in rows] == ["lenet, no augmentation", "lenet, flip and crop"]
    assert all(row.repeats == 2 and 0 < row.low <= row.value <= row.high < 10 for row in rows)


def test_wrong_settings_are_told_at_once(run):
    words = ("figures=nothing", "repeats=0", "networks=[]", "epoch_images.cnn=4", "peers=[keras]")
    finished = run("benchmark", *words)
    assert finished.code == 1
    for key in ("`figures`", "`networks`", "`epoch_images`", "`repeats`", "`peers`"):
        assert f"{key} must be" in finished.text
    finished = run("benchmark", "figures=decode", "root=nowhere.tar", "repeats=1")
    assert finished.code == 1 and "nowhere.tar does not exist" in finished.text
    finished = run("benchmark", "networks=[lenet,nope]")
    assert finished.code == 1 and "there is no model named nope. Choose from: alexnet, cnn," in finished.text


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_other_figure_is_measured(run, tmp_path):
    finished = run(
        "benchmark", "figures=[start,first_epoch,memory,sweep,predict]", "repeats=1", "threads=1", "hydra.run.dir=out"
    )
    assert finished.code == 0, finished.text
    rows = read(tmp_path / "out" / "benchmark.json")
    assert [row.figure for row in rows] == [
        *["start"] * 4,
        "first epoch",
        "peak memory",
        "a sweep's job, beyond training",
        "a finished job, passed over",
        *["a sweep of one job, beyond training"] * 3,
        "predict",
    ]
    assert all(row.value > 0 for row in rows)


@pytest.mark.slow
def test_the_whole_path_starts_from_an_archive(run, tmp_path, image_tree):
    tree = image_tree(tmp_path / "cifake", 60)
    with tarfile.open(tmp_path / "cifake.tar", "w") as archive:
        archive.add(tree, "cifake")
    words = ("figures=whole_path", "root=cifake.tar", "repeats=1", "threads=1", "accelerator=cpu")
    finished = run("benchmark", *words, "hydra.run.dir=out")
    assert finished.code == 0, finished.text
    [row] = read(tmp_path / "out" / "benchmark.json")
    assert row.figure == "whole path" and row.value == pytest.approx(row.ours / row.theirs)
    assert "cifake.tar" in row.subject and row.at_most
