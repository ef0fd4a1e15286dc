"""The gallery of a test, from its directory to a section of the report."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fakereal.presentation.content import Block, Picture, Text, Tiles
from fakereal.reporting.gather import ReportFindings
from fakereal.runs.folders import Unusable, read_json
from fakereal.runtime.text import printable

FILE = "gallery.json"
GROUPS_SHOWN = 12


def gallery_blocks(found: ReportFindings) -> list[Block]:
    """Errors, doubtful images and sure hits of the best run that has a gallery."""
    tested = [(run, found.tests.of_run[run].folder / "gallery") for run in found.runs if run in found.tests.of_run]
    run, folder = next(((run, folder) for run, folder in tested if (folder / FILE).exists()), (None, Path()))
    if run is None:
        return []
    text = (
        f"Test images of {found.ref(run)} {found.label(run)}: for each class its surest errors, the images nearest its "
        "threshold and its surest hits. Captions give its answer and the probability of FAKE. Below an image is its "
        "map (Grad-CAM), if the network has one: yellow is where the evidence for the answer is strongest, which "
        "tells neither why it is nor whether it is right."
    )
    try:
        first, *groups = read_json(folder / FILE)["sheets"]
        blocks = [Text(text), *_cells(folder, first)]
        if groups:
            shown = f"the least accurate {GROUPS_SHOWN} of {len(groups)}" if len(groups) > GROUPS_SHOWN else "each"
            blocks.append(Text(f"The first image of each of these, by group ({shown}, the least accurate first):"))
        return [*blocks, *(_group(folder, sheet, n) for n, sheet in enumerate(groups[:GROUPS_SHOWN]))]
    except Unusable as reason:
        return [Text(f"The gallery of {found.ref(run)} is left out: {reason}.")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SyntaxError) as error:
        return [Text(f"The gallery of {found.ref(run)} in {folder} cannot be read: {error!r}.")]


def _cells(folder: Path, sheet: dict[str, Any]) -> list[Block]:
    """A row of tiles a cell."""
    pixels = _pixels(folder, sheet)
    blocks: list[Block] = []
    for number, cell in enumerate(sheet["cells"]):
        title = _title(cell)
        if cell["images"]:
            tiles = [_tile(pixels, image, image["path"]) for image in cell["images"]]
            blocks.append(Tiles(f"gallery_{number}", title, tiles, Picture(_cut(pixels, cell["box"]), title)))
        else:
            blocks.append(Text(f"{title}: none."))
    return blocks


def _group(folder: Path, sheet: dict[str, Any], number: int) -> Tiles:
    """The first tile of each cell of a group; in Markdown its whole sheet."""
    pixels, name = _pixels(folder, sheet), printable(str(sheet["group"])) or "."
    tiles = [_tile(pixels, cell["images"][0], _title(cell)) for cell in sheet["cells"] if cell["images"]]
    return Tiles(f"gallery_group_{number}", name, tiles, Picture(pixels, name))


def _title(cell: dict[str, Any]) -> str:
    return f"{cell['class']}, {cell['kind']}"


def _tile(pixels: np.ndarray, image: dict[str, Any], about: str) -> Picture:
    return Picture(
        _cut(pixels, image["box"]), f"{image['prediction']} {float(image['prob_fake']):.4f}: {printable(about)}"
    )


def _pixels(folder: Path, sheet: dict[str, Any]) -> np.ndarray:
    with Image.open(folder / Path(sheet["file"]).name) as image:
        return np.asarray(image.convert("RGB"))


def _cut(pixels: np.ndarray, box: list[int]) -> np.ndarray:
    left, top, right, bottom = box
    if not (0 <= left < right <= pixels.shape[1] and 0 <= top < bottom <= pixels.shape[0]):
        raise ValueError(f"a box that is not on its sheet: {box}")
    return pixels[top:bottom, left:right]
