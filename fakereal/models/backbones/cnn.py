"""A configurable convolutional network for small images."""

from typing import Annotated, Any, Literal

from pydantic import Field, validate_call
from timm.layers import create_act_layer
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from fakereal.models.backbones.layers import GridPool, check_image_size
from fakereal.runtime.errors import UserError

GRID = 4  # the map that the hidden layer sees; of three blocks at 32 px it is the map itself

Width = Annotated[int, Field(ge=1)]
Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh"]
Pooling = Literal["max", "average", "strided"]

default_cfgs = generate_default_cfgs(
    {
        "cnn": {
            "input_size": (3, 32, 32),
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "first_conv": "blocks.0.0",
            "classifier": "fc",
        }
    }
)


class CNN(nn.Module):
    """Blocks of convolutions that halve the map, then its global average or a hidden layer, then the logits.

    Args:
        stem: width of a 4 x 4 convolution of stride 2 before the blocks, which halves the map at a quarter of the
            cost of convolutions at full size; 0: none.
        channels: width of each block; their number is the number of blocks.
        convs_per_block: convolutions of a block, all of its width: of all blocks, or one number for each.
        kernel_size: an odd number of pixels.
        activation: follows each convolution (and batch norm) and the hidden layer.
        pooling: how a block halves the map: a 2 x 2 maximum or average, or stride 2 in its last convolution.
        residual: a block's first convolution brings the map to its width, and what the others make of that is added to
            it (He et al., Deep residual learning, arXiv 1512.03385); blocks of one convolution have nothing to add.
        batch_norm: normalise each convolution's output; the convolutions then have no bias.
        spatial_dropout: probability that a whole channel is dropped after a block (Tompson et al. 2015).
        hidden: units of a fully connected layer that sees the last map, average-pooled to 4 x 4; with 0 there
            is none, and the logits see the map's global average.
        drop_rate: dropout before the logits.

    The weights fit images (B, C, H, W) of every size from 2 ** len(channels) px (from 1 px if strided; twice
    that with a stem). The default has 287,585 parameters with one logit and takes 38.6 M multiply-adds for a
    32 px image.
    """

    min_size_hint = ", or name fewer blocks in `model.backbone_kwargs.channels`"

    @validate_call
    def __init__(
        self,
        num_classes: Annotated[int, Field(ge=0)] = 1000,
        in_chans: Width = 3,
        stem: Annotated[int, Field(ge=0)] = 0,
        channels: Annotated[tuple[Width, ...], Field(min_length=1)] = (32, 64, 128),
        convs_per_block: Width | tuple[Width, ...] = 2,
        kernel_size: Annotated[int, Field(ge=1)] = 3,
        activation: Activation = "relu",
        pooling: Pooling = "max",
        residual: bool = False,
        batch_norm: bool = True,
        spatial_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        hidden: Annotated[int, Field(ge=0)] = 0,
        drop_rate: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise UserError(f"`model.backbone_kwargs.kernel_size` must be odd, got {kernel_size}: use 3 or 5.")
        convs = (convs_per_block,) * len(channels) if isinstance(convs_per_block, int) else convs_per_block
        if len(convs) != len(channels):
            raise UserError(
                f"`model.backbone_kwargs.convs_per_block={[*convs]}` names {len(convs)} blocks, "
                f"`channels={[*channels]}` {len(channels)}: give one number for each, or one for all."
            )
        if residual and (max(convs) == 1 or pooling == "strided"):
            raise UserError(
                f"`model.backbone_kwargs.residual=true` adds nothing with `convs_per_block={convs_per_block}` and "
                f"`pooling={pooling}`: use 2 convolutions or more, and max or average pooling."
            )
        self.in_chans = in_chans
        self.num_features = channels[-1]
        self.head_hidden_size = hidden or channels[-1]
        self.min_size = (2 if stem else 1) * (1 if pooling == "strided" else 2 ** len(channels))
        self.stem = nn.Identity()
        if stem:
            self.stem = _convolution(in_chans, stem, 4, 2, activation, batch_norm)
        self.blocks = nn.Sequential()
        for inputs, width, count in zip((stem or in_chans, *channels), channels, convs, strict=False):
            block = _block(inputs, width, count, kernel_size, activation, pooling, residual, batch_norm)
            if spatial_dropout:
                block.append(nn.Dropout2d(spatial_dropout))
            self.blocks.append(block)
        self.pool = nn.Sequential(GridPool(GRID if hidden else 1), nn.Flatten())
        self.hidden = nn.Identity()
        if hidden:
            self.hidden = nn.Sequential(
                nn.Linear(channels[-1] * GRID**2, hidden), create_act_layer(activation, inplace=True)
            )
        self.drop = nn.Dropout(drop_rate)
        self.reset_classifier(num_classes)
        _initialise(self, activation)

    def get_classifier(self) -> nn.Module:
        return self.fc

    def reset_classifier(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.fc = nn.Linear(self.head_hidden_size, num_classes) if num_classes > 0 else nn.Identity()

    def forward_features(self, x: Tensor) -> Tensor:
        """Maps (B, channels[-1], h, w), halved once a block, of images (B, C, H, W); UserError if h or w is 0."""
        check_image_size(self, *x.shape[-2:])
        return self.blocks(self.stem(x))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits (B, num_classes) of the maps, or with `pre_logits` the features before them."""
        x = self.drop(self.hidden(self.pool(x)))
        return x if pre_logits else self.fc(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


class Residual(nn.Module):
    """Adds what a branch makes of a map to the map."""

    def __init__(self, branch: nn.Module):
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def _block(
    inputs: int,
    width: int,
    convs: int,
    kernel_size: int,
    activation: str,
    pooling: Pooling,
    residual: bool,
    batch_norm: bool,
) -> nn.Sequential:
    block = nn.Sequential()
    for index in range(convs):
        stride = 2 if pooling == "strided" and index == convs - 1 else 1
        channels = inputs if index == 0 else width
        block.extend(_convolution(channels, width, kernel_size, stride, activation, batch_norm))
    if residual and convs > 1:
        layers = len(block) // convs
        block = nn.Sequential(*block[:layers], Residual(block[layers:]))
    if pooling == "max":
        # Before a ReLU, not after it: the same values and gradients, and a quarter of the numbers for the ReLU.
        block.insert(len(block) - isinstance(block[-1], nn.ReLU), nn.MaxPool2d(2))
    elif pooling == "average":
        block.append(nn.AvgPool2d(2))
    return block


def _convolution(
    inputs: int, width: int, kernel_size: int, stride: int, activation: str, batch_norm: bool
) -> nn.Sequential:
    padding = (kernel_size - 1) // 2  # the map keeps its size, or is divided by the stride
    layers = nn.Sequential(nn.Conv2d(inputs, width, kernel_size, stride, padding, bias=not batch_norm))
    if batch_norm:
        layers.append(nn.BatchNorm2d(width))
    return layers.append(create_act_layer(activation, inplace=True))


def _initialise(network: CNN, activation: str) -> None:
    """He's initialisation with the activation's gain, and small logits: the first loss is close to ln 2."""
    gain = activation if activation in ("tanh", "leaky_relu") else "relu"
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, a=0.01, nonlinearity=gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if network.num_classes > 0:
        nn.init.normal_(network.fc.weight, std=0.01)


@register_model
def cnn(pretrained: bool = False, **kwargs: Any) -> CNN:
    """The configurable network, by default of 287,585 parameters with one logit; no pretrained weights."""
    return build_model_with_cfg(CNN, "cnn", pretrained, **kwargs)
