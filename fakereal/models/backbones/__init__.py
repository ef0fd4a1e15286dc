"""Backbones: all networks of timm, and those that it lacks, registered with it by importing this package."""

from fakereal.models.backbones import alexnet, cnn, lenet5  # noqa: F401  (each registers its network)
from fakereal.models.backbones.create import create_backbone
from fakereal.models.backbones.freeze import eval_frozen_modules, set_frozen

__all__ = ["create_backbone", "eval_frozen_modules", "set_frozen"]
