"""The gallery of a test: the images that numpy would pick, where gallery.json says."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fakereal.evaluation.evaluation import Evaluation
from fakereal.explanation.choice import KINDS, choose

NETWORK = ("data=synthetic", "data.count=400", "data.batch_size=32", "trainer.max_epochs=1", "trainer.accelerator=cpu")


def picked(rows, cls, kind, threshold, count):
    """Paths, by sorting the rows of predictions.csv."""
    rows = [row for row in rows if row["label"] == cls]
    probability = {row["path"]: float(row["prob_fake"]) for row in rows}
    sure = (lambda path: -probability[path]) if cls == "FAKE" else (lambda path: probability[path])
    if kind == "nearest the threshold":
        return sorted(probability, key=lambda path: abs(probability[path] - threshold))[:count]
    wrong = kind == "most confident errors"
    held = [row["path"] for row in rows if (row["prediction"] != cls) == wrong]
    return sorted(held, key=lambda path: -sure(path) if wrong else sure(path))[:count]


@pytest.mark.parametrize("model", [("model=lenet",), ("model=timm", "model.backbone=test_resnet")])
def test_the_gallery_of_a_test(run, model, tmp_path):
    trained = run("train", *NETWORK, *model, "hydra.run.dir=run")
    assert trained.code == 0, trained.text
    events = EventAccumulator(str(tmp_path / "run"), size_guidance={"images": 0}).Reload()
    assert "val/gallery" in events.Tags()["images"], "of best.ckpt on validation"
    finished = run("test", "ckpt_path=run/checkpoints/best.ckpt", "gallery=3", "hydra.run.dir=tested")
    assert finished.code == 0, finished.text
    with (tmp_path / "tested" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    said = json.loads((tmp_path / "tested" / "gallery" / "gallery.json").read_text())
    [sheet] = said["sheets"]
    assert [(cell["class"], cell["kind"]) for cell in sheet["cells"]] == [
        (cls, kind) for cls in ("REAL", "FAKE") for kind in KINDS
    ]
    probability = {row["path"]: float(row["prob_fake"]) for row in rows}
    answer = {row["path"]: row["prediction"] for row in rows}
    pixels = np.asarray(Image.open(tmp_path / "tested" / "gallery" / sheet["file"]))
    boxes = []
    for cell in sheet["cells"]:
        paths = [image["path"] for image in cell["images"]]
        assert paths == picked(rows, cell["class"], cell["kind"], said["threshold"], 3)
        for image in cell["images"]:
            assert image["prob_fake"] == probability[image["path"]] and image["prediction"] == answer[image["path"]]
            boxes.append(tuple(image["box"]))
    assert len({*boxes}) == len(boxes) > 6
    has_maps = model == ("model=lenet",)
    assert {bottom - top for _, top, _, bottom in boxes} == {96 + (3 + 96 if has_maps else 0)}
    assert ("The gallery has no maps" in finished.text) == (not has_maps)
    assert all(pixels[top:bottom, left:right].std() > 5 for left, top, right, bottom in boxes)
    events = EventAccumulator(str(tmp_path / "tested"), size_guidance={"images": 0}).Reload()
    assert "test/gallery" in events.Tags()["images"]


def test_groups_have_sheets_of_their_own_and_none_is_none(run, image_tree, tmp_path):
    assert run("train", *NETWORK, "model=lenet", "hydra.run.dir=run").code == 0
    image_tree(tmp_path / "tree", 20)  # CIFAKE's names: two images of each CIFAR class
    words = ("ckpt_path=run/checkpoints/best.ckpt", "data=cifake", "data.root=tree")
    finished = run("test", *words, "gallery=2", "hydra.run.dir=tested")
    assert finished.code == 0, finished.text
    folder = tmp_path / "tested" / "gallery"
    sheets = json.loads((folder / "gallery.json").read_text())["sheets"]
    assert sheets[0]["group"] is None and len(sheets) == 11
    assert {sheet["group"] for sheet in sheets[1:]} >= {"airplane", "bird", "truck"}
    with (tmp_path / "tested" / "groups.csv").open() as file:
        rows = list(csv.DictReader(file))
    accuracy = {row["group"]: float(row["balanced_accuracy"]) for row in rows}
    assert [accuracy[sheet["group"]] for sheet in sheets[1:]] == sorted(accuracy.values()), "the least accurate first"
    for sheet in sheets:
        assert (folder / sheet["file"]).exists()
        for image in (image for cell in sheet["cells"] for image in cell["images"]):
            number = int(image["path"].rsplit("(", 1)[1].split(")")[0])
            assert sheet["group"] in (None, {1: "airplane", 3: "bird", 10: "truck"}.get(number, sheet["group"]))
    assert run("test", *words, "gallery=0", "hydra.run.dir=without").code == 0
    assert not (tmp_path / "without" / "gallery").exists()
    (folder / "mine.png").touch()
    assert run("test", words[0], "gallery=0", "hydra.run.dir=tested").code == 0
    assert [path.name for path in folder.iterdir()] == ["mine.png"], "what is there is of the newest test"
    assert not (tmp_path / "tested" / "groups.csv").exists()


def test_choices_of_known_predictions():
    labels = np.array([0, 0, 0, 0, 1, 1, 1], dtype=np.float32)
    probabilities = np.array([0.1, 0.9, 0.6, 0.45, 0.2, 0.55, 0.99], dtype=np.float32)
    evaluation = Evaluation(labels, probabilities, 0.5)
    cells = {(cell.cls, cell.kind): cell.positions.tolist() for cell in choose(evaluation, 2)}
    assert cells == {
        ("REAL", "most confident errors"): [1, 2],
        ("REAL", "nearest the threshold"): [3, 2],
        ("REAL", "sure hits"): [0, 3],
        ("FAKE", "most confident errors"): [4],
        ("FAKE", "nearest the threshold"): [5, 4],
        ("FAKE", "sure hits"): [6, 5],
    }
    some = choose(evaluation, 2, np.array([True, False, False, True, False, False, False]))
    assert [(cell.cls, cell.positions.tolist()) for cell in some] == [("REAL", []), ("REAL", [3, 0]), ("REAL", [0, 3])]
