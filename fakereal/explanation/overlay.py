"""Pictures of maps: the grey image under the colours of its map, at the image's own size."""

import functools

import numpy as np
from PIL import Image, ImageOps

from fakereal.data.store.decode import Resize
from fakereal.presentation.thumbnails import thumbnail

COLOURS = "viridis"  # perceptually uniform, and told apart by the colour-blind; its yellow stays clear of white
STRENGTH = 0.55  # of the colours over the image
GAP = 4  # pixels between an image and its overlay


def overlay(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The image (H, W, 3) uint8 in grey, with its map (H, W) in [0, 1] as colours over it; uint8 (H, W, 3).

    Where the map is nan, for the network did not see it, no colours are.
    """
    grey = np.asarray(ImageOps.grayscale(Image.fromarray(pixels)), dtype=np.float32)[..., None]
    over = np.where(np.isnan(heat)[..., None], grey, coloured(np.nan_to_num(heat)))
    return np.rint((1 - STRENGTH) * grey + STRENGTH * over).astype(np.uint8)


def coloured(heat: np.ndarray) -> np.ndarray:
    """Colours (..., 3), float32 in [0, 255], of values in [0, 1]."""
    return _palette()[np.rint(np.clip(heat, 0, 1) * 255).astype(np.uint8)]


@functools.cache
def _palette() -> np.ndarray:
    from matplotlib import colormaps

    return (colormaps[COLOURS](np.arange(256))[:, :3] * 255).astype(np.float32)


def at_own_size(
    heat: np.ndarray, resize: Resize, width: int, height: int, shown: tuple[int, int] | None = None
) -> np.ndarray:
    """A map (size, size) of what the network saw, as one (height, width) of the image before it was resized.

    What `crop` and `native` cut off is nan; what `pad` added is left out. `shown`: width and height of the map, where
    the image is shown in others than its own.
    """
    whole, (wide, high) = Image.fromarray(heat.astype(np.float32)), shown or (width, height)
    if resize.aspect == "pad" and (width, height) != whole.size:
        inner = [max(1, round(side * resize.size / max(width, height))) for side in (width, height)]
        left, top = ((resize.size - side) // 2 for side in inner)
        whole = whole.crop((left, top, left + inner[0], top + inner[1]))
    if resize.aspect in ("squash", "pad"):
        return np.asarray(whole.resize((wide, high), Image.Resampling.BILINEAR))
    side = min(width, height) if resize.aspect == "crop" or resize.enlarges(width, height) else resize.size
    left, top = round((width - side) // 2 * wide / width), round((height - side) // 2 * high / height)
    seen = max(1, round(side * wide / width)), max(1, round(side * high / height))
    own = Image.new("F", (wide, high), float("nan"))
    own.paste(whole.resize(seen, Image.Resampling.BILINEAR), (left, top))
    return np.asarray(own)


def stacked(pixels: np.ndarray, picture: np.ndarray, side: int) -> np.ndarray:
    """The image above its overlay, each (H, W, 3) uint8 and with sides of at most `side`, with a gap of white."""
    above, below = thumbnail(pixels, side), thumbnail(picture, side)
    return np.concatenate([above, np.full((GAP, above.shape[1], 3), 255, dtype=np.uint8), below])


def colour_bar(width: int = 192, height: int = 14) -> np.ndarray:
    """From 0 to 1, left to right, as an overlay on middle grey has it."""
    heat = np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))
    return overlay(np.full((height, width, 3), 128, dtype=np.uint8), heat)
