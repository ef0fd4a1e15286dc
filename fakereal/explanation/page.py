"""explanations.html: each image with its map, and what a map says and does not say."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fakereal.explanation.overlay import colour_bar
from fakereal.prediction.answers import Answer
from fakereal.presentation.content import Block, Picture, Pictures, Section, Table, Text
from fakereal.presentation.page import write_pages
from fakereal.presentation.thumbnails import LEAST
from fakereal.runtime.text import printable

SIDE = 224  # pixels of an image on the page
SHOWN = 400  # images on the page, of about 20 kB each
READING = (
    "Maps are made by Grad-CAM (Selvaraju et al. 2017): they show where the last layer with spatial resolution found "
    "evidence for the class that is explained; for a transformer with a class token, the relevance of its attention "
    "(Chefer et al. 2021). Yellow marks the strongest evidence in that image, however weak, so maps of two images "
    "cannot be compared. A map is no finer than the cells of its layer, and it says where the network looked, not why, "
    "nor whether it was right: it may be looking at traces of the camera or of compression. What the network did not "
    "see, for it was cut off (data.aspect=crop or native), is left grey."
)


@dataclass
class Explained:
    """An answer with its map; of a file that cannot be read only the answer.

    `explained`: the class whose evidence is shown; `file`: of the overlay; `pixels` (H, W, 3) uint8: the image above
    the overlay, of the first SHOWN; `small`: whether the overlay is enlarged; `found`: whether anything spoke for the
    class.
    """

    answer: Answer
    explained: str = ""
    file: str = ""
    pixels: np.ndarray | None = None
    small: bool = False
    found: bool = False


def summary(done: list[Explained], limit: int | None, total: int | None) -> list[str]:
    """What was explained, and what was not; `total`: how many images there are, None where nobody knows."""
    counts = Counter(item.answer.prediction for item in done)
    lines = [f"{counts['FAKE']:,} FAKE, {counts['REAL']:,} REAL, {counts['']:,} without a map"]
    if len(done) == limit and len(done) != total:
        of = f" of {total:,} images" if total else " images"
        lines.append(f"These are the first {limit:,}{of}: limit=null explains all")
    if empty := sum(bool(item.file) and not item.found for item in done):
        lines.append(f"In {empty:,} images there was no evidence for the class that is explained: their map is empty")
    if any(item.small for item in done):
        lines.append(f"Overlays of images below {LEAST} pixels are enlarged, each pixel as a square")
    return lines


def write_page(out: Path, done: list[Explained], told: list[str], layer: str | None) -> None:
    """Writes explanations.html, explanations.md and figures/ below `out`."""
    good = [item for item in done if item.file]
    bad = [[printable(item.answer.path), printable(item.answer.error)] for item in done if not item.file]
    where = f"Maps of layer {layer}." if layer else "Maps of the last layer (of a ViT: of its attention)."
    bar = Pictures("colour_bar", [Picture(colour_bar(), "no evidence (left) to the strongest of the image (right)")])
    pictures: list[Block] = []
    shown = [item for item in good if item.pixels is not None]
    if len(good) > len(shown):
        pictures.append(Text(f"The first {len(shown):,} of {len(good):,} are shown here; maps/ has all of them."))
    if shown:
        pictures.append(Pictures("explanation", [_picture(item) for item in shown]))
    sections = [
        Section("maps", "Images and maps", [Text(f"Each image, with its map below. {where}"), bar, *pictures]),
        Section("bad", "Without a map", [Table(("file", "why"), bad)]),
        Section("reading", "How to read a map", [Text(READING)]),
    ]
    headline, *more = told
    kept = [section for section in sections if section.slug != "bad" or bad]
    first = (
        "Each map shows where in the image the evidence for the answer lies; what it does not show is explained below."
    )
    conclusion: list[Block] = [Text(first), *(Text(f"{line}.") for line in more)]
    write_pages(out, "Where the network looks", headline, conclusion, kept, "explain", "explanations")


def _picture(item: Explained) -> Picture:
    said = item.answer
    of = "" if item.explained == said.prediction else f", evidence for {item.explained}"
    empty = "" if item.found else ", the map is empty"
    text = f"{said.prediction}, probability of FAKE {said.prob_fake:.4f}{of}{empty}: {printable(said.path)}"
    return Picture(item.pixels, text)
