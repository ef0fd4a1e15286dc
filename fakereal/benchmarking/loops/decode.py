"""Decoding a folder or archive, by one PIL thread or into the store: `SOURCE pil` or `SOURCE store`.

A lap decodes everything once; the store's into a cache that is empty before.
"""

import io
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from fakereal.benchmarking.laps import Lap

SUFFIXES = (".jpg", ".jpeg", ".png")


def files_of(source: Path) -> Iterator[BinaryIO]:
    """The image files below a folder or in an archive, as people open them."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() in SUFFIXES:
                with path.open("rb") as file:
                    yield file
        return
    with tarfile.open(source, "r|*") as archive:
        for member in archive:
            if member.name.lower().endswith(SUFFIXES):
                yield io.BytesIO(archive.extractfile(member).read())


def by_pil(source: Path) -> int:
    """Every image as an array, one after the other."""
    count = 0
    for file in files_of(source):
        np.asarray(Image.open(file).convert("RGB"))
        count += 1
    return count


def to_store(source: Path) -> int:
    """The store of `data=folder`, as a training makes it at first."""
    from fakereal.data.folder import Folder

    with tempfile.TemporaryDirectory() as cache:
        data = Folder(root=str(source), size=32, cache_dir=cache)
        data.prepare_data()
        data.setup("fit")
        count = len(data.images.names)
        data.images = None  # the file can be deleted
    return count


def main() -> None:
    """Laps until nobody asks any more."""
    source, way = Path(sys.argv[1]), {"pil": by_pil, "store": to_store}[sys.argv[2]]
    lap = Lap()
    while True:
        lap.wait()
        lap.done(way(source))


if __name__ == "__main__":
    main()
