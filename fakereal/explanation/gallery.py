"""The gallery of an evaluation: errors, doubtful images and sure hits, with their maps."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fakereal import CLASSES
from fakereal.data.loader import Split
from fakereal.evaluation.evaluation import Evaluation
from fakereal.explanation.choice import choose
from fakereal.explanation.evidence import MeanMap
from fakereal.explanation.layers import NoMap
from fakereal.explanation.overlay import overlay
from fakereal.explanation.sheets import GAP, SIDE, Sheet, Tile, draw_sheet
from fakereal.models.classifier import Classifier
from fakereal.presentation.thumbnails import thumbnail
from fakereal.runs.folders import Unusable, read_json
from fakereal.runtime.files import write_json
from fakereal.runtime.text import printable

log = logging.getLogger(__name__)
BATCH = 64  # images whose maps are made at a time
MAPS = " Below each image is its map: where the evidence for the answer lies, strongest in yellow."


@dataclass
class Examined:
    """An evaluation of classifiers with the split (N images) it is of.

    `groups` (N,): what each image belongs to, or []; `shown`: those groups that have a sheet of their own, in order.
    """

    classifiers: Sequence[Classifier]
    evaluation: Evaluation
    split: Split
    groups: Sequence[str] = ()
    shown: Sequence[str] = ()

    def pixels(self, positions: np.ndarray) -> np.ndarray:
        """Pixels (B, S, S, 3) uint8 of positions (B,) in the split."""
        return self.split.images.gather(self.split.rows[positions])

    def name(self, position: int) -> str:
        return self.split.images.names[self.split.rows[position]]


def make_gallery(examined: Examined, count: int, device: torch.device) -> list[Sheet]:
    """A sheet of all images and one of each group shown, with `count` images a cell; none where it is 0."""
    if not count:
        return []
    evaluation, groups = examined.evaluation, np.array(examined.groups)
    chosen = [(None, choose(evaluation, count))]
    chosen += [(group, choose(evaluation, count, groups == group)) for group in examined.shown]
    positions = np.unique(np.concatenate([cell.positions for _, cells in chosen for cell in cells]))
    heats = _maps(examined, positions, device)
    tiles = {}
    for start in range(0, len(positions), BATCH):
        part = positions[start : start + BATCH]
        for position, pixels in zip(part.tolist(), examined.pixels(part), strict=True):
            tiles[position] = _tile(examined, position, pixels, heats.get(position))
    about = f"The answer with the probability of FAKE (FAKE from {evaluation.threshold:.4f} up).{MAPS if heats else ''}"
    return [draw_sheet(group, cells, tiles, about) for group, cells in chosen]


def write_gallery(folder: Path, sheets: list[Sheet], examined: Examined) -> None:
    """Writes a PNG a sheet, and gallery.json with what is where on them, in the place of those of a test before."""
    _forget(folder)
    if not sheets:
        return
    folder.mkdir(exist_ok=True)
    said = []
    for number, sheet in enumerate(sheets):
        plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in sheet.group or "all")[-40:]
        file = f"{number:02d}_{plain}.png"
        Image.fromarray(sheet.pixels).save(folder / file)
        said.append({"file": file, "group": sheet.group, "cells": _cells(sheet, examined)})
    write_json(folder / "gallery.json", {"threshold": examined.evaluation.threshold, "sheets": said})


def _forget(folder: Path) -> None:
    """Removes the gallery that is there, and nothing beside it; one that is not whole is replaced file by file."""
    try:
        files = [str(sheet["file"]) for sheet in read_json(folder / "gallery.json")["sheets"]]
    except (Unusable, KeyError, TypeError):
        return
    for file in (*files, "gallery.json"):
        (folder / Path(file).name).unlink(missing_ok=True)


def show_sheets(board: Any, split: str, sheets: list[Sheet], step: int = 0) -> None:
    """The sheets as images of a SummaryWriter: of all images below SPLIT/gallery, of groups below SPLIT/gallery_of."""
    for sheet in sheets:
        tag = f"{split}/gallery" if sheet.group is None else f"{split}/gallery_of/{printable(sheet.group)}"
        board.add_image(tag, sheet.pixels, step, dataformats="HWC")


def _maps(examined: Examined, positions: np.ndarray, device: torch.device) -> dict[int, np.ndarray]:
    """The map (S, S) of each position, of the evidence for its answer; none where the network has no map."""
    maps = MeanMap([classifier.to(device).eval() for classifier in examined.classifiers])
    fake = examined.evaluation.predictions[positions] == 1
    held = {}
    try:
        for start in range(0, len(positions), BATCH):
            part = positions[start : start + BATCH]
            pixels = torch.from_numpy(examined.pixels(part)).to(device).permute(0, 3, 1, 2)
            heats = maps(pixels, torch.from_numpy(fake[start : start + BATCH])).cpu().numpy()
            held.update(zip(part.tolist(), heats, strict=True))
    except NoMap as error:
        log.info("The gallery has no maps. %s", error)
        return {}
    return held


def _tile(examined: Examined, position: int, pixels: np.ndarray, heat: np.ndarray | None) -> Tile:
    said = CLASSES[examined.evaluation.predictions[position]]
    answer = f"{said} {examined.evaluation.probabilities[position]:.4f}"
    shown = [_square(pixels)]
    if heat is not None:
        shown += [np.full((GAP // 3, SIDE, 3), 255, dtype=np.uint8), _square(overlay(pixels, heat))]
    return Tile(np.concatenate(shown), answer, printable(examined.name(position).rsplit("/", 1)[-1]))


def _square(pixels: np.ndarray) -> np.ndarray:
    """Pixels (S, S, 3) as (SIDE, SIDE, 3): whole squares of pixels in the middle of white, or reduced."""
    small = thumbnail(pixels, SIDE)
    square = np.full((SIDE, SIDE, 3), 255, dtype=np.uint8)
    start = (SIDE - len(small)) // 2
    square[start : start + len(small), start : start + len(small)] = small
    return square


def _cells(sheet: Sheet, examined: Examined) -> list[dict[str, Any]]:
    evaluation, said = examined.evaluation, []
    for cell, box, boxes in zip(sheet.cells, sheet.boxes, sheet.tile_boxes, strict=True):
        images = [
            {
                "path": examined.name(position),
                "prob_fake": float(f"{evaluation.probabilities[position]:.7g}"),
                "prediction": CLASSES[evaluation.predictions[position]],
                "box": tile,
            }
            for position, tile in zip(cell.positions.tolist(), boxes, strict=True)
        ]
        said.append({"class": cell.cls, "kind": cell.kind, "box": box, "images": images})
    return said
