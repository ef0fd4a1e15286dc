"""One export: a checkpoint to a file, compared with it, and a model card."""

import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fakereal import CLASSES
from fakereal.config.schema import check
from fakereal.data.dead_leaves import synthetic_images
from fakereal.data.store.decode import Decoded, Resize
from fakereal.data.store.parallel import decode_all
from fakereal.evaluation.calibration import called_fake
from fakereal.exporting.card import write_card
from fakereal.exporting.formats import FORMATS, Ask, Described, ask_members
from fakereal.models.checkpoint import Loaded
from fakereal.models.ensemble import load_members, mean_threshold
from fakereal.prediction.images import Images
from fakereal.runtime.environment import prepare
from fakereal.runtime.errors import UserError
from fakereal.runtime.hardware import native_precision

log = logging.getLogger(__name__)
TOLERANCE = 1e-4  # of a probability
COMPARED = 256  # images at most
BATCHES = (1, 3, 32)  # sizes, in turn: the file takes any


def export(cfg: DictConfig) -> None:
    """Leaves model.onnx, model.pt2 or model.safetensors, and model_card.md.

    Raises:
        UserError: also where the file's probabilities differ from the checkpoint's; it is then removed.
    """
    check(cfg)
    out = Path(HydraConfig.get().runtime.output_dir)
    prepare(cfg)
    members = load_members(cfg.ckpt_path, tta=cfg.tta, threshold=cfg.threshold)
    described = describe(members)
    images = compared_images(cfg.images, described)
    ending, write, ask = FORMATS[cfg.format]
    path = out / f"model{ending}"
    asked = ask_members(members)
    wanted = answers(asked, images)
    which = f"{len(images):,} {'given' if cfg.images else 'generated'} images"
    precision = ""
    if cfg.format != "safetensors":  # which the other commands take; before an export alters the networks
        precision = in_own_precision(asked, images, wanted, described.threshold, which)
    write(members, described, path)
    difference = compare(ask(path), images, wanted, path)
    log.info("Compared on %s: probabilities differ by %.1e at most", which, difference)
    if precision:
        log.info(precision)
    card = write_card(out, path, members, described, precision, cfg.tests, cfg.license)
    log.info("Exported: %s (%.1f MB)", path, path.stat().st_size / 1e6)
    log.info("Model card: %s", card)


def in_own_precision(asked: Ask, images: np.ndarray, wanted: np.ndarray, threshold: float, which: str) -> str:
    """What the other commands answer here in bf16, beside `wanted` (N,) in fp32, in a sentence; "" without bf16."""
    if (precision := native_precision("cpu")) == "32-true":
        return ""
    with torch.autocast("cpu", torch.bfloat16):
        found = answers(asked, images)
    flipped = int((called_fake(found, threshold) != called_fake(wanted, threshold)).sum())
    most = np.abs(found - wanted).max()
    return (
        f"The other commands compute in {precision} if the hardware supports it, this file in fp32: on {which} their "
        f"probabilities differ by up to {most:.2g}, and {flipped:,} of {len(found):,} verdicts change"
    )


def describe(members: list[Loaded]) -> Described:
    """What a person or program has to know to use the exported classifiers."""
    said = asdict(members[0].resize)
    digests = [member.digest for member in members]
    return Described(list(CLASSES), **said, threshold=mean_threshold(members), checkpoints=digests)


def compared_images(given: str | list[str] | None, described: Described) -> np.ndarray:
    """uint8 (N, 3, size, size), N <= COMPARED: of those given the first that can be read, or generated ones."""
    if given is None:
        pixels = synthetic_images(64, max(16, described.size))[0][:, : described.size, : described.size]
    else:
        named = Images(given)
        resize = Resize(described.size, described.aspect, described.filter)
        with closing(decode_all(named, resize)) as decoded:
            found, bad = [], 0
            for _, image in decoded:
                if isinstance(image, Decoded):
                    found.append(image.pixels)
                else:
                    bad += 1
                if len(found) == COMPARED:
                    break
        if not found:
            raise UserError(f"{named.named}: none of the images can be read, so nothing can be compared.")
        if bad:
            log.warning("%s: left out %s that could not be read", named.named, f"{bad:,}")
        pixels = np.stack(found)
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def in_batches(images: np.ndarray) -> Iterator[np.ndarray]:
    """The images, in batches of various sizes."""
    start = 0
    for turn in range(len(images)):
        if start >= len(images):
            return
        size = BATCHES[turn % len(BATCHES)]
        yield images[start : start + size]
        start += size


def answers(ask: Ask, images: np.ndarray) -> np.ndarray:
    """Probabilities (N,) of the images, asked in batches of various sizes."""
    return np.concatenate([ask(batch) for batch in in_batches(images)])


def compare(ask: Ask, images: np.ndarray, wanted: np.ndarray, path: Path) -> float:
    """The largest difference of a probability; above TOLERANCE the file goes, with a UserError."""
    got = answers(ask, images)
    difference = float(np.abs(got - wanted).max())
    if not difference <= TOLERANCE:  # nor not a number
        path.unlink()
        raise UserError(
            f"{path.name} answers differently from the checkpoint: a probability differs by {difference:.2g}. It was "
            "removed. Choose another format; and please report the backbone."
        )
    return difference
