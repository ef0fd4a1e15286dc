"""Weights of a backbone from a local file."""

import inspect
import logging
import os
import sys
from collections import Counter
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fakereal.models.backbones.freeze import classifiers
from fakereal.models.backbones.stem import Stem, centre_stem
from fakereal.runtime.errors import UserError

log = logging.getLogger(__name__)

# What training programs wrap a network's tensors in; averaged weights, where there are any, come first.
_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")


def read_weights(path: str) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of one by `torch.save`, by name; never runs code from the file.

    Raises:
        UserError: no such file, a damaged one, or one that holds more than tensors in plain containers.
    """
    file = Path(os.path.expanduser(path))
    if not os.path.isfile(file):
        raise UserError(f"`model.weights={path}` is not a file: give a .safetensors, .pth or .pt file of the backbone.")
    try:
        if file.suffix == ".safetensors":
            content = load_file(file)
        else:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise UserError(
            f"`model.weights={path}` is damaged, or holds pickled objects other than tensors, which could run "
            f"code and are not loaded: save the network's `state_dict()` alone, preferably as .safetensors."
        ) from error
    except Exception as error:  # a damaged file can fail in any way: its bytes steer the unpickler
        reason = f"{type(error).__name__}: {error}".split("\n")[0]
        raise UserError(
            f"`model.weights={path}` cannot be read: it is damaged or cut short ({reason}): copy or download it again."
        ) from error
    return _tensors(content, path)


def _tensors(content: Any, path: str) -> dict[str, Tensor]:
    if isinstance(content, dict) and not _named(content):
        inside = {str(key): value for key, value in content.items() if _named(value)}
        wrapped = next((key for key in _WRAPPERS if key in inside), None)
        if wrapped is None and len(inside) > 1:
            raise UserError(
                f"`model.weights={path}` holds the tensors of several networks: {_first(sorted(inside))}. Save one of "
                "them alone."
            )
        content = inside[wrapped] if wrapped else next(iter(inside.values()), None)
    if not _named(content):
        raise UserError(
            f"`model.weights={path}` does not hold the tensors of a network by name: save its `state_dict()`."
        )
    return content


def _named(content: Any) -> bool:
    return isinstance(content, dict) and bool(content) and all(isinstance(value, Tensor) for value in content.values())


def load_backbone_weights(
    backbone: nn.Module, state: dict[str, Tensor], *, stem: Stem = "default", path: str, name: str
) -> None:
    """Load tensors into a timm network, whose classifier alone may be missing or of another shape.

    Prefixes of wrappers are taken off, and timm's own conversion is applied where
    the network's module has one: it resizes positional embeddings and renames the tensors of original releases.

    Args:
        backbone: the network; changed in place.
        state: tensors by name, as `read_weights` gives them.
        stem: with `cifar` and `half` the kernel of a ResNet's default stem is cut to what `use_small_stem` left of it.
        path: where the tensors come from, and `name` the network, for the messages.

    Raises:
        UserError: the file belongs to another network, or does not fit it in some tensors.
    """
    own = backbone.state_dict()
    state = _convert(backbone, _without_prefix(state, own))
    if stem != "default":
        state = centre_stem(state)
    heads = _classifier_prefixes(backbone)
    misfits = {key for key in state.keys() & own.keys() if state[key].shape != own[key].shape}
    left_out = {key for key in misfits | (state.keys() - own.keys()) if key.startswith(heads)}
    fitting = {key: value for key, value in state.items() if key not in misfits | left_out}
    _check_share(fitting, [key for key in own if not key.startswith(heads)], path, name)
    result = backbone.load_state_dict(fitting, strict=False)
    missing = [key for key in result.missing_keys if not key.startswith(heads) and key not in misfits]
    problems = {
        "missing": missing,
        "unexpected": result.unexpected_keys,
        "of another shape": sorted(misfits - left_out),
    }
    if any(problems.values()):
        listed = "; ".join(f"{what}: {_first(keys)}" for what, keys in problems.items() if keys)
        raise UserError(
            f"`model.weights={path}` does not fit `model.backbone={name}`: {listed}. "
            f"Check `model.backbone`, `model.backbone_kwargs` and `model.image_size`."
        )
    if left_out:
        log.info("%s: the classifier was trained for another task and left out: %s", path, _first(sorted(left_out)))


def _without_prefix(state: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with what stands before most that fit the network (`module.`, say), without it."""
    parts = (key.split(".") for key in state)
    starts = ((".".join(names[:at]), ".".join(names[at:])) for names in parts for at in range(len(names)))
    found = Counter(start for start, rest in starts if rest in own)
    if not found or found[""] == max(found.values()):
        return state
    start = f"{found.most_common(1)[0][0]}."
    return {key.removeprefix(start): value for key, value in state.items() if key.startswith(start)}


def _convert(backbone: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    module = sys.modules[type(backbone).__module__]
    convert = getattr(module, "checkpoint_filter_fn", None) or getattr(module, "_filter_fn", None)
    if convert is None:
        return state
    arguments = (state, backbone)[: len(inspect.signature(convert).parameters)]  # some take the tensors alone
    try:
        return convert(*arguments)
    except (LookupError, RuntimeError, ValueError):  # tensors of another network, as the caller will find
        return state


def _classifier_prefixes(backbone: nn.Module) -> tuple[str, ...]:
    heads = classifiers(backbone)
    return tuple(f"{name}." for name, module in backbone.named_modules() if any(module is head for head in heads))


def _check_share(fitting: dict[str, Tensor], own: list[str], path: str, name: str) -> None:
    share = len(fitting.keys() & set(own)) / len(own)
    if share < 0.5:
        raise UserError(
            f"`model.weights={path}` belongs to another network: of the {len(own)} tensors of "
            f"`model.backbone={name}` it has {share:.0%}. Set `model.backbone` to the one it was saved from."
        )


def _first(keys: list[str], count: int = 5) -> str:
    more = f" and {len(keys) - count} more" if len(keys) > count else ""
    return ", ".join(keys[:count]) + more
