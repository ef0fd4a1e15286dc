"""What backbones share: pooling to a fixed grid, the check of the input's size, last layers and how they start."""

import torch
from torch import Tensor, nn

from fakereal.runtime.errors import UserError

LOUD = 2.0  # standard deviation; other networks' logits spread by 0.1 to 0.7


class GridPool(nn.Module):
    """Feature maps (B, C, H, W) averaged to (B, C, grid, grid); a map of that size is returned as it is.

    The cells are those of `torch.nn.AdaptiveAvgPool2d`, whose backward pass is not deterministic on CUDA (and
    raises under `torch.use_deterministic_algorithms`); these two matrix products are, and so is the mean of all, which
    takes a fifth of their time.
    """

    def __init__(self, grid: int) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-2:] == (self.grid, self.grid):
            return x
        if self.grid == 1:
            return x.mean((2, 3), keepdim=True)
        rows, columns = (_cell_weights(side, self.grid, x) for side in x.shape[-2:])
        return rows @ x @ columns.T

    def extra_repr(self) -> str:
        return f"grid={self.grid}"


def _cell_weights(side: int, grid: int, like: Tensor) -> Tensor:
    """(grid, side): the share of each pixel of a side in each cell; every row sums to one."""
    cell = torch.arange(grid, device=like.device)[:, None]
    pixel = torch.arange(side, device=like.device)
    inside = (pixel >= cell * side // grid) & (pixel < ((cell + 1) * side + grid - 1) // grid)
    return (inside / inside.sum(1, keepdim=True)).to(like.dtype)


def check_image_size(backbone: nn.Module, height: int, width: int) -> None:
    """UserError if a side of the image is below `backbone.min_size`, at which the last map is 1 x 1."""
    if min(height, width) < backbone.min_size:
        raise UserError(
            f"`model.image_size` must be at least {backbone.min_size} for "
            f"`model.backbone={type(backbone).__name__.lower()}`, got images of {height} x {width} pixels: "
            f"set `model.image_size={backbone.min_size}` or more{getattr(backbone, 'min_size_hint', '')}."
        )


def classifiers(backbone: nn.Module) -> tuple[nn.Module, ...]:
    """The layers that give the logits: one, or two of a distilled transformer."""
    head = backbone.get_classifier()
    return tuple(head) if isinstance(head, tuple | list) else (head,)


def calm_head(backbone: nn.Module) -> None:
    """Draws a last layer anew whose logits of unit features spread by more than LOUD.

    timm's EfficientNets and MobileNets draw weights within 1 / sqrt(number of logits): the spread of 0.7 that they have
    with 1,000 logits is 21 with one, and the first loss many times ln 2.
    """
    for layer in classifiers(backbone):
        weight = getattr(layer, "weight", None)
        if weight is None or weight.is_meta:  # without values
            continue
        if float(weight.detach().std()) * weight[0].numel() ** 0.5 > LOUD:
            nn.init.normal_(weight, std=0.01)
            nn.init.zeros_(layer.bias)
