"""One explanation: checkpoints and images to overlays, explanations.csv and a page."""

import csv
import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import compress, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from PIL import Image

from fakereal.data.store.decode import Resize
from fakereal.data.store.entries import Entry
from fakereal.data.store.parallel import decode_all
from fakereal.data.store.rgb import BadImage, open_image
from fakereal.explanation.evidence import MeanMap
from fakereal.explanation.overlay import at_own_size, overlay, stacked
from fakereal.explanation.page import SHOWN, SIDE, Explained, summary, write_page
from fakereal.prediction.answers import Answer
from fakereal.prediction.batch import Batch, batches
from fakereal.prediction.question import ALONE, ask
from fakereal.prediction.shown import Shown
from fakereal.presentation.rows import write_rows
from fakereal.presentation.thumbnails import LEAST, enlarged
from fakereal.runtime.errors import UserError
from fakereal.runtime.memory import explained_out_of_memory

log = logging.getLogger(__name__)
HEADER = ("path", "prediction", "prob_fake", "explained", "map", "error")


def explain(cfg: DictConfig) -> list[dict[str, Any]]:
    """Explains the answers about `cfg.images`; leaves maps/, explanations.csv and explanations.html.

    Raises:
        UserError: also at the end, when some of the files could not be read.
    """
    asked = ask(cfg)
    out = Path(HydraConfig.get().runtime.output_dir)
    images, predictor = asked.images, asked.predictor
    maps = MeanMap([member.classifier for member in predictor.members], cfg.layer)
    explainer = Explainer(maps, predictor.device, cfg.target, predictor.resize, out)
    total = images.total if cfg.limit is None or images.total is None else min(images.total, cfg.limit)
    entries, every = iter(images), images.total
    done: list[Explained] = []
    interrupted = False
    _forget(out)
    (out / "maps").mkdir(exist_ok=True)
    try:
        with (
            explained_out_of_memory(asked.batch_size, predictor.members[0].classifier.hparams.image_size),
            closing(decode_all(islice(entries, cfg.limit), predictor.resize, ALONE)) as decoded,
            Shown(total, False, "Explaining") as shown,
        ):
            for batch in batches(decoded, asked.batch_size):
                answers = predictor.answers(batch)
                done += explainer(batch, answers, len(done))
                shown.show(answers)
            if every is None and len(done) == cfg.limit and next(entries, None) is None:
                every = len(done)  # the archive had no more
    except KeyboardInterrupt:
        interrupted = True
    rows = [_row(item) for item in done]
    write_rows(out / "explanations.csv", rows, HEADER)
    told = summary(done, cfg.limit, every)
    write_page(out, done, told, cfg.layer)
    for line in (*told, f"Page: {out / 'explanations.html'}"):
        log.info(line)
    if interrupted:
        log.warning("Interrupted: the page shows the first %s images", f"{len(done):,}")
        raise SystemExit(130)  # 128 + SIGINT, as shells have it
    if bad := sum(bool(item.answer.error) for item in done):
        raise UserError(f"{images.named}: {bad:,} of {len(done):,} files have no map; their rows say why.")
    return rows


@dataclass
class Explainer:
    """Makes maps of the evidence for `target` (a class, or the one predicted) and writes them below `out`/maps."""

    maps: MeanMap
    device: torch.device
    target: str
    resize: Resize
    out: Path

    def __call__(self, batch: Batch, answers: list[Answer], begun: int) -> list[Explained]:
        """One for each file of a batch, numbered after the `begun` ones before."""
        good = [not said.error for said in answers]
        wanted = [said.prediction if self.target == "predicted" else self.target.upper() for said in answers]
        heats = self._heats(Batch.of([*compress(batch.files, good)]).pixels, [*compress(wanted, good)])
        done = []
        for (entry, _), said, cls, fine in zip(batch.files, answers, wanted, good, strict=True):
            number = begun + len(done) + 1
            try:
                done.append(self._written(number, entry, said, cls, next(heats)) if fine else Explained(said))
            except BadImage as error:  # it changed since it was decoded, or is too large for memory at its own size
                done.append(Explained(Answer(entry.name, error=str(error))))
        return done

    def _heats(self, images: torch.Tensor, wanted: list[str]) -> Iterator[np.ndarray]:
        if not wanted:
            return iter(())
        return iter(self.maps(images.to(self.device), torch.tensor([cls == "FAKE" for cls in wanted])).cpu().numpy())

    def _written(self, number: int, entry: Entry, said: Answer, cls: str, heat: np.ndarray) -> Explained:
        own = np.asarray(open_image(entry.content)[1])
        picture = overlay(own, at_own_size(heat, self.resize, own.shape[1], own.shape[0]))
        name = f"maps/{number:04d}_{_plain(entry.name)}.png"
        Image.fromarray(enlarged(picture)).save(self.out / name)
        small = max(own.shape) < LEAST
        pixels = stacked(own, picture, SIDE) if number <= SHOWN else None
        return Explained(said, cls, name, pixels, small, bool(heat.any()))


def _forget(out: Path) -> None:
    """Removes the maps of an explanation before, in the same directory, which its table names; nothing beside them."""
    try:
        with (out / "explanations.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            names = [row.get("map") for row in csv.DictReader(file)]
    except (OSError, csv.Error):
        return
    for name in filter(None, names):
        (out / "maps" / Path(name).name).unlink(missing_ok=True)


def _plain(path: str) -> str:
    """The name of a file with what any file system takes; the number before it tells two of them apart."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in Path(path).stem)[:60]


def _row(item: Explained) -> dict[str, Any]:
    said = item.answer
    probability = "" if said.error else f"{said.prob_fake:.7g}"
    return dict(
        zip(HEADER, (said.path, said.prediction, probability, item.explained, item.file, said.error), strict=True)
    )
