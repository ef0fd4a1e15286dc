"""An image file of any usual format, as 8-bit RGB the way it is meant to be seen.

Worker processes import this module: it must import neither torch nor Hydra.
"""

import functools
import io
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

# Not the rest of what Pillow opens: EPS and WMF are run by other programs, HDF5, GRIB, BUFR and MPEG are only
# recognised, and the formats without a signature take any damaged file for theirs.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "DIB", "TIFF", "MPO", "JPEG2000", "ICO", "PPM", "QOI", "TGA")
MAX_PIXELS = 89_478_485  # from here on Pillow speaks of a decompression bomb
MAX_BYTES = 3 * MAX_PIXELS
ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BadImage(Exception):
    """An image that cannot be read; the message says why, in a few words."""


@functools.cache
def image_extensions() -> frozenset[str]:
    """The file name endings, with the dot, of the formats that are read."""
    return frozenset(end for end, name in Image.registered_extensions().items() if name in FORMATS)


@functools.cache
def _openers() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]  # a Pillow may be built without AVIF


def read_bytes(path: str | Path) -> bytes:
    """The file's bytes; BadImage where it is empty, cannot be read, or is larger than any image should be."""
    try:
        # Opening a pipe would wait for its writer for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise BadImage("not a regular file")
            if status.st_size > MAX_BYTES:
                raise too_large(status.st_size)
            return file.read() or _raise(BadImage("empty file"))
    except (OSError, ValueError) as error:
        raise BadImage(getattr(error, "strerror", None) or str(error)) from error
