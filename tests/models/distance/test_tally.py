"""Images far from those of training, from the training that keeps what these were like to the warning."""

import csv
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from fakereal.data.synthetic import Synthetic
from fakereal.models.checkpoint import load_classifier
from fakereal.models.distance.from_training import DistanceFromTraining
from fakereal.models.distance.tally import Tally

REVIEW = "An answer supports human review; it does not replace it."
IMAGES = ("data.count=1600", "data.val_fraction=0.2")
CPU = "trainer.accelerator=cpu"


@pytest.fixture
def checkpoint(trained_run):
    return trained_run(*IMAGES) / "checkpoints" / "best.ckpt"


@pytest.fixture
def noise(tmp_path):
    """A tree of images of nothing but noise."""
    numbers = np.random.default_rng(0)
    for cls in ("real", "fake"):
        (tmp_path / "noise" / cls).mkdir(parents=True)
        for index in range(10):
            pixels = numbers.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "noise" / cls / f"{index}.png")
    return tmp_path / "noise"


def far(folder):
    metrics = json.loads((folder / "metrics.json").read_text())
    return {name.removeprefix("test/far/"): value for name, value in metrics.items() if name.startswith("test/far/")}


def without(checkpoint, path):
    """A copy as an earlier version of fakereal wrote it."""
    content = torch.load(checkpoint, weights_only=True)
    del content["fakereal"]["reference"]
    torch.save(content, path)
    return path


def test_the_test_split_of_training_is_near_and_other_images_are_far(run, checkpoint, noise, tmp_path):
    finished = run("test", f"ckpt_path={checkpoint}", "hydra.run.dir=own")
    assert finished.code == 0 and REVIEW not in finished.text, finished.text
    own = far(tmp_path / "own")
    assert own["share_low"] <= own["share"] <= 0.05 and own["sizes"] == 0
    other = ("data=folder", f"data.root={noise}", "data.test_fraction=1", "hydra.run.dir=other")
    finished = run("test", f"ckpt_path={checkpoint}", *other)
    assert finished.code == 0 and REVIEW in finished.text, finished.text
    assert far(tmp_path / "other")["share"] == far(tmp_path / "other")["pixels"] == 1
    assert "100.0% (83.9% to 100.0%" in finished.text


def test_threads_that_look_at_pixels_meanwhile_count_the_same(checkpoint, monkeypatch):
    """As where the network answers on a GPU."""
    member = load_classifier(checkpoint)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (40, 3, 32, 32), dtype=np.uint8))
    counted = []
    for waiting in (0, 3):
        monkeypatch.setattr("fakereal.models.distance.from_training.ahead", lambda device, waiting=waiting: waiting)
        distance = DistanceFromTraining([member])
        far = Tally(distance)
        with distance.watching() as watch:
            for batch in images.split(4):
                member.classifier(batch)
                far.add(watch.content(batch))
                assert len(watch.begun) <= waiting
        counted.append(far.figures())
    assert counted[0] == counted[1] and counted[0]["share"] == 1 and counted[0]["share_high"] == 1


def test_predict_tells_the_same_share_and_the_sizes(run, checkpoint, noise, tmp_path):
    finished = run("predict", f"ckpt_path={checkpoint}", CPU, f"images={noise}", "data.batch_size=7")
    assert finished.text.count(REVIEW) == 1
    assert finished.code == 0 and "100.0% (83.9% to 100.0%" in finished.text and REVIEW in finished.text
    Image.new("RGB", (600, 100)).save(tmp_path / "long.png")
    finished = run("predict", f"ckpt_path={checkpoint}", CPU, "images=long.png", "tta=flip")
    assert "1 of 1 by size or shape (training: 32 px a side, square)" in finished.text


@pytest.mark.parametrize("waiting", [0, 2])
def test_each_answer_says_in_what_its_image_lies_far(run, checkpoint, noise, tmp_path, monkeypatch, waiting):
    """Also where threads look at the images meanwhile, as beside a GPU."""
    for module in ("models.distance.from_training", "prediction.predictor"):
        monkeypatch.setattr(f"fakereal.{module}.ahead", lambda device: waiting)
    folder = tmp_path / "in"
    folder.mkdir()
    near = Synthetic(count=1600, val_fraction=0.2)
    near.setup()
    pixels = near.images.gather(near.splits["train"].rows[:6])
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{number}.png")
    (folder / "2.png").write_text("none")
    Image.fromarray(pixels[3].repeat(9, 1)).resize((600, 100)).save(folder / "3.png")
    Image.open(next(noise.rglob("*.png"))).save(folder / "4.png")
    words = (f"ckpt_path={checkpoint}", CPU, "images=in", "data.batch_size=1", "json=true", "hydra.run.dir=out")
    finished = run("predict", *words)
    said = [json.loads(line) for line in finished.text.splitlines() if line.startswith("{")]
    far = [answer.get("far_from_training") for answer in said]
    assert far[2] is None and "size" in far[3] and far[4] == ["content"]
    assert [far[number] for number in (0, 1, 5)].count([]) >= 2
    with (tmp_path / "out" / "predictions.csv").open() as file:
        assert [row["far_from_training"].split() for row in csv.DictReader(file)] == [words or [] for words in far]
    assert "4.png  " in (text := run("predict", *words[:4]).text) and "far from training in content" in text


def test_the_mirror_changes_no_distance_and_the_report_shows_it(run, quick, noise, tmp_path):
    assert run("train", *quick, *IMAGES, "model.tta=flip", "logger=csv").code == 0
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    for tta in ("none", "flip"):
        assert run("test", f"ckpt_path={best}", f"tta={tta}", f"hydra.run.dir={tta}").code == 0
    assert far(tmp_path / "none") == far(tmp_path / "flip"), "features are those of the image, not of its mirror"
    other = ("data=folder", f"data.root={noise}", "data.test_fraction=1", "hydra.run.dir=outputs/test/noise")
    assert run("test", f"ckpt_path={best}", *other).code == 0
    report = run("report", "runs=run", "hydra.run.dir=reported")
    assert report.code == 0, report.text
    table = (tmp_path / "reported" / "report.md").read_text().split("## On other images")[1]
    assert "far from training" in table and "100.00% (83.89% to 100.00%)" in table


def test_a_checkpoint_without_it_loads_and_says_that_it_is_not_known(run, checkpoint, noise, tmp_path):
    old = without(checkpoint, tmp_path / "old.ckpt")
    other = ("data=folder", f"data.root={noise}", "data.test_fraction=1")
    for words in (("test", *other, "hydra.run.dir=out"), ("predict", CPU, f"images={noise}")):
        finished = run(*words, f"ckpt_path={old}")
        assert finished.code == 0 and "is not known: the checkpoint lacks the data for it" in finished.text
    assert far(tmp_path / "out") == {}


def test_of_an_ensemble_the_first_that_knows_is_asked(run, checkpoint, noise, tmp_path):
    old = without(checkpoint, tmp_path / "old.ckpt")
    other = ("data=folder", f"data.root={noise}", "data.test_fraction=1", "hydra.run.dir=out")
    finished = run("test", f"ckpt_path=[{old},{checkpoint}]", *other)
    assert finished.code == 0 and f"by {checkpoint}: 100.0%" in finished.text, finished.text
    assert far(tmp_path / "out")["by"] == str(checkpoint)
    finished = run("predict", f"ckpt_path=[{old},{checkpoint}]", CPU, f"images={noise}")
    assert re.search(rf"by {checkpoint}: 100.0%", finished.text)


def test_few_validation_images_leave_the_sizes(run, trained_run, noise, tmp_path):
    best = trained_run() / "checkpoints" / "best.ckpt"
    finished = run("test", f"ckpt_path={best}", "data=folder", f"data.root={noise}", "hydra.run.dir=out")
    assert finished.code == 0 and far(tmp_path / "out") == {"sizes": 0}
    assert "is not known: validation had fewer than 200 images" in finished.text


def test_an_altered_one_is_told(run, checkpoint, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    del content["fakereal"]["reference"]["pixels"]
    torch.save(content, tmp_path / "altered.ckpt")
    finished = run("test", f"ckpt_path={tmp_path / 'altered.ckpt'}")
    assert finished.code == 1 and "altered.ckpt was altered: its reference cannot be read" in finished.text


def test_a_few_sizes_beyond_are_no_warning_and_many_are(checkpoint):
    """Of training's own files one in a hundred lies beyond the quantiles that sizes are compared with."""
    far = Tally(DistanceFromTraining([load_classifier(checkpoint)]))
    far.add_sizes(np.arange(1000) < 10)
    assert not far.clearly and far.figures()["sizes"] == 10
    far.add_sizes(np.arange(1000) < 200)
    assert far.clearly


def test_what_else_the_network_is_asked_is_not_taken_for_a_batch(checkpoint):
    member = load_classifier(checkpoint)
    distance = DistanceFromTraining([member])
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (8, 3, 32, 32), dtype=np.uint8))
    with torch.inference_mode(), distance.watching() as watch:
        member.classifier(images[:5])
        watch.begin()
        member.classifier(images)
        found = watch.content(images)
    assert len(found.features) == len(found.pixels.result()) == 8
