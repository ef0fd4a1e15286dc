"""The classifier in Python, beside the command."""

import csv
import inspect
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

import fakereal
from fakereal.data.synthetic import Synthetic
from fakereal.prediction.detector import Detector
from fakereal.runtime.errors import UserError


@pytest.fixture
def images(tmp_path):
    """Of several sizes and modes, one lies on its side, and one is none."""
    numbers, folder = np.random.default_rng(0), tmp_path / "images"
    folder.mkdir()
    for name, shape in (("a.png", (40, 50, 3)), ("b.png", (32, 32, 4)), ("c.jpg", (90, 60, 3))):
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(numbers.integers(0, 256, shape, dtype=np.uint8)).save(folder / name, exif=exif)
    (folder / "d.jpg").write_text("none")
    return folder


def test_the_answers_are_those_of_predict_whatever_an_image_is_given_as(run, trained_run, images, tmp_path):
    checkpoint = trained_run() / "checkpoints" / "best.ckpt"
    assert run("predict", f"ckpt_path={checkpoint}", "images=images", "hydra.run.dir=out").code == 1
    with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    detector = fakereal.load(checkpoint)
    paths = sorted(images.iterdir())
    for given in (paths, [*map(str, paths)], [path.read_bytes() for path in paths]):
        said = detector.predict(given)
        assert [answer.prediction for answer in said] == [row["prediction"] for row in rows]
        assert [f"{answer.prob_fake:.7g}" for answer in said[:3]] == [row["prob_fake"] for row in rows[:3]]
        assert said[3].error == rows[3]["error"] != ""
    opened = [Image.open(path) for path in paths[:3]]
    assert [answer[1:] for answer in detector.predict(opened)] == [answer[1:] for answer in said[:3]]
    array = np.asarray(Image.open(paths[0]).transpose(Image.Transpose.ROTATE_270))
    assert detector.predict(array)[0][1:] == said[0][1:]
    assert [answer.path for answer in detector.predict(iter(opened))] == ["0", "1", "2"]
    assert detector.predict(paths[0])[0].path == str(paths[0]) and detector.predict([]) == []


def test_in_what_images_lie_far_is_said_as_by_predict_and_whoever_else_asks_meanwhile(run, trained_run, tmp_path):
    checkpoint = trained_run("data.count=1600", "data.val_fraction=0.2") / "checkpoints" / "best.ckpt"
    near = Synthetic(count=1600, val_fraction=0.2)
    near.setup()
    pixels = list(near.images.gather(near.splits["train"].rows[:5]))
    numbers = np.random.default_rng(0)
    pixels += [numbers.integers(0, 256, (32, 32, 3), dtype=np.uint8), pixels[0].repeat(5, 0).repeat(5, 1)]
    (tmp_path / "images").mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / "images" / f"{number}.png")
    assert run("predict", f"ckpt_path={checkpoint}", "images=images", "hydra.run.dir=out").code == 0
    with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
        expected = [tuple(row["far_from_training"].split()) for row in csv.DictReader(file)]
    assert () in expected and expected[5] == ("content",) and "size" in expected[6]
    detector = fakereal.load(checkpoint)
    assert [answer.far for answer in detector.predict(pixels)] == expected
    with ThreadPoolExecutor(4) as threads:
        alone = [*threads.map(lambda image: detector.predict(image)[0].far, pixels * 8)]
    assert alone == expected * 8


def test_several_checkpoints_answer_together(run, quick, tmp_path):
    for seed in (0, 1):
        assert run("train", *quick, f"seed={seed}", f"hydra.run.dir=run{seed}").code == 0
    one, two = (tmp_path / f"run{seed}" / "checkpoints" / "best.ckpt" for seed in (0, 1))
    array = np.zeros((32, 32, 3), dtype=np.uint8)
    alone = [fakereal.load(path).predict(array)[0].prob_fake for path in (one, two)]
    assert fakereal.load([one, two]).predict(array)[0].prob_fake == pytest.approx(np.mean(alone))


def test_what_is_no_image_or_checkpoint_is_told(trained_run, tmp_path):
    detector = fakereal.load(trained_run() / "checkpoints" / "best.ckpt")
    for wrong, said in (([None], "NoneType"), (np.zeros((32, 32, 3)), r"float64 \(32, 32, 3\)")):
        with pytest.raises(TypeError, match=rf"a path, bytes, an open file, a PIL image or an array .*, got {said}"):
            detector.predict(wrong)
    with pytest.raises(TypeError, match=r"uint8, 0 to 255, got torch\.float32"):
        detector.members[0].classifier(torch.zeros(1, 3, 32, 32))
    with pytest.raises(UserError, match="tta='mirror': none or flip"):
        fakereal.load(detector.members[0].path, tta="mirror")
    with pytest.raises(UserError, match="precision='bf16-true': one of"):
        fakereal.load(detector.members[0].path, precision="bf16-true")
    with pytest.raises(UserError, match="give at least one checkpoint"):
        fakereal.load([])
    [said] = detector.predict(np.zeros((0, 5, 3), dtype=np.uint8))
    assert said.error == "empty image"
    [said] = detector.predict(np.zeros((5, 5, 3), dtype=np.uint8))
    assert json.dumps(said._asdict())
    with pytest.raises(UserError, match="does not exist"):
        fakereal.load(tmp_path / "none.ckpt")


def test_arrays_of_other_modes_and_open_files_are_read_as_their_files(trained_run, images):
    detector = fakereal.load(trained_run() / "checkpoints" / "best.ckpt", threads=torch.get_num_threads())
    grey, rgba = (Image.fromarray(np.asarray(Image.open(images / name))) for name in ("a.png", "b.png"))
    grey = grey.convert("L")
    said = detector.predict([np.asarray(grey), grey, np.asarray(rgba), rgba, (images / "c.jpg").open("rb")])
    assert said[0].prob_fake == said[1].prob_fake and said[2].prob_fake == said[3].prob_fake
    assert said[4].prob_fake == detector.predict(images / "c.jpg")[0].prob_fake
    with tempfile.NamedTemporaryFile() as upload:  # no io.IOBase
        upload.write((images / "c.jpg").read_bytes())
        upload.seek(0)
        assert [answer[1:] for answer in detector.predict(upload)] == [said[4][1:]]


def test_a_threshold_of_ones_own(trained_run):
    path, array = trained_run() / "checkpoints" / "best.ckpt", np.zeros((32, 32, 3), dtype=np.uint8)
    for threshold, said in ((1e-9, "FAKE"), (1 - 1e-9, "REAL")):
        [answer] = fakereal.load(path, threshold=threshold).predict(array)
        assert answer.prediction == said and answer.threshold == threshold
    with pytest.raises(ValueError, match=r"threshold=1.5: a probability between 0 and 1"):
        fakereal.load(path, threshold=1.5)
    detector = fakereal.load(path)
    detector.threshold = 1 - 1e-6
    [answer] = detector.predict(array)
    assert (answer.prediction, answer.threshold) == ("REAL", detector.threshold) == ("REAL", 1 - 1e-6)
    with pytest.raises(UserError, match="threshold=0: "):
        detector.threshold = 0


def test_load_takes_what_a_detector_takes():
    [_, *own] = inspect.signature(Detector.__init__).parameters.values()
    given = inspect.signature(fakereal.load).parameters.values()
    assert [(p.name, p.default) for p in given] == [(p.name, p.default) for p in own]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_answers_too(trained_run):
    """Without its parent's threads, for which it would wait."""
    code = (
        "import multiprocessing, sys, numpy, torch, fakereal\n"
        "torch.set_num_threads(2)\n"
        "detector, array = fakereal.load(sys.argv[1]), numpy.zeros((64, 32, 32, 3), 'uint8')\n"
        "def ask(_): return detector.predict(list(array))[0].prob_fake\n"
        "wanted = ask(0)\n"
        "with multiprocessing.get_context('fork').Pool(1) as pool:\n"
        "    assert abs(pool.map_async(ask, [0]).get(60)[0] - wanted) < 1e-5\n"
    )
    words = [sys.executable, "-c", code, trained_run() / "checkpoints" / "best.ckpt"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
