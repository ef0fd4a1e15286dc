"""JPEG files the quick way: by simplejpeg, in a seventh of the time that Pillow takes for small ones.

Both call libjpeg-turbo and give the same pixels, but only Pillow tells what a header says. So of files whose headers
are the same, Pillow reads the first two, and simplejpeg those after, if on the second the two agreed. What simplejpeg
refuses, Pillow is asked about again: it reads more, and says what is wrong with the rest.
"""

from typing import Any

import numpy as np
import simplejpeg

START_OF_SCAN, HUFFMAN_TABLES = 0xDA, 0xC4
WITH_LENGTH = frozenset([*range(0xC0, 0xD0), *range(0xDA, 0xFF)])  # markers of segments that say how long they are
HEADER_BYTES = 4096  # longer ones hold previews or colour profiles, of images that take long enough by themselves
KEPT = 1024  # headers

_seen: set[bytes] = set()
_trusted: dict[bytes, Any] = {}


def read(data: bytes) -> tuple[Any, np.ndarray] | None:
    """What `learn` was told of files with the same header, and pixels (H, W, 3) uint8; None where Pillow is needed."""
    facts = _trusted.get(header_of(data))
    pixels = _decoded(data) if facts else None
    return None if pixels is None else (facts, pixels)


def learn(data: bytes, facts: Any, pixels: np.ndarray) -> None:
    """Takes note of a file that Pillow has read: of `facts`, which follow from its header, and pixels (H, W, 3)."""
    if not (header := header_of(data)):
        return
    if header not in _seen:
        if len(_seen) == KEPT:
            _seen.clear()
        _seen.add(header)
    elif np.array_equal(_decoded(data), pixels):
        if len(_trusted) == KEPT:
            _trusted.clear()
        _trusted[header] = facts


def header_of(data: bytes) -> bytes:
    """What stands before the first scan of a JPEG file, without Huffman tables, which many files have of their own.

    Empty where it is long, or the file is another one.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return b""
    kept, at, end = [], 2, min(len(data) - 4, HEADER_BYTES)
    while at < end and data[at] == 0xFF and data[at + 1] in WITH_LENGTH:
        if data[at + 1] == START_OF_SCAN:
            return b"".join(kept)
        after = at + 2 + (data[at + 2] << 8 | data[at + 3])
        if data[at + 1] != HUFFMAN_TABLES:
            kept.append(data[at:after])
        at = after
    return b""


def _decoded(data: bytes) -> np.ndarray | None:
    try:
        return simplejpeg.decode_jpeg(data, "RGB")
    except ValueError:
        return None
