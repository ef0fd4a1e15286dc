"""One image file, whatever its format, to RGB pixels of one size; the same function for training and for use.

Worker processes import this module: it must not import torch.
"""

import functools
import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin

Aspect = Literal["squash", "crop", "pad"]
Filter = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]

MAX_PIXELS = 100_000_000  # a decompression bomb by Pillow's own measure is 89 million and more
MAX_BYTES = 512 * 2**20
# EPS and WMF are run by other programs (Ghostscript, GDI), which is not decoding.
UNSAFE_FORMATS = {"EPS", "WMF"}


class BadImage(Exception):
    """An image that cannot be read; the message says why, in a few words."""


@dataclass(frozen=True)
class Resize:
    """How an image of any size becomes `size` x `size` pixels.

    `squash` scales both sides, `crop` scales the shorter side and cuts the middle, `pad` scales the longer
    side and adds black borders. An image that already has the size is left as it is.
    """

    size: int
    aspect: Aspect = "squash"
    filter: Filter = "bilinear"

    def __call__(self, image: Image.Image) -> Image.Image:
        size, method = (self.size, self.size), Image.Resampling[self.filter.upper()]
        if image.size == size:
            return image
        if self.aspect == "crop":
            return ImageOps.fit(image, size, method)
        if self.aspect == "pad":
            return ImageOps.pad(image, size, method)
        return image.resize(size, method)


@dataclass
class Decoded:
    """Pixels (size, size, 3) uint8 of one image, and what its file said before they were decoded."""

    pixels: np.ndarray
    width: int
    height: int
    mode: str
    format: str
    bytes: int
    subsampling: int  # JPEG: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0; -1 where there is none
    quantization: tuple[tuple[int, ...], ...]
    hash: bytes  # of the file
    pixel_hash: bytes = field(default=b"")


def image_extensions() -> set[str]:
    """The file name endings, with the dot, of the formats that are read."""
    known = Image.registered_extensions()
    return {end for end, name in known.items() if name in Image.OPEN and name not in UNSAFE_FORMATS}


@functools.cache
def read_formats() -> list[str]:
    """Pillow's names of the formats that are read."""
    Image.init()
    return [name for name in Image.ID if name not in UNSAFE_FORMATS]


def to_rgb(image: Image.Image) -> Image.Image:
    """The first frame as it is meant to be seen: rotated as EXIF says, on white where transparent, 8 bits."""
    image = ImageOps.exif_transpose(image)
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        return _from_high_depth(image).convert("RGB")
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _from_high_depth(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits or floating point scaled to 8 bits; Pillow's own conversion clips at 255."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
    top = values.max(initial=0)
    usual = (1, 255) if image.mode == "F" else (65535,)
    white = next((level for level in usual if top <= level), top)
    return Image.fromarray(np.clip(np.rint(values * (255 / white)), 0, 255).astype(np.uint8))


def open_image(file: str | Path | bytes) -> tuple[Image.Image, Image.Image]:
    """The image as stored (header only is sure to be read) and as RGB at its own size; BadImage where it fails."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged EXIF block only warns, and the pixels are fine
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            source = io.BytesIO(file) if isinstance(file, bytes) else file
            image = Image.open(source, formats=read_formats())
            if image.width * image.height > MAX_PIXELS:
                raise BadImage(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS // 10**6} million")
            return image, to_rgb(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage("too many pixels (a decompression bomb?)") from error
    except Image.UnidentifiedImageError as error:
        raise BadImage("not an image that Pillow can read") from error
    except BadImage:
        raise
    except MemoryError as error:
        raise BadImage("does not fit into memory") from error
    except Exception as error:  # Pillow's plugins raise SyntaxError, struct.error, EOFError, IndexError, ...
        raise BadImage(str(error) or type(error).__name__) from error


def decode(file: str | Path | bytes, resize: Resize) -> Decoded:
    """One image, given by its path or its bytes, resized; BadImage where it cannot be read."""
    data = file if isinstance(file, bytes) else read_bytes(file)
    if not data:
        raise BadImage("empty file")
    stored, rgb = open_image(data)
    pixels = np.asarray(resize(rgb))
    jpeg = stored.format in ("JPEG", "MPO")
    return Decoded(
        pixels=pixels,
        width=stored.width,
        height=stored.height,
        mode=stored.mode,
        format=stored.format or "",
        bytes=len(data),
        subsampling=JpegImagePlugin.get_sampling(stored) if jpeg else -1,
        quantization=tuple(tuple(table) for table in stored.quantization.values()) if jpeg else (),
        hash=blake2b(data, digest_size=16).digest(),
        pixel_hash=blake2b(np.ascontiguousarray(pixels), digest_size=16).digest(),
    )


def read_bytes(path: str | Path) -> bytes:
    """The file's bytes; BadImage where it cannot be read or is larger than any image should be."""
    try:
        size = Path(path).stat().st_size
        if size > MAX_BYTES:
            raise BadImage(f"{size / 2**20:.0f} MiB, more than {MAX_BYTES // 2**20}")
        return Path(path).read_bytes()
    except OSError as error:
        raise BadImage(error.strerror or str(error)) from error


def decode_many(files: Iterable[str | Path | bytes | BadImage], resize: Resize) -> list[Decoded | BadImage]:
    """`decode` of each; a file that fails gives its BadImage in its place."""
    return [_decode_or_error(file, resize) for file in files]


def _decode_or_error(file: str | Path | bytes | BadImage, resize: Resize) -> Decoded | BadImage:
    if isinstance(file, BadImage):
        return file
    try:
        return decode(file, resize)
    except BadImage as error:
        return error
