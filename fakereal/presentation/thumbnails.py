"""Images at a size for people: pixels of small ones stay squares."""

import numpy as np
from PIL import Image

LEAST = 256  # pixels of the longer side below which a picture is enlarged


def enlarged(pixels: np.ndarray, least: int = LEAST) -> np.ndarray:
    """Pixels (H, W, 3) as squares of pixels, so many that the longer side has at least `least`; or as they are."""
    factor = -(-least // max(pixels.shape[:2]))
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def thumbnail(pixels: np.ndarray, side: int) -> np.ndarray:
    """Pixels (H, W, 3) with a longer side of at most `side`: a small image enlarged by squares, a large one reduced."""
    longest = max(pixels.shape[:2])
    if longest <= side:
        return enlarged(pixels, side // longest * longest)
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image)
