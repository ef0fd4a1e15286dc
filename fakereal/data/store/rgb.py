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

# Not all that Pillow opens: EPS and WMF are run by other programs, HDF5, GRIB, BUFR and MPEG are only recognised,
# and formats without a signature, such as TGA, may take a damaged file for theirs.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "DIB", "TIFF", "MPO", "JPEG2000", "ICO", "PPM", "QOI")
# Images of phones and cameras that Pillow does not open: told of as such, not passed over like other files.
UNREAD = {".heic", ".heif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"}
MAX_PIXELS = 89_478_485  # more than these are a decompression bomb by Pillow's measure
MAX_BYTES = 3 * MAX_PIXELS
# Where there are such flags: no newlines translated, and a pipe is not waited for for ever.
READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
UPRIGHT = {  # by EXIF's number of the orientation
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


def too_large(size: int) -> BadImage:
    """The BadImage for a file of so many bytes."""
    return BadImage(f"{size / 2**20:.0f} MiB, more than {MAX_BYTES // 2**20}")


@functools.cache
def image_extensions() -> frozenset[str]:
    """The file name endings, with the dot, of images: of the formats that are read, and of others, to be told of."""
    read = {end for end, name in Image.registered_extensions().items() if name in FORMATS}
    return frozenset(read | UNREAD)


@functools.cache
def _openers() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]  # a Pillow may be built without AVIF


def read_bytes(path: str | Path) -> bytes:
    """The file's bytes; BadImage where it cannot be read or is larger than any image should be."""
    # Not by open() or pathlib: their seven system calls instead of four take a tenth of decoding a small file.
    try:
        file = os.open(path, READ)
        try:
            return _content(file)
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        raise BadImage(getattr(error, "strerror", None) or str(error)) from error


def _content(file: int) -> bytes:
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise BadImage("not a regular file")
    if status.st_size > MAX_BYTES:
        raise too_large(status.st_size)
    content = os.read(file, status.st_size)
    while len(content) < status.st_size and (more := os.read(file, status.st_size - len(content))):
        content += more
    return content


@contextmanager
def failing_as_bad_image() -> Iterator[None]:
    """Whatever goes wrong with an image becomes a BadImage; nothing is printed about what goes right."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged EXIF block only warns, and the pixels are fine
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except BadImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except Image.UnidentifiedImageError as error:
        raise BadImage("not an image that can be read (if it is one, convert it to JPEG or PNG)") from error
    except MemoryError as error:
        raise BadImage("does not fit into memory") from error
    except Exception as error:  # Pillow's plugins raise SyntaxError, struct.error, EOFError, IndexError, ...
        raise BadImage(str(error) or type(error).__name__) from error


def _too_many_pixels() -> BadImage:
    return BadImage(f"more than {MAX_PIXELS // 10**6} million pixels (a decompression bomb?)")


def open_image(file: str | Path | bytes) -> tuple[Image.Image, Image.Image]:
    """The first frame, of a path or of a file's bytes, as stored and as RGB at its own size.

    Raises:
        BadImage: it cannot be read.
    """
    with failing_as_bad_image():
        return opened(file if isinstance(file, bytes) else read_bytes(file))


def opened(data: bytes) -> tuple[Image.Image, Image.Image]:
    """What `open_image` gives, inside of the caller's `failing_as_bad_image`."""
    stored = header(data)
    return stored, to_rgb(stored)


def header(data: bytes) -> Image.Image:
    """What a file's bytes say of the image before it is decoded, inside of the caller's `failing_as_bad_image`."""
    if not data:
        raise BadImage("empty file")
    stored = Image.open(io.BytesIO(data), formats=_openers())
    if stored.width * stored.height > MAX_PIXELS:  # Image.MAX_IMAGE_PIXELS is anybody's to change
        raise _too_many_pixels()
    return stored


def to_rgb(image: Image.Image) -> Image.Image:
    """Rotated as EXIF says, on white where transparent, 8 bits."""
    image = _upright(image)
    if image.mode.startswith(("I", "F")):
        return _from_high_depth(image).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # the EXIF block is damaged in any of many ways; the pixels are fine
        return image
    # Not ImageOps.exif_transpose: it copies upright images and fails where it cannot write the EXIF block anew.
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image


def _from_high_depth(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits or floating point scaled to 8 bits; Pillow's own conversion clips at 255.

    White is 65535, or of floating point 1 or 255, the first of them that nothing exceeds; else the largest value.
    """
    values = np.nan_to_num(np.array(image, dtype=np.float32), copy=False, nan=0, posinf=0, neginf=0)
    top = values.max(initial=0)
    usual = (1, 255) if image.mode == "F" else (65535,)
    white = next((level for level in usual if top <= level), top)
    values *= np.float32(255 / white)
    return Image.fromarray(np.clip(np.rint(values, out=values), 0, 255, out=values).astype(np.uint8))
