"""Reading a checkpoint: all that is needed to use a trained classifier, and nothing that runs code."""

import json
import pickle
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from fakereal import CLASSES
from fakereal.config.errors import UserError
from fakereal.models.classifier import CHECKPOINT_FORMAT, Classifier

SAFETENSORS = ".safetensors"
# Of a checkpoint, what a trained classifier needs; the rest is for going on with its training.
NEEDED = ("fakereal", "hyper_parameters")


@dataclass
class Loaded:
    """A classifier in evaluation mode, what its checkpoint says of its data, and the file's digest."""

    classifier: Classifier
    data: dict[str, Any]
    digest: str
    path: Path


def read_checkpoint(path: str | Path, key: str = "ckpt_path") -> dict[str, Any]:
    """The checkpoint as plain values and tensors; a UserError that names `key` where it is none of ours."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f"{key}={path} does not exist. Give the path of a checkpoint written by fakereal.train.")
    try:
        if path.suffix == SAFETENSORS:
            checkpoint = _read_safetensors(path)
        else:
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if zipfile.is_zipfile(path):
            raise UserError(
                f"{key}={path} holds code besides weights; it is not executed. Checkpoints of fakereal.train hold "
                "none: do not trust the file."
            ) from error
        raise UserError(f"{key}={path} is not a checkpoint, or was cut short. Copy it again.") from error
    except Exception as error:  # what unpickling altered bytes ends in is hard to foresee
        raise UserError(f"{key}={path} cannot be read: it was cut short or altered. Copy it again.") from error
    if not isinstance(checkpoint, dict) or not {"fakereal", "state_dict", "hyper_parameters"} <= set(checkpoint):
        raise UserError(f"{key}={path} was not written by fakereal.train. (For a backbone's weights: model.weights.)")
    ours = checkpoint["fakereal"]
    if not isinstance(ours, dict) or not {"format", "classes", "data", "threshold", "temperature"} <= set(ours):
        raise UserError(f"{key}={path} was altered: what it says of itself is incomplete. Copy it again.")
    if ours["format"] > CHECKPOINT_FORMAT:
        raise UserError(f"{key}={path} was written by a later version of fakereal. Update the package.")
    if tuple(ours["classes"]) != CLASSES:
        raise UserError(
            f"{key}={path} was trained with the classes {', '.join(ours['classes'])}; here they are "
            f"{', '.join(CLASSES)}, in this order. Its answers would be turned around: train it again."
        )
    return checkpoint


def load_classifier(path: str | Path, key: str = "ckpt_path") -> Loaded:
    """A trained classifier from its checkpoint alone: no configuration, no network, no other file."""
    checkpoint = read_checkpoint(path, key)
    classifier = Classifier(**checkpoint["hyper_parameters"])
    load_weights(classifier, checkpoint, path, key)
    ours = checkpoint["fakereal"]
    classifier.threshold, classifier.temperature = ours["threshold"], ours["temperature"]
    path = Path(path).expanduser()
    return Loaded(classifier.eval(), ours["data"], file_digest(path), path)


def load_weights(classifier: Classifier, checkpoint: dict[str, Any], path: str | Path, key: str) -> None:
    """Puts a checkpoint's weights into a classifier of the same architecture."""
    try:
        classifier.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        theirs, own = checkpoint["hyper_parameters"].get("backbone"), classifier.hparams.backbone
        raise UserError(
            f"{key}={path} holds the weights of another network (backbone {theirs}, here {own}). Choose the same "
            f"model and model.* options as it was trained with. ({str(error).splitlines()[-1].strip()})"
        ) from error


def write_safetensors(checkpoint: dict[str, Any], path: Path) -> None:
    """The classifier of a checkpoint without what only its training needs; `read_checkpoint` takes the file."""
    said = {name: json.dumps(checkpoint[name]) for name in NEEDED}
    weights = {name: tensor.contiguous() for name, tensor in checkpoint["state_dict"].items()}
    save_file(weights, path, metadata=said)


def _read_safetensors(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        said = {name: json.loads(text) for name, text in (file.metadata() or {}).items() if name in NEEDED}
        return said | {"state_dict": {name: file.get_tensor(name) for name in file.keys()}}  # noqa: SIM118


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    state = sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            state.update(chunk)
    return state.hexdigest()
