"""Stems that keep small images large: for CIFAR-sized inputs of residual networks."""

from typing import Literal

from timm.models.resnet import ResNet
from torch import Tensor, nn

from fakereal.runtime.errors import UserError

Stem = Literal["default", "cifar", "half"]
STRIDES = {"cifar": 1, "half": 2}


def use_small_stem(backbone: nn.Module, name: str, stem: Stem) -> None:
    """Let a timm ResNet start with one 3 x 3 convolution and no max-pool, in place.

    Args:
        stem: `cifar` has stride 1 (He et al., Deep residual learning, arXiv 1512.03385, for CIFAR-10): maps have
            four times the side of the default's, so that a 32 px image ends in 4 x 4 and not in 1 x 1, at about
            fifteen times the cost. `half` has stride 2: twice the side, at about four times the cost.

    Of a 7 x 7 kernel the centre 3 x 3 is kept, so that pretrained weights stay of use; a deep stem's first
    kernel is 3 x 3 already.
    UserError if the network is none of timm's `ResNet` class.
    """
    if not isinstance(backbone, ResNet):
        raise UserError(
            f"`model.stem={stem}` is for networks of timm's ResNet class (resnet18, resnet50, ...), and "
            f"`model.backbone={name}` is not one: set `model.stem=default`."
        )
    deep = isinstance(backbone.conv1, nn.Sequential)
    first = backbone.conv1[0] if deep else backbone.conv1
    width, bias = first.out_channels, first.bias is not None
    conv = nn.Conv2d(first.in_channels, width, 3, STRIDES[stem], padding=1, bias=bias)
    state = {key: centre(value) if key == "weight" else value for key, value in first.state_dict().items()}
    conv.load_state_dict(state)
    if deep:
        backbone.conv1[0] = conv
    else:
        backbone.conv1 = conv
    backbone.maxpool = nn.Identity()


def centre(kernel: Tensor) -> Tensor:
    """The centre (..., 3, 3) of a convolution's kernel (..., k, k); k is odd and at least 3."""
    margin = (kernel.shape[-1] - 3) // 2
    return kernel[..., margin : margin + 3, margin : margin + 3]


def centre_stem(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a ResNet with the kernel of a plain stem cut to its centre; a 3 x 3 kernel is left whole."""
    return {key: centre(value) if key == "conv1.weight" else value for key, value in state.items()}
