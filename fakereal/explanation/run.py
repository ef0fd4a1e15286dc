"""One explanation: checkpoints and images to overlays, explanations.csv and a page."""

import logging
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from PIL import Image

from fakereal.config.build import build
from fakereal.config.errors import UserError
from fakereal.config.schema import Count, problems, value_problem
from fakereal.data.store.decode import Decoded, Resize
from fakereal.data.store.parallel import decode_all
from fakereal.data.store.rgb import open_image
from fakereal.evaluation.ensemble import PREPROCESSING, Ensemble, load_members
from fakereal.explanation.grad_cam import MeanMap
from fakereal.explanation.overlay import at_own_size, enlarged, overlay
from fakereal.explanation.page import Explained, summary, write_page
from fakereal.prediction.answers import Answer
from fakereal.prediction.images import Images
from fakereal.prediction.run import ALONE, Batch, answer, batches
from fakereal.prediction.shown import Shown
from fakereal.reporting.rows import write_rows
from fakereal.training.environment import prepare
from fakereal.training.memory import explained_out_of_memory

log = logging.getLogger(__name__)
HEADER = ("path", "prediction", "prob_fake", "explained", "map", "error")


def explain(cfg: DictConfig) -> list[dict[str, Any]]:
    """Explains the answers about `cfg.images`; leaves maps/, explanations.csv and explanations.html.

    Raises:
        UserError: also at the end, when some of the files could not be read.
    """
    sizes = (("data.batch_size", cfg.data.batch_size), ("limit", cfg.limit))  # one image is enough here
    found = [line for key, value in sizes for line in value_problem(key, value, Count | None)]
    if found := [*problems(cfg, skip=frozenset({"limit"})), *found]:
        raise UserError("\n".join(found))
    out = Path(HydraConfig.get().runtime.output_dir)
    images = Images(cfg.images)
    prepare(cfg)
    members = load_members(cfg.ckpt_path, cfg.tta, own_data=False)
    said = members[0].data
    resize = Resize(**{key: said[key] for key in PREPROCESSING})
    batch_size = cfg.data.batch_size or said["batch_size"]
    fabric = build(cfg.trainer, devices=1)
    network = fabric.setup_module(Ensemble(members))
    maps = MeanMap([member.classifier for member in members], cfg.layer)
    total = images.total if cfg.limit is None or images.total is None else min(images.total, cfg.limit)
    done: list[Explained] = []
    (out / "maps").mkdir(exist_ok=True)
    try:
        with (
            explained_out_of_memory(batch_size, members[0].classifier.hparams.image_size),
            closing(decode_all(islice(images, cfg.limit), resize, ALONE)) as decoded,
            Shown(total, False, "Explaining") as shown,
        ):
            for batch in batches(decoded, batch_size):
                answers = answer(network, fabric.device, batch)
                done += _explained(maps, fabric.device, cfg.target, batch, answers, resize, out, len(done))
                shown.show(answers)
    except KeyboardInterrupt:
        raise SystemExit(130) from None  # 128 + SIGINT, as shells have it
    rows = [_row(item) for item in done]
    write_rows(out / "explanations.csv", rows, HEADER)
    left = f"The first {len(done):,} of {images.total:,} images (limit={cfg.limit})" if total != images.total else ""
    write_page(out, done, summary(done, left), cfg.layer)
    for line in (*summary(done, left), f"Page: {out / 'explanations.html'}"):
        log.info(line)
    if bad := sum(bool(item.answer.error) for item in done):
        raise UserError(f"{images.named}: {bad:,} of {len(done):,} files have no map; their rows say why.")
    return rows


def _explained(
    maps: MeanMap,
    device: torch.device,
    target: str,
    batch: Batch,
    answers: list[Answer],
    resize: Resize,
    out: Path,
    begun: int,
) -> list[Explained]:
    """The map of each image of a batch, written as a picture; numbered from `begun` on."""
    good = [not said.error and isinstance(image, Decoded) for (_, image), said in zip(batch, answers, strict=True)]
    heats = iter(())
    if any(good):
        pixels = np.stack([image.pixels for (_, image), fine in zip(batch, good, strict=True) if fine])
        wanted = [said.prediction if target == "predicted" else target.upper() for said in answers]
        fake = torch.tensor([cls == "FAKE" for cls, fine in zip(wanted, good, strict=True) if fine])
        heats = iter(maps(torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2), fake).cpu().numpy())
    done = []
    for number, ((entry, _), said, fine) in enumerate(zip(batch, answers, good, strict=True), start=begun + 1):
        if not fine:
            done.append(Explained(said))
            continue
        heat = next(heats)
        own = np.asarray(open_image(entry.content)[1])
        picture = overlay(own, at_own_size(heat, resize, own.shape[1], own.shape[0]))
        name = f"maps/{number:04d}_{_plain(entry.name)}.png"
        Image.fromarray(enlarged(picture)).save(out / name)
        done.append(Explained(said, wanted[number - begun - 1], name, own, picture, bool(heat.any())))
    return done


def _plain(path: str) -> str:
    """The name of a file with what any file system takes; the number before it tells two of them apart."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in Path(path).stem)[:60]


def _row(item: Explained) -> dict[str, Any]:
    said = item.answer
    probability = "" if said.error else f"{said.prob_fake:.7g}"
    return dict(
        zip(HEADER, (said.path, said.prediction, probability, item.explained, item.file, said.error), strict=True)
    )
