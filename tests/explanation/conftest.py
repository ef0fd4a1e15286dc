"""Networks that learned to find one bright patch, so that it is known where they have to look."""

import functools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fakereal.models.classifier import Classifier

# Backbones with what makes them small at 32 px: our own, tokens with a class token, tokens without, and Swin's layout.
NETWORKS = {
    "lenet5": {},
    "cnn": {"channels": (8, 16, 16), "convs_per_block": 1},
    "test_vit": {"patch_size": 8, "depth": 3},
    "test_vit2": {"patch_size": 8, "depth": 2},
    "swin_tiny_patch4_window7_224": {
        "patch_size": 2,
        "embed_dim": 16,
        "depths": (1, 1),
        "num_heads": (2, 2),
        "window_size": 4,
    },
}


def planted(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Noise (N, 3, 32, 32) uint8, of which every second is FAKE (N,) by a bright patch of 8 x 8; masks (N, 32, 32)."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(60, 196, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % 2
    masks = torch.zeros(count, 32, 32, dtype=torch.bool)
    for number, (top, left) in enumerate((torch.randint(0, 4, (count, 2), generator=generator) * 8).tolist()):
        if labels[number]:
            masks[number, top : top + 8, left : left + 8] = True
            patch = torch.randint(200, 256, (3, 8, 8), generator=generator, dtype=torch.uint8)
            images[number, :, top : top + 8, left : left + 8] = patch
    return images, labels.float(), masks.numpy()


@functools.cache
def _trained(name: str) -> Classifier:
    torch.manual_seed(0)
    classifier = Classifier(name, backbone_kwargs=NETWORKS[name], image_size=32, channels_last=False).train()
    optimizer = torch.optim.AdamW(classifier.parameters(), 2e-3)
    images, labels, _ = planted(1024, 0)
    for step in range(80):
        part = slice(step % 32 * 32, step % 32 * 32 + 32)
        loss = F.binary_cross_entropy_with_logits(classifier(images[part]), labels[part])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return classifier.eval()


@pytest.fixture
def trained():
    """`trained(name)`: a network that tells images with the patch (FAKE) from those without; not to be changed."""
    return _trained


@pytest.fixture
def patches():
    """`patches(count, seed)`: images, labels and masks of new planted patches."""
    return planted
