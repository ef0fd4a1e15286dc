"""Image sets of one's own: what they must be, and that nothing else is taken for it."""

import lightning as L
import numpy as np
import pytest
import torch

from fakereal.data.datamodule import ImageDataModule
from fakereal.data.image_set import InMemory
from fakereal.models.classifier import Classifier
from fakereal.runtime.errors import UserError

COUNT, SIDE = 60, 48
LABELS = np.arange(COUNT) % 2


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.mark.parametrize("labels", [LABELS, list(LABELS), LABELS.astype(bool), LABELS.astype(float)])
def test_labels_of_any_type_are_the_same_images(pixels, labels):
    images = InMemory(pixels, labels)
    assert images.digest == InMemory(pixels, LABELS).digest
    np.testing.assert_array_equal(images.table["label"], LABELS)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda given: given | {"labels": np.arange(COUNT) % 3}, "not 0, 1, 2"),
        (lambda given: given | {"labels": 2 * LABELS - 1}, "not -1, 1"),
        (lambda given: given | {"labels": LABELS * 0.3}, "not 0.0, 0.3"),
        (lambda given: given | {"labels": LABELS[1:]}, "for each of 60 images"),
        (lambda given: given | {"pixels": given["pixels"] / 255}, "pixels must be uint8 (N, H, W, 3), not float64"),
        (lambda given: given | {"pixels": given["pixels"].transpose(0, 3, 1, 2)}, "(60, 3, 48, 48)"),
        (lambda given: given | {"names": ["one", "two"]}, "2 names for 60 images"),
    ],
)
def test_other_arrays_are_refused_in_words(pixels, change, said):
    with pytest.raises(UserError) as raised:
        InMemory(**change({"pixels": pixels, "labels": LABELS}))
    assert said in str(raised.value)


def of(images, name="Arrays"):
    return type(name, (ImageDataModule,), {"open_images": lambda self: images})


def test_images_must_have_the_size_that_later_ones_are_resized_to(pixels):
    arrays = of(InMemory(pixels, LABELS))
    with pytest.raises(UserError, match=r"images of Arrays are 48 x 48 pixels, and data.size=32"):
        arrays(size=32).setup("fit")
    data = arrays(size=SIDE)
    data.setup("fit")
    assert sum(map(len, data.splits.values())) == COUNT


def test_a_class_cannot_have_the_name_of_another_that_a_test_would_open(pixels):
    data = of(InMemory(pixels, LABELS), "Synthetic")(size=SIDE)
    trainer = L.Trainer(accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False)
    with pytest.raises(UserError, match="take this Synthetic for fakereal's own"):
        trainer.fit(Classifier("lenet5", optimizer=torch.optim.AdamW), datamodule=data)
