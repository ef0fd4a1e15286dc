"""Reading a checkpoint: all that is needed to use a trained classifier, and nothing that runs code."""

import functools
import json
import os
import pickle
import zipfile
from dataclasses import dataclass, field, fields
from hashlib import file_digest
from pathlib import Path
from typing import Annotated, Any, NotRequired

import numpy as np
import torch
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from safetensors import safe_open
from safetensors.torch import save
from typing_extensions import TypedDict

from fakereal import CLASSES
from fakereal.config.schema import annotations_of, value_problem
from fakereal.data.store.decode import Aspect, Filter, Resize
from fakereal.evaluation.operating import OperatingPoint
from fakereal.models.classifier import CHECKPOINT_FORMAT, Classifier
from fakereal.models.distance.reference import Reference
from fakereal.runtime.errors import UserError

SAFETENSORS = ".safetensors"
# Of a checkpoint, what a trained classifier needs; the rest is for going on with its training.
NEEDED = ("fakereal", "hyper_parameters")
TRAINED = {"trained", "trained_before"}


Finite = Annotated[float, Field(allow_inf_nan=False)]


_Data = TypedDict("_Data", {"class": str})  # a name that no class's body can give a field


class Data(_Data):
    """How the images of training were read; the rest are settings of their data module."""

    __pydantic_config__ = ConfigDict(extra="allow")

    size: Annotated[int, Field(ge=1, le=4096)]
    aspect: Aspect
    filter: Filter
    batch_size: Annotated[int, Field(ge=1)]
    images: str  # a digest


class CheckpointMetadata(TypedDict):
    """What a checkpoint says of itself, beside `reference`, `trained` and `trained_before`."""

    __pydantic_config__ = ConfigDict(extra="allow")

    format: int
    classes: list[str]
    threshold: Finite
    temperature: Annotated[Finite, Field(gt=0)]
    data: Data
    rule: NotRequired[str]
    max_fpr: NotRequired[Annotated[float, Field(gt=0, lt=1)] | None]
    operating_points: NotRequired[list[OperatingPoint]]


@dataclass
class Loaded:
    """A classifier in evaluation mode, what its checkpoint says of its data and images, and the file's digest."""

    classifier: Classifier
    data: dict[str, Any]
    digest: str
    path: Path
    reference: Reference | None = None  # None in last.ckpt, as the next
    trained: np.ndarray | None = None  # fingerprints, int64 (N,), of the images of train and val
    trained_before: np.ndarray | None = None  # those of the checkpoints that its weights come from (init_from)
    rule: str = ""  # by which the threshold was chosen, as `Fitted` says
    max_fpr: float | None = None  # of the rule "fpr"
    operating_points: list[OperatingPoint] = field(default_factory=list)  # thresholds by false alarms on validation

    @property
    def resize(self) -> Resize:
        """How images are made small for it, as they were for its training."""
        return Resize(*(self.data[field.name] for field in fields(Resize)))

    @property
    def calibrated(self) -> bool:
        """Whether its probabilities were fitted to validation: it may have been too small, or it was not wanted."""
        return self.classifier.temperature != 1


def read_checkpoint(path: str | Path, key: str = "ckpt_path") -> dict[str, Any]:
    """The checkpoint as plain values and tensors; a UserError that names `key` where it is none of ours."""
    given, path = path, Path(os.path.expanduser(path))
    if given and os.path.isdir(path):
        inside = next((file for file in ("checkpoints/best.ckpt", "best.ckpt") if (path / file).is_file()), "FILE")
        raise UserError(f"{key}={path} is a folder. Give a checkpoint: {key}={path / inside}")
    if not os.path.isfile(path):  # unlike Path's, False for whatever cannot be a path too
        raise UserError(f"{key}={path} does not exist. Give the path of a checkpoint written by fakereal.train.")
    if path.suffix in (".onnx", ".pt2"):
        raise UserError(
            f"{key}={path} is an export for use elsewhere. Give the checkpoint it was made of, or export it in "
            "format=safetensors."
        )
    try:
        if path.suffix == SAFETENSORS:
            checkpoint = _read_safetensors(path)
        else:
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
            _compare_checksums(path)
    except pickle.UnpicklingError as error:
        if zipfile.is_zipfile(path):
            raise UserError(
                f"{key}={path} contains code besides weights, which is not executed. Checkpoints of fakereal.train "
                "contain none: do not trust the file."
            ) from error
        raise UserError(f"{key}={path} is not a checkpoint, or was cut short. Copy it again.") from error
    except Exception as error:  # what unpickling altered bytes ends in is hard to foresee
        raise UserError(f"{key}={path} cannot be read: it was cut short or altered. Copy it again.") from error
    if not isinstance(checkpoint, dict) or not {"fakereal", "state_dict", "hyper_parameters"} <= set(checkpoint):
        raise UserError(f"{key}={path} was not written by fakereal.train. (For a backbone's weights: model.weights.)")
    try:
        ours = TypeAdapter(CheckpointMetadata).validate_python(checkpoint["fakereal"], strict=True)
    except ValidationError as error:
        where = ".".join(map(str, ("fakereal", *error.errors()[0]["loc"])))
        raise UserError(f"{key}={path} was altered: its {where} is not valid. Copy it again.") from error
    if ours["format"] > CHECKPOINT_FORMAT:
        raise UserError(f"{key}={path} was written by a later version of fakereal. Update the package.")
    if tuple(ours["classes"]) != CLASSES:
        raise UserError(
            f"{key}={path} was trained with the classes {', '.join(ours['classes'])}; here they are "
            f"{', '.join(CLASSES)}, in this order. Its answers would be inverted: train it again."
        )
    return checkpoint


def _compare_checksums(path: Path) -> None:
    """torch writes them and does not look at them: weights of which bits have changed would answer otherwise."""
    if not zipfile.is_zipfile(path):  # torch's format until 1.5, which has none
        return
    with zipfile.ZipFile(path) as archive:
        if name := archive.testzip():
            raise zipfile.BadZipFile(f"bad checksum of {name}")


def load_classifier(path: str | Path, key: str = "ckpt_path") -> Loaded:
    """A trained classifier from its checkpoint alone: no configuration, no network, no other file."""
    checkpoint = read_checkpoint(path, key)
    try:
        options, known = checkpoint["hyper_parameters"], annotations_of(Classifier)
        if own := sorted(options.keys() - known.keys()):
            raise UserError(
                f"it is of a class of its own, or was altered: Classifier has no {', '.join(own)}. Load it with that "
                "class, by its load_from_checkpoint."
            )
        problems = [line for name in options for line in value_problem(name, options[name], known[name])]
        if problems:
            raise UserError(f"it was altered. {problems[0]}")
        classifier = Classifier(**options)
    except UserError as error:
        raise UserError(f"{key}={path}: {error}") from error
    except Exception as error:  # of the backbone's own code too
        raise UserError(
            f"{key}={path} was altered: its hyper_parameters do not describe a network. Copy it again."
        ) from error
    restore_weights(classifier, checkpoint, path, key)
    ours = checkpoint["fakereal"]
    classifier.threshold, classifier.temperature = ours["threshold"], ours["temperature"]
    try:
        reference = Reference.of(ours["reference"]) if "reference" in ours else None
    except Exception as error:
        raise UserError(f"{key}={path} was altered: its reference cannot be read. Copy it again.") from error
    for name in TRAINED & ours.keys():
        if not (isinstance(ours[name], torch.Tensor) and ours[name].dtype == torch.int64):
            raise UserError(f"{key}={path} was altered: its {name} cannot be read. Copy it again.")
    known = {name: ours[name].numpy() for name in TRAINED & ours.keys()}
    path = Path(os.path.expanduser(path))
    chosen = {key: ours[key] for key in ("rule", "max_fpr", "operating_points") if key in ours}
    if chosen.get("rule") == "fpr" and chosen.get("max_fpr") is None:
        raise UserError(f"{key}={path} was altered: its max_fpr is missing. Copy it again.")
    return Loaded(classifier.eval(), ours["data"], digest_of(path), path, reference, **known, **chosen)


def ever_trained(checkpoint: dict[str, Any]) -> torch.Tensor | None:
    """Fingerprints of all images that a checkpoint's weights were trained and validated on, as far as it says."""
    found = [checkpoint["fakereal"][name] for name in sorted(TRAINED & checkpoint["fakereal"].keys())]
    return torch.cat(found).unique() if found else None


def restore_weights(classifier: Classifier, checkpoint: dict[str, Any], path: str | Path, key: str) -> None:
    """Puts a checkpoint's weights into a classifier of the same architecture."""
    try:
        classifier.load_state_dict(checkpoint["state_dict"])
    except (TypeError, AttributeError) as error:
        raise UserError(f"{key}={path} was altered: its state_dict holds no weights. Copy it again.") from error
    except RuntimeError as error:
        theirs, own = checkpoint["hyper_parameters"].get("backbone"), classifier.hparams.backbone
        raise UserError(
            f"{key}={path} holds the weights of another network (backbone {theirs}, here {own}). Choose the same "
            f"model and model.* options as it was trained with. ({str(error).splitlines()[-1].strip()})"
        ) from error


def write_safetensors(checkpoint: dict[str, Any], path: Path) -> None:
    """The classifier of a checkpoint without what only its training needs; `read_checkpoint` takes the file."""
    tensors = {f"state_dict.{name}": tensor.contiguous() for name, tensor in checkpoint["state_dict"].items()}
    kept = checkpoint | {"fakereal": {key: value for key, value in checkpoint["fakereal"].items() if key != "so_far"}}
    said = {name: json.dumps(_without_tensors(kept[name], name, tensors)) for name in NEEDED}
    path.write_bytes(save(tensors, said))  # its own save_file leaves a file that others must not read


def _read_safetensors(path: Path) -> dict[str, Any]:
    checkpoint: dict[str, Any] = {"state_dict": {}}
    with safe_open(path, framework="pt") as file:
        said = file.metadata() or {}
        checkpoint |= {name: json.loads(said[name]) for name in NEEDED if name in said}
        for name in file.keys():  # noqa: SIM118 (it is no mapping)
            if name.startswith("state_dict."):
                checkpoint["state_dict"][name.removeprefix("state_dict.")] = file.get_tensor(name)
            elif name.split(".")[0] in checkpoint:
                *path_to, last = name.split(".")
                functools.reduce(dict.__getitem__, path_to, checkpoint)[last] = file.get_tensor(name)
    return checkpoint


def _without_tensors(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """The value with None for each tensor in its dicts, which goes to `tensors` by its path."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value.contiguous()
        return None
    if isinstance(value, dict):
        return {key: _without_tensors(item, f"{name}.{key}", tensors) for key, item in value.items()}
    return value


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
