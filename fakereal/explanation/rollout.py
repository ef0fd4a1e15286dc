"""What a class token gathered from each patch: the map of a transformer whose patches do not reach its classifier."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from fakereal.explanation.layers import hooked

BATCH = 8  # images at a time: attention of 197 tokens in 12 blocks of 12 heads takes 22 MB an image, and gradients too


def attentions(backbone: nn.Module) -> dict[str, nn.Module]:
    """The attention of each block, by name, of a plain transformer that answers from its class token; else none."""
    blocks = getattr(backbone, "blocks", None)
    if getattr(backbone, "global_pool", None) != "token" or not isinstance(blocks, nn.Sequential | nn.ModuleList):
        return {}
    named = {name: module for name, module in backbone.named_modules() if hasattr(module, "fused_attn")}
    plain = {f"blocks.{number}.attn" for number in range(len(blocks))}
    return named if named.keys() == plain and all(hasattr(module, "attn_drop") for module in named.values()) else {}


def relevance(backbone: nn.Module, pixels: Tensor, sign: Tensor) -> Tensor:
    """Tokens (B, N, 1): what each patch, after the prefix tokens, adds to the class token's `sign` (B,) x logit.

    Attention times its gradient, the positive part, mean over the heads, multiplied through the blocks (Chefer et
    al. 2021, arXiv 2103.15679). A map of one block alone can miss what the class token gathered in the others.
    """
    parts = [_relevance(backbone, *part) for part in zip(pixels.split(BATCH), sign.split(BATCH), strict=True)]
    return torch.cat(parts)


def _relevance(backbone: nn.Module, pixels: Tensor, sign: Tensor) -> Tensor:
    layers, kept = attentions(backbone), []
    drops = {f"{name}.attn_drop": module.attn_drop for name, module in layers.items()}

    def keep(name: str, output: Tensor) -> None:
        kept.append(output)

    with _spelled_out(layers), hooked(drops, keep):
        # Of frozen networks too there is a gradient, from the pixels on.
        logits = backbone(pixels.detach().requires_grad_()).squeeze(1)
    gradients = torch.autograd.grad((sign * logits).sum(), kept)
    tokens = kept[0].shape[-1]
    gathered = torch.eye(tokens, device=pixels.device).expand(len(pixels), -1, -1)
    for attention, gradient in zip(kept, gradients, strict=True):
        step = (attention.detach() * gradient).clamp(min=0).mean(1).float()
        gathered = gathered + step @ gathered
    answering = 2 if hasattr(backbone, "head_dist") else 1  # a distilled one answers from two tokens
    return gathered[:, :answering].mean(1)[..., None]


@contextmanager
def _spelled_out(layers: dict[str, nn.Module]) -> Iterator[None]:
    """Attention as matrices, which the fused kernels never hold."""
    before = {module: module.fused_attn for module in layers.values()}
    try:
        for module in before:
            module.fused_attn = False
        yield
    finally:
        for module, fused in before.items():
            module.fused_attn = fused
