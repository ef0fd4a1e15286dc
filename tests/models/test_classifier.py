"""The classifier's preprocessing and loss; and every shipped network trains on a batch."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir

import fakereal.config
from fakereal.config.build import build
from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.metrics import binary_metrics, training_metrics
from fakereal.models.classifier import Classifier
from fakereal.models.epoch_figures import EpochFigures, Seen
from fakereal.runtime.errors import UserError

CONF = Path(fakereal.config.CONF)
NETWORKS = sorted({path.stem for path in (CONF / "model").glob("*.yaml")} - {"timm"})


def batch(size=32, count=4):
    images = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8)
    label = torch.arange(count).remainder(2).float()
    return {"image": images, "label": label, "weight": torch.full((count,), 1 / count)}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n == "vgg16" else n for n in NETWORKS])
def test_every_shipped_network_trains_on_a_cifake_batch(name):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", [f"model={name}", "model.pretrained=false"]).model
    classifier = build(cfg)
    if cfg.normalization == "dataset":
        classifier.normalize_by({"mean": [0.5] * 3, "std": [0.25] * 3})
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.01)
    before = classifier.backbone.get_classifier().weight.clone()
    loss, seen = classifier._step(batch(), "fit")
    loss.backward()
    optimizer.step()
    assert seen.logits.shape == (4,) and torch.isfinite(loss)
    assert all(p.grad is not None for p in classifier.parameters())
    assert not torch.equal(before, classifier.backbone.get_classifier().weight)


def test_pixels_are_resized_and_normalised_inside():
    classifier = Classifier("test_resnet", image_size=48, normalization={"mean": [0.1, 0.2, 0.3], "std": [1, 2, 4]})
    seen = []
    classifier.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.randint(0, 256, (2, 3, 32, 40), dtype=torch.uint8)
    classifier.eval()(images)
    expected = F.interpolate(images / 255.0, (48, 48), mode="bilinear", antialias=True)
    expected = (expected - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor([1.0, 2, 4]).view(3, 1, 1)
    torch.testing.assert_close(seen[0], expected)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


def test_loss_is_binary_cross_entropy_of_fake_with_smoothing_and_weight():
    classifier = Classifier("test_resnet", label_smoothing=0.2, pos_weight=3.0).eval()
    given = batch()
    loss, seen = classifier._step(given, "fit")
    p = torch.sigmoid(seen.logits)
    target = given["label"] * 0.8 + 0.1
    expected = -(3 * target * p.log() + (1 - target) * (1 - p).log()).mean()
    torch.testing.assert_close(loss, expected)
    plain, _ = classifier._step(given, "val")
    torch.testing.assert_close(plain, F.binary_cross_entropy(p, given["label"]))


def test_padding_weighs_nothing_in_loss_and_metrics():
    classifier = Classifier("test_resnet").eval()
    given = batch(count=3)
    given["weight"] = torch.tensor([0.5, 0.5, 0.0])
    loss, seen = classifier._step(given, "val")
    expected = F.binary_cross_entropy_with_logits(seen.logits[:2], given["label"][:2])
    torch.testing.assert_close(loss, expected)
    logits, label = classifier.validation_figures.count(seen, padded=True)
    assert len(logits) == len(label) == 2
    torch.testing.assert_close(classifier.validation_figures.loss.compute(), expected)


@pytest.mark.parametrize("figures", [{"mean": [0.5], "std": [1.0]}, {"mean": [0, 0, 0], "std": [1, 1, 0]}])
def test_impossible_normalization_is_refused(figures):
    with pytest.raises(UserError, match=r"model.normalization"):
        Classifier("test_resnet", normalization=figures)


def test_channels_last_and_default_layout_agree():
    images = batch()["image"]
    one = Classifier("test_resnet", channels_last=True).eval()
    other = Classifier("test_resnet", channels_last=False).eval()
    other.load_state_dict(one.state_dict())
    torch.testing.assert_close(one(images), other(images), rtol=1e-4, atol=1e-5)


def test_a_loss_that_is_no_number_stays_in_the_mean():
    figures = EpochFigures(training_metrics())
    losses = torch.tensor([0.1, float("nan"), 0.3])
    figures.count(Seen(losses, torch.zeros(3), torch.ones(3), torch.ones(3)), padded=False)
    assert figures.loss.compute().isnan()


@pytest.mark.parametrize("threshold", [0.5, 0.3, 0.9])
def test_a_probability_at_the_threshold_is_fake_in_training_and_validation_as_in_a_test(threshold):
    probabilities = torch.tensor([threshold, threshold, np.nextafter(np.float32(threshold), np.float32(0)), 1])
    labels = torch.tensor([0, 1, 1, 1])
    tested = Evaluation(labels.numpy(), probabilities.numpy(), np.float32(threshold)).flat("")
    validated = {name: value.item() for name, value in binary_metrics(threshold)(probabilities, labels).items()}
    assert validated == pytest.approx({name: tested[name] for name in validated})
    if threshold == 0.5:
        assert training_metrics()(probabilities, labels)["accuracy"].item() == tested["accuracy"] == 0.5


def test_balanced_weighs_both_classes_the_same():
    classifier = Classifier("test_resnet", pos_weight="balanced")
    labels = np.repeat([0.0, 1.0], [30, 10])
    classifier.trainer = SimpleNamespace(
        datamodule=SimpleNamespace(rows_of=lambda name: SimpleNamespace(labels=labels))
    )
    classifier.setup("fit")
    assert classifier.pos_weight.item() == pytest.approx(3) and classifier.hparams.pos_weight == pytest.approx(3)
