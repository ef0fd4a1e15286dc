"""A store that is being built: what is decoded is kept now and then, so that an interrupted building goes on."""

import io
import json
import os
import time
import zipfile
from pathlib import Path

import numpy as np

from fakereal.data.store.decode import BadImage, Decoded
from fakereal.data.store.entries import Entry
from fakereal.data.store.store import ROW

WRITTEN = 2**20  # bytes of pixels at once
EVERY = 5.0  # seconds: as much work is lost at most, and smaller data sets are never kept in parts


class Draft:
    """The entries of the sources that are decoded so far, in their order.

    Pixels are appended to `pixels.bin`; rows, paths and bad files are written as numbered parts, each at once. A
    draft of other files (`fingerprint`) is begun anew, and what is damaged of one is decoded again.

    Attributes:
        bad: (name, reason) of each file that cannot be read.
        retried: names of bad files that are tried once more; those that are added are no longer bad.
        tables: quantisation tables, by their numbers.
    """

    def __init__(self, folder: Path, fingerprint: str, image_bytes: int):
        self.folder, self.fingerprint = folder, fingerprint
        self.kept: list[tuple[np.ndarray, np.ndarray]] = []
        self.rows: list[tuple] = []
        self.paths: list[bytes] = []
        self.bad: list[tuple[str, str]] = []
        self.retried: set[str] = set()
        self.tables: dict[tuple, int] = {}
        self.saved = time.monotonic()
        folder.mkdir(exist_ok=True)
        self._load(image_bytes)
        size = image_bytes * sum(len(rows) for rows, _ in self.kept)
        self.pixels = (folder / "pixels.bin").open("ab", WRITTEN)
        self.pixels.truncate(size)

    def __len__(self) -> int:
        """Entries that are done, bad ones too."""
        return sum(len(rows) for rows, _ in self.kept) + len(self.rows) + len(self.bad)

    def add(self, entry: Entry, image: Decoded | BadImage) -> None:
        """The next entry; OSError where it cannot be written."""
        if isinstance(image, BadImage):
            self.bad.append((entry.name, str(image)))
        else:
            self.pixels.write(image.pixels)
            self.rows.append(self._row(image, entry.split, entry.label))
            self.paths.append(os.fsencode(entry.name))
        if time.monotonic() - self.saved > EVERY:
            self.save()

    def save(self) -> None:
        """Keeps all that was added."""
        self.pixels.flush()
        os.fsync(self.pixels.fileno())  # a part must not outlive its pixels
        self._end_part()
        rows, paths = self.kept[-1]
        said = {"fingerprint": self.fingerprint, "bad": self.bad, "tables": list(self.tables)}
        buffer = io.BytesIO()
        np.savez(buffer, rows=rows, paths=paths, said=np.array(json.dumps(said)))
        part = self.folder / f"part-{len(self.kept):06d}.npz"
        hidden = part.with_suffix(".new")
        hidden.write_bytes(buffer.getbuffer())
        hidden.replace(part)
        self.saved = time.monotonic()

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Table (N,) of ROW and paths (N,) of all that was added."""
        self._end_part()
        self.close()
        tables, paths = zip(*self.kept, strict=True)
        return np.concatenate(tables), np.concatenate(paths)

    def forget(self) -> None:
        """Removes the parts, once the store has what they hold: of the draft's files only pixels.bin is left."""
        for path in (*self.folder.glob("part-*.npz"), *self.folder.glob("part-*.new")):
            path.unlink()

    def close(self) -> None:
        self.pixels.close()

    def _end_part(self) -> None:
        if self.retried and (mended := self.retried.intersection(map(os.fsdecode, self.paths))):
            self.bad = [(name, reason) for name, reason in self.bad if name not in mended]
        self.kept.append((np.array(self.rows, dtype=ROW), np.array(self.paths, dtype=np.bytes_)))
        self.rows, self.paths = [], []

    def _row(self, image: Decoded, split: int, label: int) -> tuple:
        tables, facts = self.tables, image.facts
        quantization = tables.setdefault(facts.quantization, len(tables)) if facts.quantization else -1
        said = (facts.width, facts.height, image.bytes, facts.mode.encode(), facts.format.encode())
        return (split, label, *said, facts.subsampling, quantization, facts.metadata, image.hash, image.pixel_hash)

    def _load(self, image_bytes: int) -> None:
        pixels = self.folder / "pixels.bin"
        there = pixels.stat().st_size if pixels.exists() else 0
        for number, path in enumerate(sorted(self.folder.glob("part-*.npz")), start=1):
            try:
                with np.load(path) as part:
                    rows, paths, said = part["rows"], part["paths"], json.loads(str(part["said"]))
                there -= image_bytes * len(rows)
                whole = rows.dtype == ROW and len(rows) == len(paths) and path.name == f"part-{number:06d}.npz"
                if said["fingerprint"] != self.fingerprint or there < 0 or not whole:
                    break
                bad, tables = [tuple(item) for item in said["bad"]], said["tables"]
            except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
                break
            self.kept.append((rows, paths))
            self.bad, self.tables = bad, {tuple(map(tuple, table)): n for n, table in enumerate(tables)}
        for path in sorted(self.folder.glob("part-*.npz"))[len(self.kept) :]:
            path.unlink()
