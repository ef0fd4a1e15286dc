"""From the name of a backbone to what timm knows of it."""

import difflib
import functools
import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import timm
from timm.models import (
    get_arch_pretrained_cfgs,
    get_deprecated_models,
    get_pretrained_cfg,
    is_model,
    load_model_config_from_hf,
    split_model_name_tag,
)

from fakereal.models.backbones.download import cached_on_hub, hub_answers
from fakereal.runtime.errors import UserError

NETWORKS = "fakereal.networks"
HUB = "hf-hub:"
FOLDER = "local-dir:"


def resolve(name: str) -> tuple[str, dict[str, Any]]:
    """The name under which timm creates a backbone, and its `pretrained_cfg` ({} if it has none).

    Args:
        name: `resnet18`, `resnet18.a1_in1k`, `hf-hub:OWNER/MODEL` or `local-dir:FOLDER`; the latter two hold
            a `config.json` that names the architecture. A hub model in the local cache is taken from there.

    Raises:
        UserError: unknown name (the nearest ones are named) or tag (the tags are), no such hub model or folder.
    """
    if name.startswith(FOLDER):
        return _of_folder(name, name)
    if name.startswith(HUB):
        return _of_hub(name)
    current = get_deprecated_models().get(name) or name
    if not is_model(current):
        _import_plugins()
    if not is_model(current):
        raise UserError(_unknown(name))
    architecture, tag = split_model_name_tag(current)
    tagged = get_arch_pretrained_cfgs(architecture)
    if tag and current not in tagged:
        raise UserError(
            f"`model.backbone={name}`: {architecture} has no weights with the tag `{tag}`; "
            f"use {architecture} or {', '.join(tagged)}."
        )
    cfg = get_pretrained_cfg(current)
    return current, cfg.to_dict() if cfg else {}


@functools.cache
def _import_plugins() -> None:
    """Imports what installed packages name as entry points: modules in which they register networks of theirs."""
    for point in entry_points(group=NETWORKS):
        try:
            point.load()
        except Exception as error:  # theirs
            raise UserError(f"The entry point {point.name} = {point.value} ({NETWORKS}) fails: {error!r}") from error


def published_arguments(name: str) -> dict[str, Any]:
    """What a model of the hub or of a folder gives its architecture, as timm does when it creates it."""
    if name.startswith(FOLDER):
        config = json.loads((Path(name.removeprefix(FOLDER)) / "config.json").read_text(encoding="utf-8"))
        given = config.get("model_args")
    elif config := cached_on_hub(name.removeprefix(HUB), ["config.json"]):
        return published_arguments(f"{FOLDER}{Path(config).parent}")
    else:
        given = load_model_config_from_hf(name.removeprefix(HUB))[2]
    return {key: value for key, value in (given or {}).items() if key not in ("num_classes", "in_chans")}


def _unknown(name: str) -> str:
    if "/" in name:
        return f"`model.backbone={name}` is not a timm network: for one on the Hugging Face hub, use `{HUB}{name}`."
    wanted = split_model_name_tag(name)[0].lower().replace("-", "_")
    near = difflib.get_close_matches(wanted, timm.list_models(), n=5, cutoff=0.5)
    hint = f"the nearest names are {', '.join(near)}" if near else "`timm.list_models()` lists all names"
    return (
        f"`model.backbone={name}` is not a network of timm or fakereal: {hint}. (Register a network of your own with "
        f"an entry point, {NETWORKS}.)"
    )


def _of_hub(name: str) -> tuple[str, dict[str, Any]]:
    model = name.removeprefix(HUB)
    config = cached_on_hub(model, ["config.json"])
    if config and (cached_on_hub(model, ["model.safetensors", "pytorch_model.bin"]) or not hub_answers()):
        return _of_folder(f"{FOLDER}{Path(config).parent}", name)
    if not hub_answers():
        raise UserError(
            f"`model.backbone={name}` is not in the local cache and the Hugging Face hub does not answer: "
            f"use the timm name of the network, or `{FOLDER}FOLDER` with a copy of the model's folder."
        )
    try:
        return name, load_model_config_from_hf(model)[0]
    except OSError as error:  # no such model, or not for this user
        raise UserError(f"`model.backbone={name}` cannot be loaded from the Hugging Face hub: {error}") from error


def _of_folder(location: str, name: str) -> tuple[str, dict[str, Any]]:
    folder = Path(location.removeprefix(FOLDER))
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if not (known := is_model(config["architecture"])):
            _import_plugins()
            known = is_model(config["architecture"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"`model.backbone={name}` must name a folder with the `config.json` of a timm network: {error!r}."
        ) from error
    if not known:
        raise UserError(_unknown(config["architecture"]))
    return location, {**config.get("pretrained_cfg", config), "source": "local-dir", "file": str(folder)}
