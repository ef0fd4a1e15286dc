"""The images of a test: which they are, and which of them the networks were trained on."""

import logging
import re
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from fakereal.config.build import build
from fakereal.config.schema import annotations_of, resolved, value_problem
from fakereal.data.datamodule import ImageDataModule
from fakereal.data.known import DATA
from fakereal.data.split import SPLIT, fingerprints
from fakereal.evaluation.evaluation import Evaluation
from fakereal.evaluation.intervals import named
from fakereal.models.checkpoint import Loaded
from fakereal.models.ensemble import PREPROCESSING, load_members
from fakereal.runtime.errors import UserError

log = logging.getLogger(__name__)


def opened(cfg: DictConfig) -> tuple[list[Loaded], ImageDataModule]:
    """The checkpoints that a command tests, and the data that it tests them on."""
    own = "_target_" not in cfg.data
    members = load_members(cfg.ckpt_path, tta=cfg.tta, threshold=cfg.threshold, own_data=own)
    return members, open_data(cfg.data, members)


def open_data(node: DictConfig, members: list[Loaded]) -> ImageDataModule:
    """The data of the checkpoints with what the user gave in its place, or data that the user chose instead.

    Of data that turn out to be the images of a training, the test split is that of the training, unless the command
    line says otherwise. Images are resized as for training, whatever is said.
    """
    loaded = members[0]
    said = dict(loaded.data)
    cls = DATA.get(said.pop("class"))
    if "_target_" in node:
        given = _given()
        for key in PREPROCESSING:
            if key in given and node[key] != said[key]:
                log.warning("data.%s=%s is not used: the network was trained with %s", key, node[key], said[key])
        # A class of the user's own says in its settings which images it opens; of ours the command line does.
        own = cls is None and get_object(node._target_).__name__ == loaded.data["class"]
        kept = {key: said[key] for key in node if own and key in said and key not in given}
        data = build(node, **kept | {key: said[key] for key in PREPROCESSING})
        kept = [key for key in SPLIT if key not in given]
        data.trained = [{key: other.data[key] for key in ("images", *kept) if key in other.data} for other in members]
        return data
    if cls is None:
        raise UserError(f"ckpt_path={loaded.path} was trained on data of your own: choose it with data=NAME.")
    said.pop("images")
    given = {key: resolved(node[key]) for key in node if not OmegaConf.is_missing(node, key)}
    known = annotations_of(cls)
    if unknown := sorted(set(given) - set(known)):
        raise UserError(f"data.{unknown[0]}={given[unknown[0]]}: {cls.__name__} has no such key.")
    wrong = [line for key, value in given.items() for line in value_problem(f"data.{key}", value, known[key])]
    if wrong:
        raise UserError("\n".join(wrong))
    return cls(**{key: value for key, value in said.items() if key in known} | given)


def _given() -> set[str]:
    """The keys of `data` that the command line names."""
    words = HydraConfig.get().overrides.task
    return {match[1] for word in words if (match := re.match(r"\+{0,2}data\.(\w+)=", word))}


def rows_of_training(data: ImageDataModule, members: list[Loaded]) -> np.ndarray:
    """The rows that were train or val of a network, of other images those of the same pixels.

    And those on which its weights were trained before. Copies of its own rows are not counted: they are leaked.
    """
    found, own = [np.empty(0, np.int64)], fingerprints(data.images.table["pixel_hash"])
    for member in members:
        known, before = (np.empty(0, np.int64) if of is None else of for of in (member.trained, member.trained_before))
        if member.data["images"] == data.images.digest:
            dealt = data.dealt(member.data)
            found += [dealt["train"], dealt["val"]]
            known, before = known[:0], np.setdiff1d(before, own[np.concatenate(found[-2:])])
        found.append(np.flatnonzero(np.isin(own, np.concatenate([known, before]))))
    return np.concatenate(found)


def warn_of_other_images(node: DictConfig, data: ImageDataModule, members: list[Loaded], trained: np.ndarray) -> None:
    """A line in the log where the data of the checkpoint are no longer the images that it was trained on.

    And one where some were trained on, or where only a part of other images is tested.
    """
    tested, every = len(data.splits["test"]), len(data.images.table)
    if seen := _seen(data, trained):
        log.warning(
            "%s of the %s test images were trained or validated on: their figures say little about other images",
            f"{seen:,}", f"{tested:,}",
        )  # fmt: skip
    elif data.images.digest == members[0].data["images"]:
        return  # its test split
    elif "_target_" in node:
        if tested < every and not (data.images.table["split"] == 2).any():
            log.warning("%s of %s images are tested; data.test_fraction=1 tests all", f"{tested:,}", f"{every:,}")
    elif any(member.trained is None for member in members):
        log.warning(
            "The images are not those of the training: a test split carved anew may hold former training images"
        )


def seen_in_training(data: ImageDataModule, trained: np.ndarray) -> dict[str, int]:
    """How many of the test images were in train or val of a network; empty where none was trained on these images."""
    return {"test/seen_in_training": _seen(data, trained)} if len(trained) else {}


def _seen(data: ImageDataModule, trained: np.ndarray) -> int:
    return len(np.intersect1d(data.splits["test"].rows, trained))


def without_leaked(evaluation: Evaluation, data: ImageDataModule, trained: np.ndarray) -> dict[str, Any]:
    """Accuracy over the test images whose pixels do not also stand in train or val; empty where all are new.

    What data.drop_duplicates leaves out counts as seen unless all networks were trained without it. Empty also where
    none was trained on these images: what is train and val of them is then no training's.
    """
    hashes = data.images.table["pixel_hash"]
    new = ~np.isin(hashes[data.splits["test"].rows], hashes[trained])
    if new.all() or not new.any():
        return {}
    value, interval, count = evaluation.accuracy(new)
    return {**named("test/without_leaked/accuracy", value, interval), "test/without_leaked/images": count}
