"""Train images that also stand in test: told, and left out on demand."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fakereal.data.folder import Folder
from fakereal.evaluation.evaluation import Evaluation
from fakereal.testing.trained_on import figures_without_leaked, rows_of_training


@pytest.fixture
def leaky(tmp_path, image_tree):
    """20 images of each class in train and test; 4 FAKE ones of train also stand in test, 1 of them as other bytes."""
    tree = image_tree(tmp_path / "tree", 20, ending="png")
    for number in range(4):
        source = tree / "train" / "FAKE" / f"{number:04d} ({number % 10 + 1}).png"
        shutil.copy(source, tree / "test" / "FAKE" / f"leak{number}.png")
    Image.open(source).save(tree / "test" / "FAKE" / "leak3.png", compress_level=0)
    return tree


def opened(tree, stage="fit", **options):
    data = Folder(root=str(tree), size=32, val_fraction=0.3, **options)
    data.setup(stage)
    return data


def shared(data, name):
    pixels = data.images.table["pixel_hash"]
    return np.isin(pixels[data.splits[name].rows], pixels[data.splits["test"].rows]).sum()


def warnings(caplog):
    """Those of duplicates: another is about validations as small as these."""
    return [record for record in caplog.records if record.levelname == "WARNING" and "best.ckpt" not in record.message]


def test_training_warns_of_them(leaky, caplog):
    data = opened(leaky)
    counts = {name: shared(data, name) for name in ("train", "val")}
    assert sum(counts.values()) == 4
    [record] = warnings(caplog)
    for name, count in counts.items():
        assert (f"{count} of {len(data.splits[name])} {name}" in record.message) == (count > 0)
    assert "data.drop_duplicates=true" in record.message


def test_nothing_is_said_where_there_are_none_or_nobody_trains(leaky, tmp_path, image_tree, caplog):
    opened(leaky, stage="test")
    opened(leaky, drop_duplicates=True)
    opened(image_tree(tmp_path / "clean", 10))
    assert not warnings(caplog)


def test_training_warns_of_validation_images_that_are_also_in_train(tmp_path, image_tree, caplog):
    """Copies of the same bytes go to one split together; the same pixels in another format do not."""
    tree = image_tree(tmp_path / "tree", 20, ending="png")
    for path in [*(tree / "train").rglob("*.png")]:
        shutil.copy(path, path.with_name(f"copy of {path.name}"))
    data = opened(tree)
    assert not warnings(caplog)
    for path in [*(tree / "train").rglob("copy*.png")]:
        Image.open(path).save(path.with_suffix(".bmp"))
        path.unlink()
    data = opened(tree)
    pixels = data.images.table["pixel_hash"]
    count = np.isin(pixels[data.splits["val"].rows], pixels[data.splits["train"].rows]).sum()
    [record] = warnings(caplog)
    assert count > 5 and record.message.startswith(f"{count} of {len(data.splits['val'])} validation images are also")


def test_they_are_left_out_and_all_others_stay_where_they_are(leaky):
    whole, dropped = opened(leaky), opened(leaky, drop_duplicates=True)
    np.testing.assert_array_equal(whole.splits["test"].rows, dropped.splits["test"].rows)
    for name in ("train", "val"):
        assert shared(dropped, name) == 0
        gone = np.setdiff1d(whole.splits[name].rows, dropped.splits[name].rows)
        assert len(gone) == shared(whole, name)
        assert set(dropped.splits[name].rows) <= set(whole.splits[name].rows)
    assert len(dropped.splits["train"]) + len(dropped.splits["val"]) == 36
    assert dropped.settings["drop_duplicates"] is True


def test_generated_images_have_none(caplog):
    from fakereal.data.synthetic import Synthetic

    data = Synthetic(count=100, drop_duplicates=True)
    data.setup("fit")
    assert sum(map(len, data.splits.values())) == 100 and not warnings(caplog)


def test_a_training_without_them_has_no_leaked_test_images(leaky, run, quick, tmp_path):
    words = (*quick, "data=folder", f"data.root={leaky}", "data.size=32", "data.val_fraction=0.3", "threads=1")
    words = tuple(word for word in words if word != "data.count=200" and word != "data=synthetic")
    told = run("train", *words)
    assert told.code == 0 and "also in the test split" in told.text
    quiet = run("train", *words, "data.drop_duplicates=true", f"hydra.run.dir={tmp_path / 'dropped'}")
    assert quiet.code == 0 and "also in the test split" not in quiet.text
    for name, leaked in (("run", True), ("dropped", False)):
        ckpt_path = tmp_path / name / "checkpoints" / "best.ckpt"
        tested = run("test", f"ckpt_path={ckpt_path}", f"hydra.run.dir={tmp_path / 'test' / name}", "threads=1")
        figures = json.loads((tmp_path / "test" / name / "metrics.json").read_text())
        assert tested.code == 0 and ("test/without_leaked/accuracy" in figures) == leaked


def test_a_network_that_saw_them_is_told_of_them_whatever_the_test_leaves_out(leaky):
    data = opened(leaky, "test", drop_duplicates=True)
    labels, digest = data.splits["test"].labels, data.images.digest
    evaluation = Evaluation(labels, labels.astype(float), 0.5)
    none = {"trained": None, "trained_before": None}
    seen, unseen = (
        SimpleNamespace(data=data.settings | {"drop_duplicates": dropped, "images": digest}, **none)
        for dropped in (False, True)
    )
    for members in ([seen], [unseen, seen]):
        told = figures_without_leaked(evaluation, data, rows_of_training(data, members))
        assert told["test/without_leaked/images"] == len(labels) - 4
    assert figures_without_leaked(evaluation, data, rows_of_training(data, [unseen])) == {}
