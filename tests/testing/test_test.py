"""The test command, on checkpoints of tiny networks."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fakereal.evaluation.evaluation import Evaluation
from fakereal.presentation.plots import groups_figure


@pytest.fixture
def checkpoint(trained_run):
    return trained_run("data.count=400") / "checkpoints" / "best.ckpt"


def test_a_checkpoint_alone_is_enough(run, checkpoint, tmp_path):
    finished = run("test", f"ckpt_path={checkpoint}", "hydra.run.dir=tested")
    assert finished.code == 0, finished.text
    metrics = json.loads((tmp_path / "tested" / "metrics.json").read_text())
    with (tmp_path / "tested" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "prob_fake", "prediction"] and len(rows) == 80
    right = sum(row["label"] == row["prediction"] for row in rows)
    assert metrics["test/accuracy"] == right / 80
    assert metrics["test/accuracy_low"] < metrics["test/accuracy"] < metrics["test/accuracy_high"]
    assert all((float(row["prob_fake"]) >= 0.5) == (row["prediction"] == "FAKE") for row in rows)
    assert metrics["test/tp"] + metrics["test/fn"] == sum(row["label"] == "FAKE" for row in rows) == 40
    for text in ("accuracy", "AUROC", "REAL", "support", "Look 1 at this test split"):
        assert text in finished.text
    for name in ("confusion_matrix", "roc", "precision_recall"):
        assert Image.open(tmp_path / "tested" / f"{name}.png").size[0] > 300
    tags = EventAccumulator(str(tmp_path / "tested"), size_guidance={"tensors": 0}).Reload().Tags()
    assert "test/accuracy" in tags["scalars"] and {"test/roc", "test/confusion_matrix"} <= {*tags["images"]}


def test_a_copied_checkpoint_gives_the_same_figures_and_looks_are_counted(run, checkpoint, tmp_path):
    elsewhere = tmp_path / "else where (1)" / "epoch=1.ckpt"
    elsewhere.parent.mkdir()
    shutil.copy(checkpoint, elsewhere)
    shutil.rmtree(tmp_path / "run")
    figures = []
    for number in (1, 2):
        finished = run("test", f"ckpt_path={elsewhere}", f"hydra.run.dir=t{number}", "data.batch_size=7")
        assert finished.code == 0, finished.text
        assert f"Look {number} at this test split" in finished.text
        figures.append(json.loads((tmp_path / f"t{number}" / "metrics.json").read_text()))
    assert figures[0] | {"look": 0} == figures[1] | {"look": 0}
    ledger = [json.loads(line) for line in (tmp_path / "outputs" / "test_ledger.jsonl").read_text().splitlines()]
    assert len(ledger) == 2 and ledger[0]["checkpoint_digest"] == figures[0]["checkpoint_digest"]
    assert json.loads((tmp_path / "t2" / "look.json").read_text())["look"] == 2


def test_only_what_the_user_gives_is_changed(run, checkpoint, tmp_path):
    finished = run("test", f"ckpt_path={checkpoint}", "data.count=300", "hydra.run.dir=tested", "ledger=l/l.jsonl")
    assert finished.code == 0, finished.text
    assert json.loads((tmp_path / "tested" / "metrics.json").read_text())["test/images"] == 60
    assert (tmp_path / "l" / "l.jsonl").exists()
    wrong = run("test", f"ckpt_path={checkpoint}", "data.root=somewhere")
    assert wrong.code == 1 and "data.root=somewhere: Synthetic has no such key" in wrong.text


def test_other_peoples_images_are_made_small_as_the_training_images_were(run, checkpoint, tmp_path):
    generator = np.random.default_rng(0)
    for cls in ("nature", "ai"):
        (tmp_path / "tree" / cls).mkdir(parents=True)
        for number in range(6):
            pixels = generator.integers(0, 256, (50 + number, 70, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "tree" / cls / f"{number}.png")
    words = ("data=folder", f"data.root={tmp_path / 'tree'}", "data.test_fraction=1", "hydra.run.dir=tested")
    finished = run("test", f"ckpt_path={checkpoint}", *words)
    assert finished.code == 0, finished.text
    assert json.loads((tmp_path / "tested" / "metrics.json").read_text())["test/images"] == 12
    [store] = (tmp_path / "tested").parent.glob("tested/provenance.json")
    assert json.loads(store.read_text())["data"]["splits"]["test"] == {"REAL": 6, "FAKE": 6}


def test_on_the_images_of_training_the_split_is_that_of_training_unless_another_is_asked_for(run, quick, tmp_path):
    assert run("train", *quick, "data.split_seed=3").code == 0
    words = (f"ckpt_path={tmp_path / 'run' / 'checkpoints' / 'best.ckpt'}", "trainer.accelerator=cpu")
    chosen = ("data=synthetic", "data.count=200")
    tested = {}
    for name, more in {"own": (), "chosen": chosen, "other": (*chosen, "data.split_seed=0")}.items():
        finished = run("test", *words, *more, f"hydra.run.dir=outputs/test/{name}")
        assert finished.code == 0, finished.text
        folder = tmp_path / "outputs" / "test" / name
        with (folder / "predictions.csv").open(newline="") as file:
            paths = [row["path"] for row in csv.DictReader(file)]
        tested[name] = finished.text, json.loads((folder / "metrics.json").read_text()), paths
    assert tested["own"][2] == tested["chosen"][2] != tested["other"][2]
    for name in ("own", "chosen"):
        assert tested[name][1]["test/seen_in_training"] == 0 and "were trained or" not in tested[name][0]
    text, metrics, paths = tested["other"]
    seen = len(set(paths) - set(tested["own"][2]))
    assert metrics["test/seen_in_training"] == seen > 20 and len(paths) == 40
    assert f"{seen} of the 40 test images were trained or validated on" in text
    assert metrics["test/without_leaked/images"] == 40 - seen

    reported = run("report", "runs=run", "hydra.run.dir=report")
    assert reported.code == 0, reported.text
    page = (tmp_path / "report" / "report.md").read_text()
    assert f"another split of the same images, {seen} of them trained or validated on" in page
    assert run("export", words[0], "format=safetensors", "hydra.run.dir=export").code == 0
    card = (tmp_path / "export" / "model_card.md").read_text()
    assert f"On 40 test images of another split of the training data: {seen} of them were trained" in card
    assert "On 40 test images of the training data's own test split" in card


def test_of_an_ensemble_the_split_is_that_of_whichever_was_trained_on_the_images(run, quick, tmp_path):
    for name, more in {"there": ("data.split_seed=5",), "elsewhere": ("data.content_seed=1",)}.items():
        assert run("train", *quick, *more, f"hydra.run.dir={name}").code == 0
    there, elsewhere = (tmp_path / name / "checkpoints" / "best.ckpt" for name in ("there", "elsewhere"))
    for number, members in enumerate(([there, elsewhere], [elsewhere, there])):
        words = (f"ckpt_path=[{','.join(map(str, members))}]", "data=synthetic", "data.count=200", "data.size=64")
        done = run("test", *words, "trainer.accelerator=cpu", f"hydra.run.dir=t{number}")
        assert done.code == 0 and "were trained or validated on" not in done.text, done.text
        assert "data.size=64 is not used: the network was trained with 32" in done.text
        assert json.loads((tmp_path / f"t{number}" / "metrics.json").read_text())["test/seen_in_training"] == 0


def test_images_that_the_weights_were_trained_on_before_are_known(run, quick, tmp_path):
    best = {name: tmp_path / name / "checkpoints" / "best.ckpt" for name in ("first", "elsewhere", "resplit")}
    assert run("train", *quick, "data.split_seed=5", "hydra.run.dir=first").code == 0
    for name, more in {"elsewhere": "data.content_seed=1", "resplit": "data.split_seed=0"}.items():
        words = (f"init_from={best['first']}", more, f"hydra.run.dir={name}")
        done = run("train", *quick, *words)
        assert done.code == 0
        assert ("of the 16 validation images were trained or validated on" in done.text) == (name == "resplit")
        resumed = run("train", *quick, *words, "ckpt_path=last", "trainer.max_epochs=2", "scheduler=constant")
        assert resumed.code == 0 and "does not say which" not in resumed.text, resumed.text
    tests = {"elsewhere": ("data=synthetic", "data.count=200", "data.test_fraction=1"), "resplit": ()}
    metrics = {}
    for name, more in tests.items():
        words = (f"ckpt_path={best[name]}", "trainer.accelerator=cpu", f"hydra.run.dir={tmp_path}/of_{name}")
        done = run("test", *words, *more)
        assert done.code == 0 and "test images were trained or validated on" in done.text, done.text
        metrics[name] = json.loads((tmp_path / f"of_{name}" / "metrics.json").read_text())
    assert (metrics["elsewhere"]["test/images"], metrics["elsewhere"]["test/seen_in_training"]) == (200, 160)
    assert 20 < metrics["resplit"]["test/seen_in_training"] < metrics["resplit"]["test/images"] == 40
    validated = json.loads((tmp_path / "resplit" / "metrics.json").read_text())
    assert 8 < validated["val/trained_on_before"] <= validated["val/images"] == 16
    assert "val/trained_on_before" not in json.loads((tmp_path / "elsewhere" / "metrics.json").read_text())
    for name in tests:
        said = " ".join(run("report", f"runs={name}", f"hydra.run.dir=report_of_{name}").text.split())
        caution = f"trained or validated on {validated['val/trained_on_before']} of its validation images"
        assert (caution in said) == (name == "resplit"), said

    last = best["elsewhere"].with_name("last.ckpt")
    unknown = run("train", *quick, f"init_from={last}", "hydra.run.dir=unknown")
    assert unknown.code == 0 and "last.ckpt does not say which images it was trained on" in unknown.text
    again = torch.load(tmp_path / "unknown" / "checkpoints" / "best.ckpt", weights_only=True)["fakereal"]
    assert len(again["trained_before"]) == 160, "of the training before that"


def test_files_of_training_are_known_at_another_size(run, quick, image_tree, tmp_path):
    tree = image_tree(tmp_path / "tree", 40, side=48, splits=())
    words = [word for word in quick if not word.startswith("data")] + ["data=folder", f"data.root={tree}"]
    assert run("train", *words, "data.size=32", "hydra.run.dir=first").code == 0
    first = tmp_path / "first" / "checkpoints" / "best.ckpt"
    again = ("data.size=40", "data.split_seed=7", f"init_from={first}", "hydra.run.dir=again")
    assert run("train", *words, *again).code == 0
    second = tmp_path / "again" / "checkpoints" / "best.ckpt"
    done = run("test", f"ckpt_path={second}", "trainer.accelerator=cpu", "hydra.run.dir=tested")
    assert done.code == 0 and "of the 16 test images were trained or validated on" in done.text, done.text
    other = ("data=folder", f"data.root={tree}", "data.test_fraction=1", "hydra.run.dir=all")
    assert run("test", f"ckpt_path={second}", "trainer.accelerator=cpu", *other).code == 0
    metrics = json.loads((tmp_path / "all" / "metrics.json").read_text())
    assert metrics["test/images"] == 80 and metrics["test/seen_in_training"] > 64, "of both trainings"


def test_extra_keys_of_the_trainer_shorten_no_test_and_old_figures_go(run, checkpoint, tmp_path):
    (tmp_path / "tested").mkdir()
    for name in ("roc.png", "precision_recall.png"):
        (tmp_path / "tested" / name).write_text("of a test before")
    words = ("+trainer.limit_test_batches=1", "+trainer.fast_dev_run=true", "data.batch_size=8", "hydra.run.dir=tested")
    done = run("test", f"ckpt_path={checkpoint}", *words)
    assert done.code == 0, done.text
    assert (tmp_path / "tested" / "roc.png").read_bytes()[:4] == b"\x89PNG"


def test_of_images_without_labels_it_says_so(run, checkpoint, image_tree, tmp_path):
    shutil.copytree(image_tree(tmp_path / "tree", 3, splits=()) / "REAL", tmp_path / "album" / "holiday")
    finished = run("test", f"ckpt_path={checkpoint}", "data=folder", f"data.root={tmp_path / 'album'}")
    assert finished.code == 1 and "holiday/ (3)" in finished.text
    assert "To predict images without labels: python -m fakereal.predict" in finished.text
    words = ("data=folder", f"data.root={tmp_path / 'album'}", "data.classes={holiday: real}", "hydra.run.dir=tested")
    finished = run("test", f"ckpt_path={checkpoint}", *words)
    assert finished.code == 0 and "1 of 3 images are tested; data.test_fraction=1 tests all" in finished.text


@pytest.mark.parametrize("ledger", [".", "", "file/below", "n" * 300])
def test_a_ledger_that_cannot_be_written_is_told_before_the_test(run, checkpoint, tmp_path, ledger):
    (tmp_path / "file").touch()
    done = run("test", f"ckpt_path={checkpoint}", f"ledger={ledger}", "hydra.run.dir=out")
    assert done.code == 1 and f"ledger={ledger} cannot be written" in done.text and "Traceback" not in done.text
    assert not (tmp_path / "out" / "metrics.json").exists() and "Testing" not in done.text


def test_no_checkpoint_is_told(run):
    finished = run("test")
    assert finished.code == 1 and "ckpt_path" in finished.text and "Traceback" not in finished.text


def test_figures_of_known_predictions():
    labels = np.array([0, 0, 0, 1, 1, 1], dtype=np.float32)
    probabilities = np.array([0.1, 0.2, 0.7, 0.4, 0.8, 0.9], dtype=np.float32)
    flat = Evaluation(labels, probabilities, 0.5).flat("test/")
    assert flat["test/accuracy"] == pytest.approx(4 / 6)
    assert (flat["test/tn"], flat["test/fp"], flat["test/fn"], flat["test/tp"]) == (2, 1, 1, 2)
    assert flat["test/precision_fake"] == pytest.approx(2 / 3) and flat["test/recall_real"] == pytest.approx(2 / 3)
    assert flat["test/auroc"] == pytest.approx(8 / 9)
    expected = -np.log([0.9, 0.8, 0.3, 0.4, 0.8, 0.9]).mean()
    assert flat["test/loss"] == pytest.approx(expected, rel=1e-5)


def generators(image_tree, folder, *, shared_real: bool) -> Path:
    """Two generators, 10 images each, `gan` with two categories; with real images of their own, or for all."""
    for number, generator in enumerate(("gan/cats", "gan/dogs", "sd")):
        count = 10 if generator == "sd" else 5
        made = image_tree(folder / "made", count, splits=(), offset=number)
        real = folder / "set" / ("REAL" if shared_real else f"{generator}/0_real")
        fake = folder / "set" / (f"FAKE/{generator}" if shared_real else f"{generator}/1_fake")
        real.mkdir(parents=True, exist_ok=True)
        fake.mkdir(parents=True)
        for cls, into in (("REAL", real), ("FAKE", fake)):
            for path in (made / cls).iterdir():
                path.rename(into / f"{number} {path.name}")
        shutil.rmtree(made)
    return folder / "set"


@pytest.mark.parametrize("shared_real", [False, True])
def test_figures_by_generator(run, trained_run, image_tree, tmp_path, shared_real):
    tree = generators(image_tree, tmp_path, shared_real=shared_real)
    checkpoint = trained_run() / "checkpoints" / "best.ckpt"
    words = (f"ckpt_path={checkpoint}", "data=folder", f"data.root={tree}", "data.test_fraction=1", "gallery=1")
    finished = run("test", *words, "group_depth=1", "hydra.run.dir=tested")
    assert finished.code == 0, finished.text
    with (tmp_path / "tested" / "groups.csv").open() as file:
        groups = {row["group"]: row for row in csv.DictReader(file)}
    own = {"REAL": ("20", "0", "0")} if shared_real else {}
    real, shared = ("0", "20") if shared_real else ("10", "0")
    assert {name: (row["real"], row["fake"], row["shared_real"]) for name, row in groups.items()} == {
        **{name: (real, "10", shared) for name in ("gan", "sd")},
        **own,
    }
    with (tmp_path / "tested" / "predictions.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if "gan/" in row["path"] and row["label"] == "FAKE"]
    assert float(groups["gan"]["recall_fake"]) == np.mean([row["prediction"] == "FAKE" for row in rows])
    metrics = json.loads((tmp_path / "tested" / "metrics.json").read_text())
    mean = np.mean([float(groups[name]["auroc"]) for name in ("gan", "sd")])
    assert metrics["test/groups/count"] == 2 and metrics["test/groups/auroc"] == pytest.approx(mean)
    [cells] = [line.split("│")[1:-1] for line in finished.text.splitlines() if "mean of 2" in line]
    means = [cell.strip() for cell in cells if cell.strip()]
    names = ("balanced_accuracy", "auroc", "balanced_average_precision")
    values = [metrics[f"test/groups/{name}"] for name in names]
    assert means[1:] == [f"{values[0]:.2%}", *(f"{value:.4f}" for value in values[1:])]
    [titles] = [line.split("┃")[1:-1] for line in finished.text.splitlines() if "balanced accuracy" in line]
    assert [title.strip() for title, cell in zip(titles, cells, strict=True) if cell.strip()] == [
        *("group", "balanced accuracy", "AUROC", "balanced AP"),
    ]
    assert ("compared with the 20" in finished.text) == shared_real
    assert (tmp_path / "tested" / "groups.png").exists()
    sheets = json.loads((tmp_path / "tested" / "gallery" / "gallery.json").read_text())["sheets"]
    assert {sheet["group"] for sheet in sheets[1:]} == set(groups)

    finished = run("test", *words, "hydra.run.dir=tested")
    with (tmp_path / "tested" / "groups.csv").open() as file:
        assert {row["group"] for row in csv.DictReader(file)} == {"gan/cats", "gan/dogs", "sd", *own}
    refused = run("test", *words, "group_depth=0")
    assert refused.code == 1 and "group_depth" in refused.text and "Traceback" not in refused.text


def test_the_figure_of_groups_draws_each_share_at_its_row():
    rows = [
        {"group": "a", "recall_real": 0.9, "recall_real_low": 0.8, "recall_real_high": 0.95, "recall_fake": 0.4}
        | {"recall_fake_low": 0.3, "recall_fake_high": 0.5, "auroc": 0.7},
        {"group": "b", "recall_real": None, "recall_fake": 0.6, "recall_fake_low": 0.5, "recall_fake_high": 0.8}
        | {"auroc": None},
    ]
    [axes] = groups_figure(rows, 7).axes
    drawn = {held.get_label(): held[0].get_xydata().round(2).tolist() for held in axes.containers}
    assert drawn == {"REAL called REAL": [[0.9, -0.13]], "FAKE called FAKE": [[0.4, 0.13], [0.6, 1.13]]}
    spans = [line.get_segments() for held in axes.containers for line in held[2]]
    assert [[round(x, 2) for x, _ in ends] for ends in spans[1]] == [[0.3, 0.5], [0.5, 0.8]]
    [area] = [line for line in axes.lines if line.get_label() == "AUROC"]
    assert area.get_xydata().tolist() == [[0.7, 0.0]]
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "a",
        "b",
    ] and "2 least accurate of 7" in axes.get_title()


def test_a_threshold_that_was_given_is_not_called_the_checkpoints(run, trained_run):
    best = f"ckpt_path={trained_run() / 'checkpoints' / 'best.ckpt'}"
    assert "0.9, given" in run("test", best, "threshold=0.9").text
    assert "as the checkpoint says" in run("test", best).text


def test_images_of_training_are_known_among_others_by_their_pixels(run, quick, image_tree, tmp_path):
    tree = image_tree(tmp_path / "tree", 20, splits=())
    words = ("data=folder", "data.size=32", "data.batch_size=16", "data/augment=none")
    trained = [word for word in quick if not word.startswith("data")]
    done = run("train", *trained, *words, f"data.root={tree}")
    assert done.code == 0, done.text
    other = image_tree(tmp_path / "other", 3, splits=(), offset=7)
    for cls in ("REAL", "FAKE"):
        for number, path in enumerate(sorted((tree / cls).iterdir())):
            (other / cls / f"copied {number}.jpg").write_bytes(path.read_bytes())
    for name in ("best.ckpt", "exported"):
        path = tmp_path / "run" / "checkpoints" / name
        if name == "exported":
            export = run("export", f"ckpt_path={path.with_name('best.ckpt')}", "format=safetensors", "hydra.run.dir=ex")
            assert export.code == 0, export.text
            path = tmp_path / "ex" / "model.safetensors"
            assert path.stat().st_mode & 0o777 == (tmp_path / "ex" / "model_card.md").stat().st_mode & 0o777
        chosen = ("data=folder", f"data.root={other}", "data.test_fraction=1", "trainer.accelerator=cpu")
        done = run("test", f"ckpt_path={path}", *chosen, "hydra.run.dir=tested")
        assert done.code == 0 and "32 of the 46 test images were trained or validated on" in done.text, done.text
        metrics = json.loads((tmp_path / "tested" / "metrics.json").read_text())
        assert metrics["test/seen_in_training"] == 32 and metrics["test/without_leaked/images"] == 14
