"""Whether pretrained weights can be had, known within seconds.

Offline, timm and the hub's client try again for the better part of a minute before they fail; a sweep on a
compute node without network should fail at once and say what to do.
"""

import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path, PurePath
from typing import Any, NoReturn
from urllib.parse import urlparse

import huggingface_hub
import torch

from fakereal.runtime.errors import UserError
from fakereal.runtime.tls import tls

TIMEOUT = 5.0  # seconds


def find_weights(name: str, cfg: dict[str, Any]) -> dict[str, Any]:
    """What to overlay on a network's `pretrained_cfg` so that timm gets its weights without delay.

    Cached weights come with their path, because the hub's client asks the network even then.

    Raises:
        UserError: there are none, or they are not cached and their host does not answer within `TIMEOUT`.
    """
    if cfg.get("source") == "local-dir":
        if any(path.suffix in (".safetensors", ".bin", ".pth") for path in Path(cfg["file"]).iterdir()):
            return {}
        _cannot_fetch(name, cfg["file"])
    hub, url = cfg.get("hf_hub_id"), cfg.get("url")
    if hub:
        file = cfg.get("hf_hub_filename") or "pytorch_model.bin"
        safe = "model.safetensors" if file == "pytorch_model.bin" else f"{PurePath(file).stem}.safetensors"
        path = cached_on_hub(hub, [safe, file])
        if path and not cfg.get("custom_load"):
            return {"file": path}
        if path or hub_answers():
            return {}
        _cannot_fetch(name, f"{hub} on {huggingface_hub.constants.ENDPOINT}")
    if url:
        url, file = url if isinstance(url, tuple | list) else (url, PurePath(urlparse(url).path).name)
        if os.path.exists(os.path.join(torch.hub.get_dir(), "checkpoints", file)) or _answers(url):
            return {}
        _cannot_fetch(name, url)
    raise UserError(f"`model.backbone={name}` has no pretrained weights: set `model.pretrained=false`.")


def _cannot_fetch(name: str, source: str) -> NoReturn:
    raise UserError(
        f"`model.pretrained=true`: the weights of `model.backbone={name}` ({source}) are not in the local "
        f"cache, and their host does not answer. Set `model.weights=FILE` with a local file of them "
        f"(.safetensors or .pth), or `model.pretrained=false` to start from random weights."
    )


def cached_on_hub(model: str, files: Iterable[str]) -> str | None:
    """The local path of the first of the files of a hub model (OWNER/MODEL[@REVISION]) that is cached."""
    repo, _, revision = model.partition("@")
    for file in files:
        path = huggingface_hub.try_to_load_from_cache(repo, file, revision=revision or None)
        if isinstance(path, str):
            return path
    return None


def hub_answers() -> bool:
    """Whether the Hugging Face hub (or the mirror in HF_ENDPOINT) can be asked."""
    constants = huggingface_hub.constants
    return not constants.HF_HUB_OFFLINE and _answers(constants.ENDPOINT)


def _answers(url: str) -> bool:
    """Whether the host of a URL answers within `TIMEOUT`, through the proxies of the environment."""
    answered = threading.Event()

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=tls()))
            opener.open(request, timeout=TIMEOUT).close()
        except urllib.error.HTTPError as error:
            if error.code == 407 or error.code >= 500:  # what a proxy says of a host that it does not reach
                return
        except (OSError, HTTPException, ValueError):
            return
        answered.set()

    # The time-out of a socket does not bound the look-up of the host's name: a thread can be left behind.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    return answered.is_set()
