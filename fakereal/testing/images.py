"""The images of a test: those of the training, or others that the command line names."""

import logging
import re

from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from fakereal.config.build import build
from fakereal.config.schema import annotations_of, resolved, value_problem
from fakereal.data.datamodule import ImageDataModule
from fakereal.data.known import DATA
from fakereal.data.split import SPLIT
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
