"""Maps of networks that look at a known place."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from fakereal.explanation.evidence import EvidenceMap, MeanMap
from fakereal.explanation.layers import NoMap
from fakereal.models.classifier import Classifier

KINDS = ("lenet5", "cnn", "test_vit", "test_vit2", "swin_tiny_patch4_window7_224")


@pytest.mark.parametrize("name", KINDS)
def test_maps_point_at_what_decides(trained, patches, name):
    classifier = trained(name)
    images, labels, masks = patches(64, 1)
    with torch.no_grad():
        assert ((classifier(images) > 0) == labels.bool()).float().mean() > 0.9, "it has not learned the patch"
    fake = labels.bool()
    maps = EvidenceMap(classifier)(images[fake], fake[fake]).numpy()
    masks = masks[fake.numpy()]
    assert maps.shape == masks.shape and maps.dtype == np.float32
    assert maps.min() >= 0 and np.isin(maps.max((1, 2)), (0, 1)).all()
    inside = (maps * masks).sum() / masks.sum()
    outside = (maps * ~masks).sum() / (~masks).sum()
    assert inside > 2 * outside and inside > 0.3


def test_a_map_for_real_is_that_of_the_negative_logit(trained, patches):
    classifier = trained("lenet5")
    images, labels, masks = patches(32, 2)
    fake = labels.bool()
    cam = EvidenceMap(classifier)
    against = cam(images[fake], torch.zeros(16, dtype=torch.bool)).numpy()
    masks = masks[fake.numpy()]
    assert (against * masks).sum() / masks.sum() < (against * ~masks).sum() / (~masks).sum()
    turned = Classifier("lenet5", image_size=32, channels_last=False).eval()
    turned.load_state_dict(classifier.state_dict())
    with torch.no_grad():
        for parameter in turned.backbone.fc.parameters():
            parameter.neg_()
    assert np.array_equal(EvidenceMap(turned)(images[fake], fake[fake]).numpy(), against)


@pytest.mark.parametrize("name", ["lenet5", "cnn", "test_vit"])
def test_random_weights_change_the_maps(trained, patches, name):
    """The sanity check of Adebayo et al. 2018, arXiv 1810.03292: a map must depend on what was learned."""
    classifier = trained(name)
    images, labels, _ = patches(64, 3)
    fake = labels.bool()
    maps = EvidenceMap(classifier)(images[fake], fake[fake]).numpy()
    again = EvidenceMap(classifier)(images[fake], fake[fake]).numpy()
    assert np.array_equal(maps, again), "and on nothing else"
    hparams = {key: classifier.hparams[key] for key in ("backbone", "backbone_kwargs", "image_size", "channels_last")}
    correlations = []
    for seed in range(4):
        torch.manual_seed(seed)
        random = EvidenceMap(Classifier(**hparams).eval())
        for cls in (fake[fake], ~fake[fake]):  # for one of them nothing may speak, whatever the image
            others = random(images[fake], cls).numpy()
            pairs = [(one.ravel(), other.ravel()) for one, other in zip(maps, others, strict=True) if other.any()]
            correlations += [spearmanr(one, other).statistic for one, other in pairs]
    assert len(correlations) > 64
    assert abs(np.mean(correlations)) < 0.35


@pytest.mark.parametrize("name", [*KINDS, "test_convnext"])
def test_a_batch_gives_the_maps_of_its_images(trained, patches, name):
    size = 32
    if name == "test_convnext":
        torch.manual_seed(0)
        classifier, size = Classifier(name, image_size=128).eval(), 128
    else:
        classifier = trained(name)
    assert classifier.hparams.image_size == size
    images, _, _ = patches(5, 4)
    fake = torch.tensor([True, False, True, True, False])
    cam = EvidenceMap(classifier)
    single = torch.cat([cam(images[n : n + 1], fake[n : n + 1]) for n in range(5)])
    whole = cam(images, fake)
    assert whole.any() and torch.allclose(whole, single, atol=1e-4)
    assert all(parameter.grad is None or name != "test_convnext" for parameter in classifier.parameters())


def test_frozen_networks_and_the_inference_mode_of_a_caller_make_no_difference(trained, patches):
    classifier = trained("cnn")
    images, labels, _ = patches(8, 6)
    expected = EvidenceMap(classifier)(images, labels.bool())
    wanted = [parameter.requires_grad for parameter in classifier.parameters()]
    try:
        classifier.requires_grad_(False)
        with torch.no_grad():
            maps = EvidenceMap(classifier)(images, labels.bool())
    finally:
        for parameter, want in zip(classifier.parameters(), wanted, strict=True):
            parameter.requires_grad_(want)
    assert torch.equal(maps, expected)


def test_the_mirror_of_flip_has_its_share(trained, patches):
    classifier = trained("cnn")
    images, labels, _ = patches(8, 7)
    fake = labels.bool()
    try:
        classifier.hparams.tta = "flip"
        maps, mirrored = EvidenceMap(classifier)(images, fake), EvidenceMap(classifier)(images.flip(-1), fake)
    finally:
        classifier.hparams.tta = "none"
    assert torch.allclose(maps, mirrored.flip(-1), atol=1e-5)
    assert not torch.allclose(maps, EvidenceMap(classifier)(images, fake), atol=1e-2)


def test_a_named_layer_that_is_the_last_one_gives_the_same_map(trained, patches):
    classifier = trained("cnn")
    images, labels, _ = patches(8, 8)
    fake = labels.bool()
    expected = EvidenceMap(classifier)(images, fake)
    assert torch.allclose(EvidenceMap(classifier, "blocks")(images, fake), expected, atol=1e-6)
    assert not torch.allclose(EvidenceMap(classifier, "blocks.0")(images, fake), expected, atol=1e-2)


def test_an_ensemble_has_the_mean_map(trained, patches):
    images, labels, _ = patches(8, 9)
    fake = labels.bool()
    members = [trained("lenet5"), trained("cnn")]
    mean = sum(EvidenceMap(member)(images, fake) for member in members) / 2
    expected = mean / mean.amax((1, 2), keepdim=True).clamp(min=1e-9)
    assert torch.allclose(MeanMap(members)(images, fake), expected, atol=1e-6)


def test_a_map_of_one_cell_is_refused_with_the_layer_to_use(patches):
    images, labels, _ = patches(4, 10)
    torch.manual_seed(0)
    classifier = Classifier("resnet18", image_size=32).eval()
    with pytest.raises(NoMap, match=r"1 x 1 cells .* use layer=layer2, whose map has 4 x 4 cells"):
        EvidenceMap(classifier)(images, labels.bool())
    with pytest.raises(NoMap, match=r"layer=layer4 is a map of 1 x 1"):
        EvidenceMap(classifier, "layer4")(images, labels.bool())
    assert EvidenceMap(classifier, "layer2")(images, labels.bool()).any()


def test_layers_without_a_map_are_told(trained, patches):
    images, labels, _ = patches(4, 11)
    for name, layer in (("lenet5", "hidden"), ("lenet5", "nowhere"), ("cnn", "fc")):
        with pytest.raises(NoMap, match=rf"^layer={layer}.* use layer=[\w.]+, whose map has"):
            EvidenceMap(trained(name), layer)(images, labels.bool())
    with pytest.raises(NoMap, match=r"^layer=blocks.2: the answer does not depend on .*: leave layer out"):
        EvidenceMap(trained("test_vit"), "blocks.2")(images, labels.bool())
