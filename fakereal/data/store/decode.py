"""One image file to pixels of one size and its facts; the same function for training and for use.

Worker processes import this module: it must import neither torch nor Hydra.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin

from fakereal.data.store import jpeg
from fakereal.data.store.rgb import BadImage, failing_as_bad_image, opened, read_bytes

# Bit i of `Decoded.metadata` says that the file has METADATA[i], beside the pixels.
METADATA = (
    "EXIF",
    "ICC profile",
    "XMP",
    "text",
    "IPTC",
    "C2PA",
    "Adobe marker",
    "JFIF marker",
    "density",
    "progressive",
)

Aspect = Literal["squash", "crop", "pad", "native"]
Filter = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]


@dataclass(frozen=True)
class Resize:
    """How an image of any size becomes `size` x `size` pixels.

    `squash` scales both sides, `crop` scales the shorter side and cuts the middle, `pad` scales the longer side and
    adds black borders. `native` cuts the middle and scales nothing, unless a side is too short (then it is `crop`):
    the traces of a generator are in the pixels, and resampling takes them away (Gragnaniello et al., "Are GAN generated
    images easy to detect?", ICME 2021). An image that already has the size is left as it is.
    """

    size: int
    aspect: Aspect = "squash"
    filter: Filter = "bilinear"

    def __call__(self, image: Image.Image) -> Image.Image:
        size, method = (self.size, self.size), Image.Resampling[self.filter.upper()]
        if image.size == size:
            return image
        if self.aspect == "native" and not self.enlarges(*image.size):
            left, top = ((side - self.size) // 2 for side in image.size)
            return image.crop((left, top, left + self.size, top + self.size))
        if self.aspect in ("crop", "native"):
            return ImageOps.fit(image, size, method)
        if self.aspect == "pad":
            return self._pad(image, method)
        return image.resize(size, method)

    def enlarges(self, width: int | np.ndarray, height: int | np.ndarray) -> bool | np.ndarray:
        """Whether images of such sizes, one or (N,), have a side that is too short for them to be only cut."""
        return np.minimum(width, height) < self.size

    def _pad(self, image: Image.Image, method: Image.Resampling) -> Image.Image:
        """Unlike by ImageOps.pad, at least a pixel is left of a very narrow image."""
        width, height = (max(1, round(side * self.size / max(image.size))) for side in image.size)
        square = Image.new("RGB", (self.size, self.size))
        square.paste(image.resize((width, height), method), ((self.size - width) // 2, (self.size - height) // 2))
        return square


class Facts(NamedTuple):
    """What a file's header says; `width` and `height` are the stored image's."""

    width: int
    height: int
    mode: str
    format: str
    subsampling: int  # JPEG: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0; -1 where there is none
    quantization: tuple[tuple[int, ...], ...]
    metadata: int  # bits of METADATA


@dataclass
class Decoded:
    """Pixels (size, size, 3) uint8 of one image, and its file's facts, size in bytes, and hashes."""

    pixels: np.ndarray
    facts: Facts
    bytes: int
    hash: bytes  # of the file, as all hashes here: BLAKE2b, 16 bytes
    pixel_hash: bytes


def hash_of(data: bytes | np.ndarray) -> bytes:
    """BLAKE2b, 16 bytes, of bytes or of a contiguous array."""
    return blake2b(data, digest_size=16).digest()


def decode(file: str | Path | bytes, resize: Resize) -> Decoded:
    """One image, given by its path or its bytes, resized; BadImage where it cannot be read."""
    data = file if isinstance(file, bytes) else read_bytes(file)
    if known := jpeg.read(data):
        facts, rgb = known
        if rgb.shape[:2] == (resize.size, resize.size):
            return _decoded(data, facts, rgb)
    with failing_as_bad_image():
        if known:
            return _decoded(data, facts, resize(Image.fromarray(rgb)))
        stored, rgb = opened(data)
        facts = _facts(stored)
        if facts.format == "JPEG" and facts.mode == "RGB" and not facts.metadata & 1 << METADATA.index("EXIF"):
            jpeg.learn(data, facts, np.asarray(rgb))  # upright, and in the colours of the file
        return _decoded(data, facts, resize(rgb))


def _decoded(data: bytes, facts: Facts, pixels: Image.Image | np.ndarray) -> Decoded:
    pixels = np.ascontiguousarray(pixels)
    return Decoded(pixels, facts, len(data), hash_of(data), hash_of(pixels))


def _facts(stored: Image.Image) -> Facts:
    """Of an image that is loaded; equal facts are one object, which a worker sends once for all images of a task."""
    is_jpeg = stored.format in ("JPEG", "MPO")
    return _interned(
        Facts(
            width=stored.width,
            height=stored.height,
            mode=stored.mode,
            format=stored.format or "",
            subsampling=JpegImagePlugin.get_sampling(stored) if is_jpeg else -1,
            quantization=tuple(map(tuple, stored.quantization.values())) if is_jpeg else (),
            metadata=_metadata(stored),
        )
    )


@functools.lru_cache(1024)
def _interned(facts: Facts) -> Facts:
    return facts


def _metadata(stored: Image.Image) -> int:
    """Bits of METADATA, of an image that is loaded (some formats have text after the pixels)."""
    said = stored.info
    segments = (*getattr(stored, "applist", ()), *getattr(stored, "private_chunks", ()))  # of JPEG, of PNG
    held = (
        "exif" in said,
        "icc_profile" in said,
        "xmp" in said,
        "comment" in said or (stored.format == "PNG" and any(isinstance(value, str) for value in said.values())),
        "photoshop" in said,
        any(name == b"caBX" or (name == "APP11" and b"c2pa" in content) for name, content, *_ in segments),
        "adobe" in said,
        "jfif" in said,
        "dpi" in said,
        bool(said.get("progressive") or said.get("interlace")),
    )
    return sum(bit << place for place, bit in enumerate(held))


def decode_many(files: Iterable[str | Path | bytes | BadImage], resize: Resize) -> list[Decoded | BadImage]:
    """`decode` of each; a file that fails gives its BadImage in its place."""
    return [_decode_or_error(file, resize) for file in files]


def _decode_or_error(file: str | Path | bytes | BadImage, resize: Resize) -> Decoded | BadImage:
    if isinstance(file, BadImage):
        return file
    try:
        return decode(file, resize)
    except BadImage as error:
        return error.with_traceback(None)  # which would keep the file's bytes
