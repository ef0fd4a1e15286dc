"""Convolutions over maps of a few pixels as matrix products, for training on a CPU.

oneDNN's gradient of a convolution's weights is slow where the output has 1 x 1 or 2 x 2 pixels, as half of a ResNet's
have for images of 32 px: the products that it comes down to take between a third and a fiftieth of the time, and do not
take twice as long in one process as in another. What is computed is the same but for the order of the sums.
"""

from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

PIXELS = 4  # of an output, up to which the products were faster in every case that was timed
TAPS = 9  # of a kernel: a product each


def use_matrix_products(network: nn.Module) -> None:
    """Lets the convolutions of a network that suit be trained so, in place; names and parameters stay as they are.

    On other devices than a CPU they go on as they were.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and _suits(module):  # no subclass: it may compute something else
            module.__class__ = SmallMapConv2d


def _suits(conv: nn.Conv2d) -> bool:
    plain = conv.groups == 1 and conv.dilation == (1, 1) and conv.padding_mode == "zeros"
    return plain and not isinstance(conv.padding, str) and prod(conv.kernel_size) <= TAPS


class SmallMapConv2d(nn.Conv2d):
    """A convolution like any other, but in training on a CPU where its output has up to `PIXELS` pixels.

    There a kernel of one tap is a matrix product as a whole, of larger ones the weights' gradient is several.
    """

    def forward(self, images: Tensor) -> Tensor:
        if images.device.type != "cpu" or not (torch.is_grad_enabled() and self.weight.requires_grad):
            return super().forward(images)
        sides = [
            (side + 2 * padding - kernel) // stride + 1
            for side, padding, kernel, stride in zip(
                images.shape[-2:], self.padding, self.kernel_size, self.stride, strict=True
            )
        ]
        if prod(sides) > PIXELS:
            return super().forward(images)
        if self.kernel_size == (1, 1) and self.padding == (0, 0):
            return self._linear(images)
        weight = self.weight
        if torch.is_autocast_enabled("cpu"):  # which knows of torch's own functions alone
            dtype = torch.get_autocast_dtype("cpu")
            images, weight = images.to(dtype), weight.to(dtype)
        output = _Conv2d.apply(images, weight, self.stride, self.padding)
        return output if self.bias is None else output + self.bias.to(output.dtype)[:, None, None]

    def _linear(self, images: Tensor) -> Tensor:
        pixels = images[..., :: self.stride[0], :: self.stride[1]].permute(0, 2, 3, 1)
        return F.linear(pixels, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class _Conv2d(torch.autograd.Function):
    """conv2d, with the weights' gradient as one matrix product for each tap of the kernel that meets an image."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding = stride, padding
        return torch.conv2d(images, weight, None, stride, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        images, weight = ctx.saved_tensors
        of_images = None
        if ctx.needs_input_grad[0]:
            options = (ctx.stride, ctx.padding, (1, 1), False, (0, 0), 1, (True, False, False))
            of_images = torch.ops.aten.convolution_backward(grad, images, weight, None, *options)[0]
        return of_images, _weight_gradient(images, grad, weight, ctx.stride, ctx.padding), None, None


def _weight_gradient(
    images: Tensor, grad: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """(O, C, kH, kW), of images (B, C, H, W) and the gradient (B, O, oH, oW) of the output."""
    (height, width), pixels, of_pixels = weight.shape[-2:], images.permute(0, 2, 3, 1), grad.permute(0, 2, 3, 1)
    result = weight.new_zeros(len(weight), height, width, images.shape[1])
    for y in range(height):
        rows, rows_met = _met(y, images.shape[2], grad.shape[2], stride[0], padding[0])
        for x in range(width):
            columns, columns_met = _met(x, images.shape[3], grad.shape[3], stride[1], padding[1])
            met = pixels[:, rows_met, columns_met].reshape(-1, images.shape[1])
            if len(met):
                result[:, y, x] = of_pixels[:, rows, columns].reshape(-1, len(weight)).T @ met
    return result.permute(0, 3, 1, 2)


def _met(tap: int, size: int, outputs: int, stride: int, padding: int) -> tuple[slice, slice]:
    """Along one side: the outputs at which a tap of the kernel meets the image, not its padding, and what it meets."""
    first = max(0, -((tap - padding) // stride))
    last = min(outputs - 1, (size - 1 + padding - tap) // stride)
    start = first * stride + tap - padding
    return slice(first, max(first, last + 1)), slice(start, max(start, last * stride + tap - padding + 1), stride)
