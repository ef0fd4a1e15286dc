"""The networks that timm lacks, the stem for small images, freezing."""

import copy
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
import yaml
from torch import nn

from fakereal.models.backbones import create_backbone, eval_frozen_modules, set_frozen
from fakereal.models.backbones.cnn import CNN, Residual
from fakereal.models.backbones.layers import GridPool
from fakereal.runtime.errors import UserError

OURS = ["lenet5", "alexnet", "cnn"]
CONFIGS = sorted(path for path in (Path(__file__).parents[2] / "conf/model").glob("*.yaml") if path.stem != "timm")


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    """Each of our networks with ten classes, in eval mode: built once, since AlexNet takes a second."""
    return {name: timm.create_model(name, num_classes=10).eval() for name in OURS}


@pytest.mark.parametrize("name", OURS)
def test_a_network_of_ours_is_one_of_timms(name):
    assert timm.is_model(name)
    assert name in timm.list_models()


@pytest.mark.parametrize(("name", "size"), [("lenet5", 32), ("cnn", 32), ("alexnet", 64)])
def test_head_of_features_is_forward(networks, name, size):
    network = networks[name]
    images = torch.rand(2, 3, size, size)
    features = network.forward_features(images)
    assert features.shape[:2] == (2, network.num_features)
    assert torch.equal(network.forward_head(features), network(images))
    pre_logits = network.forward_head(features, pre_logits=True)
    assert pre_logits.shape == (2, network.head_hidden_size)
    assert torch.equal(network.get_classifier()(pre_logits), network(images))


@pytest.mark.parametrize("name", OURS)
def test_pretrained_cfg_names_the_first_convolution_and_the_classifier(networks, name):
    network, cfg = networks[name], networks[name].pretrained_cfg
    assert cfg is network.default_cfg
    assert isinstance(network.get_submodule(cfg["first_conv"]), nn.Conv2d)
    assert network.get_submodule(cfg["classifier"]) is network.get_classifier()
    assert len(cfg["mean"]) == len(cfg["std"]) == 3


@pytest.mark.parametrize("name", ["lenet5", "cnn"])
def test_classes_and_channels_are_arguments(name):
    network = timm.create_model(name, num_classes=7, in_chans=1)
    images = torch.rand(2, 1, 32, 32)
    assert network(images).shape == (2, 7)
    network.reset_classifier(0)
    assert network(images).shape == (2, network.head_hidden_size)
    network.reset_classifier(3)
    assert network(images).shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("lenet5", [(16, 16), (28, 28), (33, 47)]), ("cnn", [(8, 8), (33, 47)]), ("alexnet", [(63, 63), (65, 130)])],
)
def test_any_size_from_the_smallest(networks, name, sizes):
    for size in sizes:
        assert networks[name](torch.rand(1, 3, *size)).shape == (1, 10)
    smallest = networks[name].min_size
    assert sizes[0] == (smallest, smallest)
    assert min(networks[name].forward_features(torch.rand(1, 3, smallest, 2 * smallest)).shape[-2:]) == 1
    with pytest.raises(UserError, match=rf"model\.image_size.*at least {smallest}.*backbone={name}.*{smallest - 1} x"):
        networks[name](torch.rand(1, 3, smallest - 1, 2 * smallest))


def test_lenet5_has_the_parameters_of_the_classic():
    # 3 channels: 456 + 2,416 + 48,120 + 10,164 + 85 for one logit (850 for ten classes: the usual 62,006)
    assert parameters(timm.create_model("lenet5", num_classes=1)) == 61_241
    assert parameters(timm.create_model("lenet5", num_classes=10)) == 62_006


@pytest.mark.parametrize("name", ["lenet5", "cnn"])
def test_relu_after_the_maximum_gives_what_it_gives_before(name):
    """The logits and all gradients, to the last bit."""
    network = timm.create_model(name, num_classes=1)
    usual, swapped = copy.deepcopy(network), 0
    for block in [module for module in usual.modules() if isinstance(module, nn.Sequential)]:
        for index in range(len(block) - 1):
            if isinstance(block[index], nn.MaxPool2d) and isinstance(block[index + 1], nn.ReLU):
                block[index], block[index + 1] = block[index + 1], block[index]
                swapped += 1
    assert swapped == {"lenet5": 2, "cnn": 3}[name]
    images = torch.randn(8, 3, 32, 32)
    logits = [one(images) for one in (network, usual)]
    assert torch.equal(*logits)
    for one in logits:
        one.square().sum().backward()
    pairs = zip(network.parameters(), usual.parameters(), strict=True)
    assert all(torch.equal(ours.grad, theirs.grad) for ours, theirs in pairs)


def test_alexnet_is_torchvisions(networks):
    theirs = torchvision.models.alexnet(num_classes=10).eval()
    ours = copy.deepcopy(networks["alexnet"])
    ours.load_state_dict(theirs.state_dict())  # strict: the same names and shapes
    images = torch.rand(1, 3, 96, 80)
    torch.testing.assert_close(ours(images), theirs(images))


def test_alexnet_has_one_logit_and_dropout_as_asked():
    network = create_backbone("alexnet", drop_rate=0.25)
    assert parameters(network) == 57_007_937
    assert [module.p for module in network.modules() if isinstance(module, nn.Dropout)] == [0.25, 0.25]


def test_default_cnn_has_288_k_parameters():
    assert parameters(create_backbone("cnn")) == 287_585


@pytest.mark.parametrize("pooling", ["max", "average", "strided"])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_cnn_halves_the_map_once_a_block(pooling, batch_norm):
    network = CNN(1, channels=(4, 8, 12, 16), pooling=pooling, batch_norm=batch_norm, hidden=6)
    assert network.forward_features(torch.rand(1, 3, 64, 32)).shape == (1, 16, 4, 2)
    assert parameters(network) == parameters(CNN(1, channels=(4, 8, 12, 16), batch_norm=batch_norm, hidden=6))
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules()) == batch_norm


def test_a_stem_halves_the_map_before_the_blocks():
    network = create_backbone("cnn", kwargs={"stem": 48, "channels": (48, 128, 256)})
    assert network.forward_features(torch.rand(1, 3, 32, 48)).shape == (1, 256, 2, 3)
    assert network.min_size == 16 and network.forward_features(torch.rand(1, 3, 16, 31)).shape == (1, 256, 1, 1)
    with pytest.raises(UserError, match="at least 16"):
        network(torch.rand(1, 3, 15, 16))


@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_residual_block_adds_what_follows_its_first_convolution(batch_norm):
    """With a branch that answers 0 a block is its first convolution and the pooling."""
    network = CNN(1, channels=(4,), convs_per_block=3, residual=True, batch_norm=batch_norm).eval()
    assert parameters(network) == parameters(CNN(1, channels=(4,), convs_per_block=3, batch_norm=batch_norm))
    images, [block] = torch.rand(2, 3, 16, 16), network.blocks
    *first, shortcut, pool = block
    plain = pool(nn.Sequential(*first)(images))
    assert not torch.allclose(block(images), plain)
    for convolution in [layer for layer in shortcut.modules() if isinstance(layer, nn.Conv2d)]:
        nn.init.zeros_(convolution.weight)
    torch.testing.assert_close(block(images), plain)


def test_each_block_can_have_its_own_number_of_convolutions():
    network = CNN(1, channels=(4, 4, 8), convs_per_block=(3, 2, 1), residual=True)
    count = [sum(isinstance(layer, nn.Conv2d) for layer in block.modules()) for block in network.blocks]
    added = [sum(isinstance(layer, Residual) for layer in block) for block in network.blocks]
    assert (count, added) == ([3, 2, 1], [1, 1, 0])
    assert network(torch.rand(2, 3, 8, 8)).shape == (2, 1)


def test_channels_are_dropped_whole_and_in_training_alone():
    network = create_backbone("cnn", kwargs={"channels": (64,), "spatial_dropout": 0.5})
    images = torch.rand(4, 3, 16, 16)
    dropped = (network.train().forward_features(images) == 0).flatten(2).all(2).float().mean()
    assert 0.4 < dropped < 0.6
    network.eval()
    assert torch.equal(network.forward_features(images), network.forward_features(images))
    assert (network.forward_features(images) == 0).flatten(2).all(2).float().mean() < 0.1


def test_strided_cnn_takes_a_single_pixel():
    assert CNN(1, channels=(4, 8), pooling="strided")(torch.rand(2, 3, 1, 1)).shape == (2, 1)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "gelu", "silu", "tanh"])
def test_cnn_starts_near_chance_and_learns(activation):
    """The first loss is ln 2, and a few steps tell bright images from dark ones, without batch norm too."""
    network = CNN(1, channels=(8, 16), activation=activation, batch_norm=False, hidden=8)
    labels = torch.tensor([0.0, 1.0]).repeat(8)
    images = torch.rand(16, 3, 16, 16) - 0.5 + (labels - 0.5)[:, None, None, None]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        loss = F.binary_cross_entropy_with_logits(network(images)[:, 0], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(0.693, abs=0.1)
    assert losses[-1] < 0.1


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_signals_neither_fade_nor_explode_at_the_start(activation):
    network = CNN(1, channels=(32, 64, 128), activation=activation, batch_norm=False, pooling="average")
    features = network.forward_features(torch.randn(4, 3, 64, 64))
    assert 0.02 < features.std() < 2


def test_wide_and_odd_kernels():
    network = CNN(1, channels=(4,), convs_per_block=3, kernel_size=5)
    assert network.forward_features(torch.rand(1, 3, 9, 9)).shape == (1, 4, 4, 4)
    assert sum(isinstance(module, nn.Conv2d) for module in network.modules()) == 3


@pytest.mark.parametrize("grid", [1, 4, 5])
@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 7), (13, 2), (32, 32)])
def test_grid_pool_is_adaptive_average_pooling(grid, size):
    maps = torch.randn(2, 3, *size, requires_grad=True)
    pooled, expected = GridPool(grid)(maps), F.adaptive_avg_pool2d(maps, grid)
    torch.testing.assert_close(pooled, expected)
    cotangent = torch.randn_like(expected)
    gradients = (torch.autograd.grad(output, maps, cotangent)[0] for output in (pooled, expected))
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(("name", "size"), [("lenet5", 40), ("cnn", 40)])
def test_export_and_channels_last_agree_with_eager(networks, name, size):
    images = torch.rand(2, 3, size, size)
    expected = networks[name](images)
    nhwc = copy.deepcopy(networks[name]).to(memory_format=torch.channels_last)
    torch.testing.assert_close(nhwc(images.to(memory_format=torch.channels_last)), expected, rtol=1e-4, atol=1e-5)
    exported = torch.export.export(networks[name], (images,)).module()
    torch.testing.assert_close(exported(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("stem", "side", "stride"), [("cifar", 4, 1), ("half", 2, 2)])
def test_small_stems_keep_the_map_of_32_px_large(stem, side, stride):
    images = torch.rand(1, 3, 32, 32)
    assert create_backbone("resnet18").eval().forward_features(images).shape == (1, 512, 1, 1)
    network = create_backbone("resnet18", stem=stem).eval()
    assert network.forward_features(images).shape == (1, 512, side, side)
    assert (network.conv1.kernel_size, network.conv1.stride) == ((3, 3), (stride, stride))
    assert network(images).shape == (1, 1)


def test_cifar_stem_of_a_deep_stem_keeps_its_kernel():
    torch.manual_seed(1)
    plain = create_backbone("test_resnet")
    torch.manual_seed(1)
    network = create_backbone("test_resnet", stem="cifar")
    assert torch.equal(network.conv1[0].weight, plain.conv1[0].weight)
    assert network.conv1[0].stride == (1, 1)
    assert network.forward_features(torch.rand(1, 3, 32, 32)).shape[-2:] == (4, 4)


@pytest.mark.parametrize("stem", ["cifar", "half"])
def test_small_stems_keep_the_centre_of_the_kernel(stem):
    torch.manual_seed(1)
    plain = create_backbone("resnet18")
    torch.manual_seed(1)
    network = create_backbone("resnet18", stem=stem)
    assert torch.equal(network.conv1.weight, plain.conv1.weight[..., 2:5, 2:5])
    assert torch.equal(network.layer1[0].conv1.weight, plain.layer1[0].conv1.weight)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "cnn", "vit_tiny_patch16_224"])
def test_frozen_networks_train_their_classifier_alone(name):
    size = 160 if name == "test_vit" else 32
    network = create_backbone(name, image_size=size, drop_rate=0.1)
    set_frozen(network, True)
    training = [key for key, parameter in network.named_parameters() if parameter.requires_grad]
    head = network.pretrained_cfg["classifier"]
    assert training == [f"{head}.weight", f"{head}.bias"]
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.train()
    eval_frozen_modules(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0, weight_decay=0.1)
    network(torch.rand(4, 3, size, size)).sum().backward()
    optimizer.step()
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {f"{head}.weight", f"{head}.bias"}  # neither weight decay nor batch-norm statistics

    set_frozen(network, False)
    network.train()
    eval_frozen_modules(network)
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(module.training for module in network.modules())


def test_dropout_before_the_classifier_stays_active_when_frozen():
    network = create_backbone("cnn", drop_rate=0.5)
    set_frozen(network, True)
    network.train()
    eval_frozen_modules(network)
    images = torch.rand(1, 3, 32, 32)
    assert torch.equal(network.forward_features(images), network.forward_features(images))
    assert len({network(images).item() for _ in range(5)}) > 1


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_each_shipped_backbone_exists_and_opens_with_its_size(path):
    """Built without memory (the largest has 134 M parameters); the count stands in the first line."""
    config = yaml.safe_load(path.read_text())
    with torch.device("meta"):
        network = create_backbone(
            config["backbone"], image_size=config.get("image_size"), kwargs=config.get("backbone_kwargs")
        )
        size = config.get("image_size") or 32
        assert network.eval()(torch.rand(2, 3, size, size)).shape == (2, 1)
    first = path.read_text().splitlines()[0]
    assert first.endswith(
        (f"{parameters(network) / 1e6:.1f} M parameters.", f"{parameters(network) / 1e6:.2f} M parameters.")
    )
    if config.get("pretrained"):
        assert timm.models.is_model_pretrained(config["backbone"])
