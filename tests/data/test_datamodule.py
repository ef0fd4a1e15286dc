"""What a data module says of its images."""

import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from fakereal.data.folder import Folder
from fakereal.data.synthetic import Synthetic
from fakereal.data.transforms.augment import Augment


def synthetic(**given) -> Synthetic:
    data = Synthetic(**given)
    data.prepare_data()
    data.setup("fit")
    return data


def test_images_are_opened_once(image_tree, tmp_path):
    """Lightning prepares the data again for each validation and test: files may have come or gone meanwhile."""
    tree = image_tree(tmp_path / "tree", 20)
    data = Folder(root=str(tree))
    data.prepare_data()
    data.setup("fit")
    images = data.images
    shutil.rmtree(tree)
    data.prepare_data()
    data.setup("test")
    assert data.images is images


def test_images_too_small_to_be_left_as_they_are_are_told(image_tree, tmp_path, caplog):
    """Were one class enlarged alone, the network would learn that."""
    tree = image_tree(tmp_path / "tree", 20)
    for number, file in enumerate(sorted((tree / "train" / "REAL").iterdir())[:9]):
        Image.new("RGB", (40, 50 + number)).save(file)
    for aspect, size, expected in (("native", 33, True), ("native", 32, False), ("crop", 33, False)):
        caplog.clear()
        Folder(root=str(tree), aspect=aspect, size=size, val_fraction=0.5).setup("fit")
        [*said] = [line for line in caplog.messages if "are enlarged" in line]
        assert bool(said) == expected, (aspect, size, caplog.messages)
        if said:
            assert re.search(r"native: [567] REAL and 10 FAKE images of train .* data.size=33", said[0]), said


@pytest.mark.parametrize("given", [{"count": 700}, {"count": 60, "size": 48}])
def test_channel_statistics_are_exact(given):
    data = synthetic(**given)
    pixels = data.images.gather(data.splits["train"].rows).reshape(-1, 3) / 255.0
    mean, std = data.channel_statistics()
    np.testing.assert_allclose(mean, pixels.mean(0), atol=6e-7)  # six digits
    np.testing.assert_allclose(std, pixels.std(0), atol=6e-7)


def test_a_constant_channel_has_a_spread_to_divide_by(monkeypatch):
    data = synthetic(count=80)
    monkeypatch.setattr(data.images, "gather", lambda rows: np.full((len(rows), 32, 32, 3), 77, np.uint8))
    assert data.channel_statistics() == ([0.301961] * 3, [0.001] * 3)


def test_each_epoch_of_training_has_an_order_of_its_own_and_validation_has_none():
    data = synthetic(count=200)
    loader, orders = data.train_dataloader(), []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        orders.append(np.concatenate([batch["index"].numpy() for batch in loader]))
    in_place = np.arange(len(data.splits["train"]))
    assert all((np.sort(order) == in_place).all() and (order != in_place).any() for order in orders)
    assert (orders[0] != orders[1]).any()
    dealt = np.concatenate([batch["index"].numpy() for batch in data.val_dataloader()])
    assert (dealt == np.arange(len(data.splits["val"]))).all()


def test_training_alone_is_augmented():
    data = synthetic(count=60, augment=Augment(horizontal_flip=1.0))
    stored = next(iter(data.val_dataloader()))
    for training in (True, False):
        data.trainer = SimpleNamespace(training=training, current_epoch=0)
        batch = data.on_after_batch_transfer(data.on_before_batch_transfer(dict(stored), 0), 0)
        assert torch.equal(batch["image"], stored["image"].flip(-1) if training else stored["image"])
