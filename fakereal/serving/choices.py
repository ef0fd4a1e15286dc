"""Which checkpoints answer, and by what names."""

import logging
import os
import threading
from pathlib import Path

import numpy as np
from omegaconf import DictConfig
from PIL import Image

from fakereal.config.build import build
from fakereal.models.checkpoint import Loaded
from fakereal.models.ensemble import load_members, paths_of, warn_of_mean_threshold
from fakereal.runtime.errors import UserError
from fakereal.serving.judge import Judge
from fakereal.serving.limits import Limits

log = logging.getLogger(__name__)


def judges_of(cfg: DictConfig, limits: Limits) -> dict[str, Judge]:
    """By the names that people choose from, the first of which answers where none is chosen: all together, then each.

    Checkpoints that see images of different sizes cannot answer together. UserError where none of them has a map at
    `cfg.layer`.
    """
    paths = paths_of(cfg.ckpt_path)
    loaded = [load_members(path, tta=cfg.tta, threshold=cfg.threshold)[0] for path in paths]
    if len({member.digest for member in loaded}) < len(loaded):
        raise UserError("ckpt_path names the same checkpoint twice. Give each once.")
    chosen = {name: [member] for name, member in zip(short_names(loaded), loaded, strict=True)}
    if len(loaded) > 1:
        if len({member.resize for member in loaded}) == 1:
            chosen = {f"all {len(loaded)} together": loaded, **chosen}
            warn_of_mean_threshold(loaded)
        else:
            log.info("The checkpoints preprocess images differently: they answer separately, not together")
    fabric, lock = build(cfg.trainer, devices=1), threading.Lock()
    judges = {name: Judge(members, fabric, limits, cfg.layer, lock) for name, members in chosen.items()}
    black = Image.fromarray(np.zeros((64, 64, 3), dtype=np.uint8))
    for judge in judges.values():
        judge([("black", black._repr_png_())], pictures=True)  # the first answer takes seconds
    if cfg.layer and all(reasons := [judge.why_no_map() for judge in judges.values()]):
        raise reasons[0]
    return judges


def short_names(loaded: list[Loaded]) -> list[str]:
    """What tells the checkpoints' paths apart, and no more of them."""
    paths = [member.path.resolve() for member in loaded]
    common = Path(os.path.commonpath([path.parent for path in paths]))
    return [path.relative_to(common).as_posix() for path in paths]
