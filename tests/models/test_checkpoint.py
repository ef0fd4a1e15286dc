"""Checkpoints that cannot be used are told as such, and code in them never runs."""

import os
import pickle
import zipfile

import pytest
import torch

from fakereal.models.checkpoint import load_classifier, read_checkpoint
from fakereal.runtime.errors import UserError


def refusal(path) -> str:
    with pytest.raises(UserError) as caught:
        load_classifier(path)
    assert f"ckpt_path={path}" in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def test_missing(tmp_path):
    assert "does not exist" in refusal(tmp_path / "none.ckpt")
    assert f"is a folder. Give a checkpoint: ckpt_path={tmp_path / 'FILE'}" in refusal(tmp_path)
    for inside in ("best.ckpt", "checkpoints/best.ckpt"):
        (tmp_path / inside).parent.mkdir(exist_ok=True)
        (tmp_path / inside).touch()
        assert f"Give a checkpoint: ckpt_path={tmp_path / inside}" in refusal(tmp_path)


def test_truncated_at_many_places(checkpoint, tmp_path):
    whole = checkpoint.read_bytes()
    for share in (0, 0.001, 0.1, 0.5, 0.9, 0.999):
        cut = tmp_path / "cut.ckpt"
        cut.write_bytes(whole[: int(len(whole) * share)])
        assert "Copy it again" in refusal(cut)


def test_altered_bits_of_the_weights(checkpoint, tmp_path):
    whole, altered = checkpoint.read_bytes(), tmp_path / "altered.ckpt"
    with zipfile.ZipFile(checkpoint) as archive:
        weights = max(archive.infolist(), key=lambda member: member.file_size)
    place = weights.header_offset + 200 + weights.file_size // 2
    altered.write_bytes(whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :])
    assert "altered. Copy it again" in refusal(altered)


def test_paths_that_cannot_be(tmp_path):
    for name in ("n" * 300, "~nobody-here/x.ckpt", "a\0b"):
        assert "does not exist" in refusal(name)


def test_text_and_foreign_files(tmp_path):
    text = tmp_path / "a.ckpt"
    text.write_text("not a checkpoint")
    assert "Copy it again" in refusal(text)
    foreign = tmp_path / "b.ckpt"
    torch.save({"state_dict": {}}, foreign)
    assert "was not written by fakereal.train" in refusal(foreign)
    torch.save([1, 2], foreign)
    assert "was not written by fakereal.train" in refusal(foreign)


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_checkpoint_is_never_executed(checkpoint, tmp_path, legacy):
    mark, bad = tmp_path / "executed", tmp_path / "bad.ckpt"
    contents = torch.load(checkpoint, weights_only=True) | {"extra": Evil(mark)}
    torch.save(contents, bad, _use_new_zipfile_serialization=not legacy)
    text = refusal(bad)
    assert legacy or "contains code besides weights, which is not executed" in text
    bad.write_bytes(pickle.dumps(Evil(mark)))
    refusal(bad)
    assert not mark.exists()


def test_another_class_order(checkpoint, tmp_path):
    contents = torch.load(checkpoint, weights_only=True)
    contents["fakereal"]["classes"] = ["FAKE", "REAL"]
    torch.save(contents, tmp_path / "turned.ckpt")
    assert "was trained with the classes FAKE, REAL; here they are REAL, FAKE" in refusal(tmp_path / "turned.ckpt")


def test_a_later_format_and_other_weights(checkpoint, tmp_path):
    contents = torch.load(checkpoint, weights_only=True)
    later = contents | {"fakereal": contents["fakereal"] | {"format": 99}}
    torch.save(later, tmp_path / "later.ckpt")
    assert "Update the package" in refusal(tmp_path / "later.ckpt")
    del contents["state_dict"]["backbone.fc.weight"]
    torch.save(contents, tmp_path / "less.ckpt")
    assert "holds the weights of another network" in refusal(tmp_path / "less.ckpt")


def test_a_good_one_is_read_whole(checkpoint):
    assert read_checkpoint(checkpoint)["fakereal"]["data"]["size"] == 32
    loaded = load_classifier(str(checkpoint))
    assert not loaded.classifier.training and len(loaded.digest) == 64 and loaded.classifier.threshold == 0.5


@pytest.mark.parametrize("key", ["class", "size", "aspect", "filter", "batch_size", "images"])
def test_what_it_must_say_of_its_data(checkpoint, tmp_path, key):
    for value in (None, [1]):
        contents = torch.load(checkpoint, weights_only=True)
        contents["fakereal"]["data"][key] = value
        torch.save(contents, tmp_path / "altered.ckpt")
        assert f"was altered: its fakereal.data.{key} is not valid" in refusal(tmp_path / "altered.ckpt")
    del contents["fakereal"]["data"][key]
    torch.save(contents, tmp_path / "altered.ckpt")
    assert f"was altered: its fakereal.data.{key} is not valid" in refusal(tmp_path / "altered.ckpt")


@pytest.mark.parametrize("name", ["model.onnx", "model.pt2"])
def test_an_export_for_use_elsewhere_is_told_from_a_damaged_file(tmp_path, name):
    (tmp_path / name).write_bytes(b"whatever")
    with pytest.raises(UserError, match=r"is an export for use elsewhere\. Give the checkpoint"):
        read_checkpoint(tmp_path / name)
