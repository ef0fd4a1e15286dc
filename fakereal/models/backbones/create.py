"""Backbones by name."""

import inspect
import re
import sys
from typing import Any

import timm
from pydantic import ValidationError
from safetensors import SafetensorError
from timm.models import model_entrypoint
from torch import nn

from fakereal.models.backbones.download import find_weights
from fakereal.models.backbones.layers import calm_head, check_image_size
from fakereal.models.backbones.names import resolve
from fakereal.models.backbones.stem import Stem, use_small_stem
from fakereal.models.backbones.weights import load_backbone_weights, read_weights
from fakereal.runtime.errors import UserError

# What must not be given as `model.backbone_kwargs`, and why not.
_ELSEWHERE = {
    "num_classes": "the network has one logit",
    "in_chans": "images are RGB",
    "drop_rate": "set `model.drop_rate`",
    "drop_path_rate": "set `model.drop_path_rate`",
    "img_size": "set `model.image_size`",
    "pretrained": "set `model.pretrained`",
    "checkpoint_path": "set `model.weights`",
    "features_only": "the network must give a logit",
}
METHODS = ("get_classifier", "forward_features", "forward_head")
_UNEXPECTED = re.compile(r"(?:(\w+)\.)?\w+\(\) got (?:an )?unexpected keyword argument(?:\(s\))?:? \[?'(\w+)'")


def create_backbone(
    name: str,
    *,
    pretrained: bool = False,
    weights: str | None = None,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    stem: Stem = "default",
    image_size: int | None = None,
    kwargs: dict[str, Any] | None = None,
) -> nn.Module:
    """A timm network (or `lenet5`, `alexnet`, `cnn`) with one logit, of float images (B, 3, H, W).

    Args:
        name: of timm's list, with or without the tag of its weights, or `hf-hub:OWNER/MODEL`, or
            `local-dir:FOLDER`.
        pretrained: start from the published weights, taken from the local cache or else downloaded.
        weights: a local file of the network's weights; it takes the place of the download.
        drop_rate: dropout before the classifier; drop_path_rate: stochastic depth, where the network has it.
        stem: `cifar` and `half` keep small images large at the entrance of a ResNet, see `use_small_stem`.
        image_size: side of the images in pixels. Transformers are built for it and need it.
        kwargs: what else the network's class takes, for instance `channels` of `cnn`.

    Raises:
        UserError: names the key under `model` that is wrong; at once if weights are to be downloaded offline.
    """
    location, cfg = resolve(name)
    kwargs = dict(kwargs or {})
    options: dict[str, Any] = {"num_classes": 1, "drop_rate": drop_rate, **_allowed(kwargs)}
    if drop_path_rate > 0:
        options["drop_path_rate"] = drop_path_rate
    if cfg.get("fixed_input_size") and not kwargs.get("dynamic_img_size"):
        options["img_size"] = _required_size(name, image_size, cfg)
    if pretrained and weights is None:
        options |= {"pretrained": True, "pretrained_cfg_overlay": find_weights(name, cfg)}
    state = read_weights(weights) if weights is not None else None  # a bad file should not wait for the network
    backbone = _build(name, location, options, kwargs)
    if missing := [method for method in METHODS if not hasattr(backbone, method)]:
        raise UserError(f"`model.backbone={name}` lacks what timm networks have: {', '.join(missing)}.")
    if image_size is not None and hasattr(backbone, "min_size"):
        check_image_size(backbone, image_size, image_size)
    if not (pretrained and cfg.get("num_classes") == 1):  # published with one logit, the head is trained
        calm_head(backbone)
    if stem != "default":
        use_small_stem(backbone, name, stem)
    if state is not None:
        load_backbone_weights(backbone, state, stem=stem, path=weights, name=name)
    return backbone


def _allowed(kwargs: dict[str, Any]) -> dict[str, Any]:
    problems = [
        f"`model.backbone_kwargs.{key}` cannot be given: {_ELSEWHERE[key]}." for key in kwargs.keys() & _ELSEWHERE
    ]
    if problems:
        raise UserError("\n".join(sorted(problems)))
    return kwargs


def _required_size(name: str, image_size: int | None, cfg: dict[str, Any]) -> int:
    if image_size is None:
        raise UserError(
            f"`model.image_size` must be given for `model.backbone={name}`, which is built for one size: "
            f"set `model.image_size={cfg['input_size'][-1]}`, the size of its published weights."
        )
    return image_size


def _build(name: str, location: str, options: dict[str, Any], kwargs: dict[str, Any]) -> nn.Module:
    try:
        return timm.create_model(location, **options)
    except UserError:  # of a network's own
        raise
    except ValidationError as error:
        raise UserError(_invalid(error, name, location)) from error
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"`model.pretrained=true`: the weights of `model.backbone={name}` cannot be loaded ({error}). "
            f"Set `model.weights=FILE` with a local file of them, or `model.pretrained=false`."
        ) from error
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if match := _UNEXPECTED.search(str(error)):
            raise UserError(_unexpected(name, location, *match.groups())) from error
        given = {"model.backbone_kwargs": kwargs or None, "model.image_size": options.get("img_size")}
        given = ", ".join(f"`{key}={value}`" for key, value in given.items() if value is not None)
        if not given:
            raise
        raise UserError(f"`model.backbone={name}` cannot be built with {given}: {error!r}") from error


def _invalid(error: ValidationError, name: str, location: str) -> str:
    """A line for each wrong argument of a network that checks its own."""
    lines = []
    for item in error.errors():
        key = ".".join(map(str, item["loc"]))
        if item["type"] == "unexpected_keyword_argument":
            lines.append(_unexpected(name, location, error.title.split(".")[0], key))
        else:
            lines.append(f"`model.backbone_kwargs.{key}`: {item['msg']}, got {item['input']!r}.")
    return "\n".join(lines)


def _unexpected(name: str, location: str, class_name: str | None, argument: str) -> str:
    if argument == "drop_rate":  # which is given at 0 too
        return f"`model.drop_rate`: `model.backbone={name}` takes no drop_rate, unlike timm's networks."
    if argument in _ELSEWHERE:
        return f"`model.{argument}`: `model.backbone={name}` has no such argument: leave it at 0."
    known = ""
    module = sys.modules[model_entrypoint(location).__module__] if ":" not in location else None
    if network := getattr(module, class_name or "", None):
        valid = sorted(inspect.signature(network).parameters.keys() - _ELSEWHERE.keys() - {"device", "dtype"})
        known = f": it takes {', '.join(valid)}" if valid else ": it takes none"
    return f"`model.backbone_kwargs.{argument}` is not an argument of `model.backbone={name}`{known}."
