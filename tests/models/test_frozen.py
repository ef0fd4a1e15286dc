"""The features of a frozen backbone are computed once, and train the last layer as the backbone would each epoch."""

import lightning as L
import pytest
import torch

from fakereal.data.synthetic import Synthetic
from fakereal.data.transforms.augment import Augment
from fakereal.models import frozen
from fakereal.models.classifier import Classifier

OPTIONS = {
    "accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
    "num_sanity_val_steps": 0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    """Of other tests."""
    monkeypatch.setattr(frozen, "_kept", None)


class Passes(L.Callback):
    """How often the backbone answers in training and in validation."""

    def on_fit_start(self, trainer, module):
        self.count, self.features = 0, None
        self.begun = {name: value.clone() for name, value in module.named_parameters()}
        module.backbone.register_forward_hook(self.see)

    def see(self, *_):
        self.count += 1

    def on_train_start(self, trainer, module):
        self.features = module.frozen


def trained(tmp_path, name="test_resnet", augment=None, epochs=3, data=None, options=None, **hparams):
    L.seed_everything(1, verbose=False)
    data = data or Synthetic(count=200, batch_size=32, augment=augment)
    hparams = {"freeze": "backbone", "optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.1), **hparams}
    classifier, passes = Classifier(name, **hparams), Passes()
    options = {"max_epochs": epochs, "callbacks": [passes], "default_root_dir": tmp_path, **OPTIONS, **(options or {})}
    trainer = L.Trainer(**options)
    trainer.fit(classifier, datamodule=data)
    figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
    return classifier.state_dict(), figures, passes


@pytest.mark.parametrize(
    ("name", "augment", "hparams"),
    [
        ("test_resnet", Augment(), {}),
        ("test_resnet", Augment(horizontal_flip=0.5), {"tta": "flip"}),
        ("test_resnet", Augment(horizontal_flip=0.5), {"drop_path_rate": 0.5, "normalization": "dataset"}),
        ("test_vit", Augment(), {"image_size": 160}),
        ("test_convnext", Augment(), {"image_size": 64}),
        ("test_efficientnet", Augment(), {"image_size": 64}),
        ("mobilenetv3_small_050", Augment(), {"image_size": 64}),
        ("lenet5", Augment(horizontal_flip=1.0), {}),
    ],
)
def test_they_train_to_the_same_weights(tmp_path, monkeypatch, name, augment, hparams):
    once = trained(tmp_path, name, augment, **hparams)
    views = (1 + (augment.horizontal_flip > 0)) * 5 + 1 + ("tta" in hparams)  # 144 and 16 images, 32 at a time
    assert once[2].features is not None and once[2].count == views
    monkeypatch.setattr("fakereal.models.classifier.frozen_features", lambda *_: None)
    anew = trained(tmp_path, name, augment, **hparams)
    assert anew[2].features is None and anew[2].count == 3 * (5 + 1 + ("tta" in hparams))
    moved = [key for key, value in once[2].begun.items() if not torch.equal(value, once[0][key])]
    assert len(moved) == 2, "weight and bias of the last layer"
    for key, value in once[0].items():
        torch.testing.assert_close(value, anew[0][key], rtol=1e-3, atol=1e-5)
    assert once[1] == pytest.approx(anew[1], abs=1e-4) and "val/loss" in once[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"augment": Augment(horizontal_flip=0.5, crop_padding=4)},
        {"drop_rate": 0.1},
        {"freeze": 2},
        {"freeze": "none"},
        {"augment": Augment(horizontal_flip=0.5), "epochs": 1},
        {"options": {"limit_train_batches": 2}},
        {"options": {"limit_val_batches": 1}},
        {"name": "deit_tiny_distilled_patch16_224", "image_size": 32},
    ],
)
def test_a_backbone_whose_answers_differ_or_are_few_is_asked_each_time(tmp_path, changes):
    *_, passes = trained(tmp_path, **changes)
    assert passes.features is None


def test_too_many_are_not_kept_and_told(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(frozen, "LIMIT", 1000)
    with caplog.at_level("INFO"):
        *_, passes = trained(tmp_path)
    assert passes.features is None and passes.count == 3 * 6 + 1, "and the one that told their size"
    assert "answers of the frozen backbone are not kept: they take 0.0 GiB, more than 0.0" in caplog.text


def test_a_last_layer_that_is_not_all_of_the_answer_is_noticed(tmp_path, monkeypatch, caplog):
    forward_head = Classifier("test_resnet").backbone.__class__.forward_head
    monkeypatch.setattr(
        "timm.models.resnet.ResNet.forward_head", lambda self, *args, **kwargs: 2 * forward_head(self, *args, **kwargs)
    )
    with caplog.at_level("INFO"):
        *_, passes = trained(tmp_path)
    assert passes.features is None and "its last layer alone does not make its answer" in caplog.text


def test_the_next_training_of_a_process_takes_what_it_would_compute_again(tmp_path):
    data = Synthetic(count=200, batch_size=32)
    first, once, passes = trained(tmp_path, data=data)
    assert passes.count == 6
    for changes, count in [
        ({"optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.2)}, 0),
        ({"normalization": {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5]}}, 6),
        ({"tta": "flip"}, 7),
        ({"data": Synthetic(count=202, batch_size=32), "tta": "flip"}, 7),
        ({}, 6),
        ({"epochs": 1}, 0),
        ({"freeze": "none", "epochs": 1}, 6),
        ({}, 6),
        ({}, 0),
    ]:
        weights, figures, passes = trained(tmp_path, **{"data": data, **changes})
        assert passes.count == count, changes
    assert figures == once
    assert all(torch.equal(first[name], value) for name, value in weights.items())
