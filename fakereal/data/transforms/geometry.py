"""Moving, resampling and covering the pixels of a batch, each sample in its own way.

A sample's result does not depend on its batch: pixels are gathered, or resampled on a grid that elementwise
operations build. (`affine_grid` is a matrix product: TF32, autocast and the batch size change its rounding.)
"""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample


def crop_and_flip(images: Tensor, top: Tensor, left: Tensor, flip: Tensor) -> Tensor:
    """Each image from row `top` and column `left` on, beyond its border its reflection; then mirrored.

    Images (B, C, H, W) of any dtype; `top` in (-H, H), `left` in (-W, W) and `flip`, 0 or 1, are int64 (B,).
    Pixels are moved, not changed. The result is channels_last.
    """
    batch, channels, height, width = images.shape
    pixels = images.permute(0, 2, 3, 1)
    # Reflected at both ends for ever, a row is periodic and even: a crop is a window of it, its mirror image another.
    wave = torch.cat([pixels, pixels.flip(2)[:, :, 1:-1], pixels[:, :, :-1]], 2)
    start = torch.where(flip == 1, width - 1 - left, left) % max(1, 2 * width - 2)
    rows = _reflect(torch.arange(height, device=images.device) + top[:, None], height)
    rows = rows + torch.arange(0, batch * height, height, device=images.device)[:, None]
    windows = wave.flatten().unfold(0, width * channels, channels)  # a view: the one from each pixel on
    pixels = windows.index_select(0, (rows * wave.shape[2] + start[:, None]).flatten())
    return pixels.view(batch, height, width, channels).permute(0, 3, 1, 2)


def resample(pixels: Tensor, matrix: Tensor) -> Tensor:
    """Float32 pixels (B, C, H, W) through affine maps, bilinear, reflected beyond the border.

    `matrix` (2, 3, B) takes the output's (x, y, 1) to the input's (x, y), both -1 to 1 from edge to edge.
    """
    (xx, xy, x1), (yx, yy, y1) = matrix[..., None, None]
    y, x = (2 * centres - 1 for centres in _centres(pixels))
    grid = torch.stack([xx * x + (xy * y + x1), yx * x + (yy * y + y1)], -1)
    return grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def cover(images: Tensor, box: Tensor, color: Tensor) -> Tensor:
    """Images (B, C, H, W) with `color` (C, B), of their dtype, where a pixel's centre lies in the box.

    `box` (4, B) is top, left, bottom and right, as shares of the height and the width.
    """
    top, left, bottom, right = box[..., None, None, None]
    y, x = _centres(images)
    inside = (y >= top) & (y < bottom) & (x >= left) & (x < right)
    return torch.where(inside, color.T[:, :, None, None], images)


def _centres(images: Tensor) -> tuple[Tensor, Tensor]:
    """The centres of the pixels, as shares of the height (H, 1) and the width (W,)."""
    height, width = images.shape[-2:]
    y = torch.arange(height, dtype=torch.float32, device=images.device)[:, None]
    x = torch.arange(width, dtype=torch.float32, device=images.device)
    return (y + 0.5) / height, (x + 0.5) / width


def _reflect(index: Tensor, size: int) -> Tensor:
    """Indices up to `size - 1` outside, reflected at the first and the last pixel, which are not repeated."""
    return size - 1 - (size - 1 - index.abs()).abs()
