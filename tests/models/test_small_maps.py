"""Convolutions over maps of a few pixels: the same as torch's, by other means."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fakereal.models.backbones import create_backbone
from fakereal.models.backbones.small_maps import SmallMapConv2d, use_matrix_products


def twins(*args, **options) -> tuple[nn.Conv2d, nn.Conv2d]:
    """A convolution and its copy that is trained by matrix products."""
    plain = nn.Conv2d(*args, **options)
    ours = copy.deepcopy(plain)
    use_matrix_products(ours)
    assert type(ours) is SmallMapConv2d
    return plain, ours


def passed(conv: nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    """The output, and the gradients of a loss that weighs each of its values differently."""
    images = images.clone().requires_grad_()
    output = conv(images)
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view(output.shape)
    (output * weights).sum().backward()
    return [output, images.grad, *(parameter.grad for parameter in conv.parameters())]


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(
    sides=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    kernel=pairs,
    stride=pairs,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    bias=st.booleans(),
    memory_format=st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
def test_output_and_gradients_are_those_of_a_convolution(sides, kernel, stride, padding, bias, memory_format):
    if any(side + 2 * more < width for side, more, width in zip(sides, padding, kernel, strict=True)):
        return  # no output at all
    torch.manual_seed(0)
    plain, ours = twins(3, 4, kernel, stride, padding, bias=bias, dtype=torch.float64)
    images = torch.randn(2, 3, *sides, dtype=torch.float64).contiguous(memory_format=memory_format)
    for expected, found in zip(passed(plain, images), passed(ours, images), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("kernel", "stride", "side"), [(3, 1, 1), (3, 2, 4), (1, 1, 2), (1, 2, 3)])
def test_mixed_precision_has_the_dtypes_of_a_convolution(kernel, stride, side):
    torch.manual_seed(0)
    plain, ours = twins(16, 32, kernel, stride, kernel // 2)
    images = torch.randn(8, 16, side, side)
    with torch.autocast("cpu", torch.bfloat16):
        expected, found = passed(plain, images), passed(ours, images)
    assert found[0].dtype == torch.bfloat16
    for one, other in zip(expected, found, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(other, one, rtol=0.02, atol=0.02 * one.abs().max().item())


def test_only_small_maps_in_training_go_another_way():
    _, ours = twins(4, 4, 3, padding=1)
    images = {side: torch.randn(2, 4, side, side) for side in (2, 3)}
    assert type(ours(images[2]).grad_fn).__name__ != "ConvolutionBackward0"  # it adds the bias
    assert type(ours(images[3]).grad_fn).__name__ == "ConvolutionBackward0"
    ours.weight.requires_grad_(False)
    assert type(ours(images[2]).grad_fn).__name__ == "ConvolutionBackward0"  # of the bias
    with torch.no_grad():
        assert torch.equal(ours(images[2]), torch.conv2d(images[2], ours.weight, ours.bias, padding=1))


def test_convolutions_of_another_kind_stay_as_they_are():
    class Own(nn.Conv2d):
        pass

    kinds = [
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 5),
        nn.Conv1d(4, 4, 3),
        Own(4, 4, 3),
    ]
    network = nn.Sequential(*kinds)
    before = [type(module) for module in network]
    use_matrix_products(network)
    assert [type(module) for module in network] == before


def test_a_network_keeps_its_names_and_its_answers():
    torch.manual_seed(0)
    plain = create_backbone("resnet18", pretrained=False)
    ours = copy.deepcopy(plain)
    use_matrix_products(ours)
    assert sum(type(module) is SmallMapConv2d for module in ours.modules()) == 19  # all but the 7 x 7 one
    assert list(ours.state_dict()) == list(plain.state_dict())
    images = torch.randn(4, 3, 32, 32)
    again = copy.deepcopy(ours)  # as EMA does
    with torch.no_grad():  # validation and all use: not by other means
        expected = plain.eval()(images)
        assert torch.equal(ours.eval()(images), expected) and torch.equal(again.eval()(images), expected)
    gradients = [passed(network.train(), images)[2:] for network in (plain, ours)]
    for expected, found in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item())


def test_a_training_on_a_cpu_has_them(run, quick, monkeypatch):
    seen = []
    monkeypatch.setattr("fakereal.models.classifier.use_matrix_products", seen.append)
    assert run("train", *quick, "data.count=40").code == 0
    (backbone,) = seen
    assert isinstance(backbone, nn.Module)
