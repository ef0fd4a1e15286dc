"""The predict command, on a checkpoint of a tiny network."""

import csv
import io
import json
import shutil
import signal
import sys

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from fakereal.models.checkpoint import load_classifier
from fakereal.prediction.answers import Answer
from fakereal.prediction.predictions import PredictionsFile

CPU = "trainer.accelerator=cpu"


def probabilities(rows):
    return np.array([float(row["prob_fake"]) for row in rows])


def test_answers_are_those_of_a_test(run, checkpoint, image_tree, table, tmp_path):
    tree = image_tree(tmp_path / "tree", 12, splits=(), ending="png")
    tested = run("test", f"ckpt_path={checkpoint}", CPU, "data=folder", "data.root=tree", "data.test_fraction=1",
                 "hydra.run.dir=tested")  # fmt: skip
    assert tested.code == 0, tested.text
    for name, batch_size in (("all", "null"), ("single", "1")):
        finished = run("predict", f"ckpt_path={checkpoint}", CPU, f"images={tree}", f"data.batch_size={batch_size}",
                       f"hydra.run.dir={name}")  # fmt: skip
        assert finished.code == 0, finished.text
    expected = {row["path"]: row for row in table(tmp_path / "tested")}
    rows, single = table(tmp_path / "all"), table(tmp_path / "single")
    assert [*rows[0]] == ["path", "label", "prob_fake", "prediction", "error", "far_from_training"]
    assert len(rows) == 24
    assert [row["path"] for row in rows] == sorted(f"{tree}/{name}" for name in expected)
    same = [expected[row["path"].removeprefix(f"{tree}/")] for row in rows]
    np.testing.assert_allclose(probabilities(rows), probabilities(same), atol=1e-6)
    np.testing.assert_allclose(probabilities(single), probabilities(same), atol=1e-6)
    assert [row["prediction"] for row in rows] == [row["prediction"] for row in same]
    assert {row["label"] for row in rows} == {""}, "nobody told a label"
    said = [row["prediction"] for row in rows]
    assert f"{said.count('FAKE')} FAKE, {said.count('REAL')} REAL, 0 not predicted" in finished.text
    assert "An answer supports human review" in finished.text


def test_the_checkpoints_threshold_and_temperature_decide(run, checkpoint, photos, table, tmp_path):
    import torch

    photos(tmp_path / "in", 8)
    content = torch.load(checkpoint, weights_only=True)
    assert run("predict", f"ckpt_path={checkpoint}", CPU, "images=in", "hydra.run.dir=plain").code == 0
    plain = probabilities(table(tmp_path / "plain"))
    content["fakereal"] |= {"temperature": 3.0, "threshold": 0.999}
    torch.save(content, tmp_path / "other.ckpt")
    assert run("predict", "ckpt_path=other.ckpt", CPU, "images=in", "hydra.run.dir=other").code == 0
    other = table(tmp_path / "other")
    logits = np.log(plain / (1 - plain)) / 3
    np.testing.assert_allclose(probabilities(other), 1 / (1 + np.exp(-logits)), atol=1e-4)
    assert {row["prediction"] for row in other} == {"REAL"}


def test_bad_files_have_their_rows_and_the_others_go_on(run, checkpoint, photos, table, tmp_path):
    names = photos(tmp_path / "in", 5)
    whole = (tmp_path / "in" / names[1]).read_bytes()
    (tmp_path / "in" / names[1]).write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in" / names[3]).write_text("no image")
    (tmp_path / "in" / "notes.txt").write_text("not listed")
    finished = run("predict", f"ckpt_path={checkpoint}", CPU, "images=in", "data.batch_size=2", "hydra.run.dir=out")
    assert finished.code == 1
    rows = table(tmp_path / "out")
    assert [row["path"] for row in rows] == [f"in/{name}" for name in names]
    assert [bool(row["error"]) for row in rows] == [False, True, False, True, False]
    for row in rows:
        assert (row["prob_fake"] == "") == (row["prediction"] == "") == bool(row["error"])
    assert "2 of 5 files have no prediction" in finished.text and "Traceback" not in finished.text
    assert "Left out, without an image extension: .txt (1)" in finished.text and "notes.txt" not in finished.text


def test_json_and_names_from_standard_input(run, checkpoint, photos, table, tmp_path, monkeypatch, capfd):
    names = photos(tmp_path / "in", 4)
    given = [f"in/{names[2]}", "in/missing.png", f"in/{names[0]}"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\r\n".join([*given, "", ""]).encode())))
    finished = run("predict", f"ckpt_path={checkpoint}", CPU, "images=-", "json=true", "hydra.run.dir=out")
    assert finished.code == 1, finished.text
    lines = [json.loads(line) for line in finished.text.splitlines()[:3]]
    assert [line["path"] for line in lines] == given
    assert [*lines[0]] == ["path", "prediction", "prob_fake", "threshold", "far_from_training"]
    assert (lines[0]["prediction"] == "FAKE") == (lines[0]["prob_fake"] >= lines[0]["threshold"])
    assert lines[1] == {"path": "in/missing.png", "error": "No such file or directory"}
    for line, row in zip(lines, table(tmp_path / "out"), strict=True):
        assert row["path"] == line["path"] and row["prob_fake"] == f"{line.get('prob_fake', '')}"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with_nul = "\0".join([*given[:2], "in/line\nbreak.png", given[2], ""])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(with_nul.encode())))
    assert run("predict", f"ckpt_path={checkpoint}", CPU, "images=-", "hydra.run.dir=nul").code == 1
    assert [row["path"] for row in table(tmp_path / "nul")] == with_nul.split("\0")[:-1]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    empty = run("predict", f"ckpt_path={checkpoint}", CPU, "images=-", "hydra.run.dir=empty")
    assert empty.code == 1 and "images=-: standard input is empty" in empty.text
    assert not [*(tmp_path / "empty").glob("predictions*")]


def test_an_ensemble_answers_with_the_mean_and_flips_with_that_of_the_mirrors(
    run, quick, checkpoint, photos, table, tmp_path
):
    photos(tmp_path / "in", 6)
    assert run("train", *quick[:-1], "seed=1", "hydra.run.dir=second").code == 0
    second = tmp_path / "second" / "checkpoints" / "best.ckpt"
    words = {"a": f"ckpt_path={checkpoint}", "b": f"ckpt_path={second}", "joint": f"ckpt_path=[{checkpoint},{second}]"}
    for name, word in words.items():
        assert run("predict", word, CPU, "images=in", f"hydra.run.dir={name}").code == 0
    a, b, joint = (probabilities(table(tmp_path / name)) for name in words)
    np.testing.assert_allclose(joint, (a + b) / 2, atol=1e-6)
    assert np.abs(a - b).max() > 1e-4

    for path in (tmp_path / "in").iterdir():
        Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / path.name)
    flip = (words["a"], CPU, "tta=flip")
    assert run("predict", *flip, "images=in", "hydra.run.dir=flip").code == 0
    assert run("predict", *flip, "images=*.png", "hydra.run.dir=mirrored").code == 0
    flipped, mirrored = (probabilities(table(tmp_path / name)) for name in ("flip", "mirrored"))
    np.testing.assert_allclose(flipped, mirrored, atol=1e-6)
    assert np.abs(flipped - a).max() > 1e-4


def test_images_are_made_small_and_upright_as_for_training(run, checkpoint, table, tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x112] = 6  # to be turned by a quarter
    (tmp_path / "in").mkdir()
    image.save(tmp_path / "in" / "a.png")
    image.save(tmp_path / "in" / "b.png", exif=exif)
    image.transpose(Image.Transpose.ROTATE_270).save(tmp_path / "in" / "c.png")
    Image.new("RGB", (600, 100)).save(tmp_path / "in" / "d.png")
    finished = run("predict", f"ckpt_path={checkpoint}", CPU, "images=in", "hydra.run.dir=out")
    upright, by_exif, turned, _ = probabilities(table(tmp_path / "out"))
    assert by_exif == turned != upright
    assert "1 of 4 by size or shape (training: 32 px a side" in finished.text


def test_processes_decode_what_takes_long_in_the_same_order(run, checkpoint, photos, table, tmp_path, monkeypatch):
    names = photos(tmp_path / "in", 600)
    (tmp_path / "in" / names[400]).write_text("no image")
    monkeypatch.setattr("fakereal.prediction.run.ALONE", 0.0)
    finished = run("predict", f"ckpt_path={checkpoint}", CPU, "images=in", "hydra.run.dir=out")
    rows = table(tmp_path / "out")
    assert finished.code == 1 and [row["path"] for row in rows] == [f"in/{name}" for name in names]
    assert [row["path"] for row in rows if row["error"]] == [f"in/{names[400]}"]
    monkeypatch.setattr("fakereal.prediction.run.ALONE", 1e9)
    assert run("predict", f"ckpt_path={checkpoint}", CPU, "images=in", "hydra.run.dir=alone").code == 1
    assert table(tmp_path / "alone") == rows


def test_a_network_without_numbers_says_neither_real_nor_fake(run, checkpoint, photos, table, tmp_path):
    import torch

    photos(tmp_path / "in", 2)
    content = torch.load(checkpoint, weights_only=True)
    for weights in content["state_dict"].values():
        if weights.is_floating_point():
            weights.fill_(float("nan"))
    torch.save(content, tmp_path / "nan.ckpt")
    finished = run("predict", "ckpt_path=nan.ckpt", CPU, "images=in", "hydra.run.dir=out")
    assert finished.code == 1 and "2 of 2 files have no prediction" in finished.text
    assert [row["prediction"] for row in table(tmp_path / "out")] == ["", ""]


@pytest.fixture
def stopped(run, checkpoint, photos, tmp_path, monkeypatch):
    """`stopped(signal.SIGTERM)`: the command that has answered 4 of 7 images, two at a time."""
    photos(tmp_path / "in", 7)

    def call(number, *words):
        from fakereal.prediction.shown import Shown

        shown, calls = Shown.show, []

        def interrupted(self, answers):
            calls.append(answers)
            if len(calls) == 2:
                signal.raise_signal(number)
            shown(self, answers)

        with monkeypatch.context() as patch:
            patch.setattr(Shown, "show", interrupted)
            return run("predict", f"ckpt_path={checkpoint}", *ASKED, *words)

    return call


ASKED = (CPU, "images=in", "data.batch_size=2", "hydra.run.dir=out")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_was_done_stays_when_it_is_stopped_and_the_same_command_goes_on(
    run, stopped, checkpoint, table, tmp_path, number, code
):
    finished = stopped(number)
    assert finished.code == code and "Stopped after 4 images" in finished.text
    assert f"goes on there with hydra.run.dir={tmp_path / 'out'}" in finished.text
    assert not (tmp_path / "out" / "predictions.csv").exists()
    part = tmp_path / "out" / "predictions.csv.part"
    with part.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 4
    finished = run("predict", f"ckpt_path={checkpoint}", *ASKED, "json=true")
    assert finished.code == 0 and "Going on after 4 images" in finished.text and not part.exists()
    assert finished.text.count("prob_fake") == 3 and "004 (a).png" in finished.text
    once = run("predict", f"ckpt_path={checkpoint}", *ASKED[:-1], "hydra.run.dir=once")
    assert table(tmp_path / "out") == table(tmp_path / "once") and "Going on" not in once.text
    counts = [line for text in (finished.text, once.text) for line in text.splitlines() if "not predicted" in line]
    assert counts[0] == counts[1], "of all images, not of the last ones"
    said = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert said["checkpoint_digest"] == [load_classifier(checkpoint).digest] and said["batch_size"] == 2
    assert [path.name for path in (tmp_path / "out").glob("*.part*")] == []


def test_answers_to_another_question_or_about_other_images_are_kept_and_not_gone_on_with(
    run, stopped, checkpoint, table, tmp_path
):
    assert stopped(signal.SIGTERM).code == 143
    part = tmp_path / "out" / "predictions.csv.part"
    before = part.read_bytes()
    finished = run("predict", f"ckpt_path={checkpoint}", *ASKED, "threshold=0.9")
    assert finished.code == 1 and "of another question: threshold 0." in finished.text and "now 0.9" in finished.text
    (tmp_path / "in" / "001 (a).png").rename(tmp_path / "in" / "z.png")
    finished = run("predict", f"ckpt_path={checkpoint}", *ASKED)
    assert finished.code == 1 and "number 2 was in/001 (a).png, now it is in/002 (a).png" in finished.text
    assert "goes on there" not in finished.text
    for path in (tmp_path / "in").glob("00*"):
        if path.name != "000 (a).png":
            path.unlink()
    (tmp_path / "in" / "z.png").rename(tmp_path / "in" / "001 (a).png")
    finished = run("predict", f"ckpt_path={checkpoint}", *ASKED)
    assert finished.code == 1 and "number 3 was in/002 (a).png, now there is none" in finished.text
    (tmp_path / "out" / "predictions.json.part").unlink()
    finished = run("predict", f"ckpt_path={checkpoint}", *ASKED)
    assert finished.code == 1 and "question not known" in finished.text
    assert "Traceback" not in finished.text and part.read_bytes() == before, "nothing is lost"
    part.unlink()
    assert run("predict", f"ckpt_path={checkpoint}", *ASKED).code == 0 and len(table(tmp_path / "out")) == 2


def test_it_goes_on_with_smaller_batches_and_another_copy_of_the_checkpoint(run, stopped, checkpoint, table, tmp_path):
    assert stopped(signal.SIGTERM).code == 143
    for name in ("004", "005", "006"):
        (tmp_path / "in" / f"{name} (a).png").unlink()
    copy = shutil.copy(checkpoint, tmp_path / "copy.ckpt")
    finished = run("predict", f"ckpt_path={copy}", *ASKED, "data.batch_size=1")
    assert finished.code == 0 and "Going on after 4 images" in finished.text, "all were answered"
    assert len(table(tmp_path / "out")) == 4


def test_two_commands_do_not_write_to_one_directory(run, stopped, checkpoint, tmp_path):
    assert stopped(signal.SIGTERM).code == 143
    with FileLock(tmp_path / "out" / ".predicting.lock"):
        refused = run("predict", f"ckpt_path={checkpoint}", *ASKED)
    assert refused.code == 1 and "another process is predicting there" in refused.text
    assert (tmp_path / "out" / "predictions.csv.part").exists()


def test_whatever_a_killed_command_left_is_cut_to_whole_batches(tmp_path):
    question = {"checkpoint_digest": ["0"], "tta": ["none"], "threshold": 0.5, "precision": "32-true"}
    names = ["a.png", 'b "x",\r\n.png', "c\udcff.png", "d.png", "e.png"]
    answers = [Answer.of(name, 0.25 + number / 10, 0.5) for number, name in enumerate(names)]
    with PredictionsFile(tmp_path, question, 2) as predictions:
        predictions.write(answers)
    whole = (tmp_path / "predictions.csv").read_bytes()
    said = (tmp_path / "predictions.json").read_bytes()
    kept_at = []
    for end in range(len(whole) + 1):
        (tmp_path / "predictions.csv.part").write_bytes(whole[:end])
        (tmp_path / "predictions.json.part").write_bytes(said)
        with PredictionsFile(tmp_path, question, 2) as predictions:
            kept_at.append(predictions.kept)
            predictions.write(answers[predictions.kept :])
            assert predictions.counts == {"REAL": 3, "FAKE": 2}
        assert (tmp_path / "predictions.csv").read_bytes() == whole
    assert sorted(kept_at) == kept_at and {*kept_at} == {0, 2, 4}
    (tmp_path / "predictions.csv.part").write_bytes(whole.replace(b"d.png", b"\r\nd.png"))
    (tmp_path / "predictions.json.part").write_bytes(said)
    with PredictionsFile(tmp_path, question, 2) as predictions:
        assert predictions.kept == 2, "up to a row that is none"


@pytest.mark.parametrize(
    "word", ["data.batch_size=0", "json=maybe", "tta=twice", "threshold=1.5", "images=[]", "trainer.precision=7"]
)
def test_wrong_values_are_named(run, word):
    finished = run("predict", "ckpt_path=none.ckpt", "images=nothing", word)
    assert finished.code == 1 and f"`{word.split('=')[0]}` must be" in finished.text, finished.text


def test_the_checkpoints_classifier_gives_the_figures(run, checkpoint, photos, table, tmp_path):
    import torch

    [name] = photos(tmp_path / "in", 1)
    assert run("predict", f"ckpt_path={checkpoint}", CPU, "trainer.precision=32-true", f"images=in/{name}",
               "hydra.run.dir=out").code == 0  # fmt: skip
    pixels = torch.from_numpy(np.array(Image.open(tmp_path / "in" / name))).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = load_classifier(checkpoint).classifier.probabilities(pixels).item()
    assert float(table(tmp_path / "out")[0]["prob_fake"]) == pytest.approx(expected, abs=1e-6)


def test_a_threshold_of_ones_own_decides(run, checkpoint, photos, table, tmp_path):
    photos(tmp_path / "in", 4)
    words = (f"ckpt_path={checkpoint}", CPU, "images=in")
    for threshold, said in (("1e-9", "FAKE"), ("0.999999999", "REAL")):
        finished = run("predict", *words, f"threshold={threshold}", f"hydra.run.dir={said}")
        assert finished.code == 0 and {row["prediction"] for row in table(tmp_path / said)} == {said}
    assert "FAKE from 1 up" in finished.text


def test_photos_of_phones_that_cannot_be_read_are_told_and_not_passed_over(run, checkpoint, photos, table, tmp_path):
    photos(tmp_path / "in", 1)
    (tmp_path / "in" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    finished = run("predict", f"ckpt_path={checkpoint}", CPU, "images=in", "hydra.run.dir=out")
    assert finished.code == 1 and "1 of 2 files have no prediction" in finished.text
    assert [row["error"][:30] for row in table(tmp_path / "out") if row["error"]] == ["not an image that can be read "]


def test_a_checkpoint_that_was_not_calibrated_says_so(run, checkpoint, photos, tmp_path):
    photos(tmp_path / "in", 1)
    last = checkpoint.with_name("last.ckpt")
    assert "is not calibrated: best.ckpt" in run("predict", f"ckpt_path={last}", CPU, "images=in").text
    assert "is not calibrated" not in run("predict", f"ckpt_path={checkpoint}", CPU, "images=in").text
