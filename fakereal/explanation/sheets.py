"""Sheets of images with their maps and answers, as pixels."""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fakereal.explanation.choice import Cell
from fakereal.runtime.text import printable

SIDE = 96  # pixels of an image
GAP = 10
COLUMNS = 8
LINE = 16  # pixels of a line of text
Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass
class Tile:
    """Pixels (H, SIDE, 3) uint8 of an image (above its overlay), its answer, its file's name."""

    pixels: np.ndarray
    answer: str
    name: str


@dataclass
class Sheet:
    """Pixels (H, W, 3) uint8; of each cell its box with heading and captions, and of each of its tiles that box.

    `group`: whose images they are; None: all.
    """

    group: str | None
    cells: list[Cell]
    pixels: np.ndarray
    boxes: list[Box]
    tile_boxes: list[list[Box]]


def draw_sheet(group: str | None, cells: list[Cell], tiles: dict[int, Tile], about: str) -> Sheet:
    """The cells below each other, each with up to COLUMNS tiles a row; `tiles` are by position."""
    width = COLUMNS * (SIDE + GAP) + GAP
    height = next((tile.pixels.shape[0] for tile in tiles.values()), SIDE)
    row = height + 2 * LINE + GAP
    rows = [max(1, -(-len(cell.positions) // COLUMNS)) for cell in cells]
    head = 3 * LINE + GAP
    bottom = head + sum(2 * LINE + count * row for count in rows)
    sheet = Image.new("RGB", (width, bottom), "white")
    draw = ImageDraw.Draw(sheet)
    title = "All images" if group is None else printable(group)
    draw.text((GAP, GAP // 2), title, "black", _font(16))
    draw.text((GAP, GAP // 2 + LINE + 6), about, "#444444", _font(11))
    boxes, tile_boxes, top = [], [], head
    for cell, count in zip(cells, rows, strict=True):
        end = top + 2 * LINE + count * row
        boxes.append((0, top, width, end))
        draw.text((GAP, top + 6), cell.title, "black", _font(13))
        if not len(cell.positions):
            draw.text((GAP, top + 2 * LINE), "none", "#444444", _font(11))
        held = []
        for number, position in enumerate(cell.positions):
            left = GAP + number % COLUMNS * (SIDE + GAP)
            held.append(_place(sheet, draw, tiles[int(position)], left, top + 2 * LINE + number // COLUMNS * row))
        tile_boxes.append(held)
        top = end
    return Sheet(group, cells, np.asarray(sheet), boxes, tile_boxes)


def _place(sheet: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, left: int, top: int) -> Box:
    sheet.paste(Image.fromarray(tile.pixels), (left, top))
    bottom = top + tile.pixels.shape[0]
    for number, text in enumerate((tile.answer, tile.name)):
        draw.text((left, bottom + 2 + number * (LINE - 2)), _fitting(text), "black", _font(11))
    return left, top, left + tile.pixels.shape[1], bottom


def _fitting(text: str) -> str:
    """The end of a text that is too long for a tile."""
    font, shown = _font(11), text
    while font.getlength(shown) > SIDE:
        text = text[1:]
        shown = f"...{text}"
    return shown


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
