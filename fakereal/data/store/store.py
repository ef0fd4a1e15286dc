"""The decode-once image store: pixels, a row of facts per image, and a digest, memory-mapped from disk."""

import functools
import io
import json
import logging
import mmap
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from itertools import chain
from pathlib import Path

import numpy as np

from fakereal.data.image_set import ImageSet
from fakereal.data.store.decode import hash_of
from fakereal.runtime.files import write_json

FORMAT = 2  # raised whenever a store of an earlier version must not be read

# One row an image. `hash` is of the file's bytes, `pixel_hash` of the stored pixels (BLAKE2b, 16 bytes).
# `quantization` indexes meta["quantization"] (the JPEG tables), -1 where there is none; `metadata` is bits of
# decode.METADATA.
ROW = np.dtype(
    [
        ("split", "u1"),
        ("label", "u1"),
        ("width", "<i4"),
        ("height", "<i4"),
        ("bytes", "<i8"),
        ("mode", "S8"),
        ("format", "S8"),
        ("subsampling", "i1"),
        ("quantization", "<i4"),
        ("metadata", "<u2"),
        ("hash", "S16"),
        ("pixel_hash", "S16"),
    ]
)
FILES = ("pixels.bin", "table.npy", "paths.npy")
EXPECTED = 2**16  # bytes an image: of smaller ones a single read of the system's brings several
VERIFIED = 2**26  # bytes of pixels whose hashes are compared at a time
log = logging.getLogger(__name__)


class Store(ImageSet):
    """A finished store, read-only.

    images: uint8 memory map (N, size, size, 3), RGB; table: structured array (N,) of ROW;
    paths: bytes array (N,), UTF-8, relative to the root; meta: what it was built from.
    Rows are sorted by content (split, label, hash of the file), so that the same images give the same
    rows from a folder and from any archive; `images` is indexed through `rows`.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.meta = json.loads((folder / "meta.json").read_text())
        table, paths = np.load(folder / "table.npy"), np.load(folder / "paths.npy")
        shape = (len(table), self.meta["size"], self.meta["size"], 3)
        self.images = np.memmap(folder / "pixels.bin", dtype=np.uint8, mode="r", shape=shape)
        # Pixels lie in the order in which they were read; everything else speaks of sorted rows.
        self.rows = np.lexsort((paths, table["hash"], table["label"], table["split"]))
        self.table, self.paths = table[self.rows], paths[self.rows]

    @property
    def digest(self) -> str:
        """SHA-256 over split, label and pixels of all images, whatever their names and order."""
        return self.meta["digest"]

    @functools.cached_property
    def names(self) -> list[str]:
        """The path of each row, as text."""
        return [path.decode("utf-8", "surrogateescape") for path in self.paths.tolist()]

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Pixels (B, size, size, 3) uint8 of the given rows."""
        return self.images[self.rows[rows]]

    def expect(self, rows: np.ndarray) -> None:
        """Has the system read the pixels of these rows that are not in memory, all at once and meanwhile.

        By itself it reads one after the other, when each is asked for.
        """
        size = self.images[0].nbytes
        if size < EXPECTED or not hasattr(mmap, "MADV_WILLNEED"):
            return
        for start in (self.rows[rows] * size).tolist():
            page = start - start % mmap.PAGESIZE
            self.images._mmap.madvise(mmap.MADV_WILLNEED, page, start + size - page)

    def as_they_lie(self, rows: np.ndarray) -> np.ndarray:
        """The given rows in the order of their pixels on the disk: what goes through all of them reads it once."""
        return rows[np.argsort(self.rows[rows])]


def seal(folder: Path, meta: dict) -> None:
    """Writes meta.json with what tells later whether the files and itself are still what they were."""
    meta = meta | {"stamp": _stamp(folder), "facts": _facts(folder)}
    write_json(folder / "meta.json", meta | {"seal": _seal(meta)})


def _stamp(folder: Path) -> dict[str, list[int]]:
    """Size and time of change of each file: unchanged stamps vouch for unchanged contents."""
    return {name: [(s := (folder / name).stat()).st_size, s.st_mtime_ns] for name in FILES}


def _facts(folder: Path) -> str:
    """SHA-256 of the files beside the pixels, which have a hash each."""
    return sha256(b"".join((folder / name).read_bytes() for name in FILES[1:])).hexdigest()


def _seal(meta: dict) -> str:
    return sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def open_store(folder: Path, fingerprint: str) -> tuple[Store | None, str]:
    """The store in a folder, or None and the reason why it has to be built (again)."""
    try:
        store = Store(folder)
        meta = dict(store.meta)
        if meta.pop("seal") != _seal(meta):
            return None, "it was altered"
        if meta["format"] != FORMAT or meta["fingerprint"] != fingerprint:
            return None, "its source has changed"
        if meta["stamp"] == _stamp(folder):
            return store, ""
        if meta["facts"] != _facts(folder) or not _pixels_match(store):
            return None, "it was altered"
        with suppress(OSError):  # copied or touched, but whole; a shared cache may be read-only
            seal(folder, meta)
        return store, ""
    except FileNotFoundError as error:
        return None, f"{Path(error.filename).name} is missing" if folder.exists() else "it does not exist yet"
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        return None, f"it is damaged ({error})"


def _pixels_match(store: Store) -> bool:
    if store.images.nbytes != (store.folder / "pixels.bin").stat().st_size:
        return False
    log.info("%s was copied or touched: comparing its pixels with their hashes", store.folder)
    said = np.empty(len(store.table), ROW["pixel_hash"])
    said[store.rows] = store.table["pixel_hash"]  # in the order in which they lie on the disk
    pool = ThreadPoolExecutor(4)  # the disk is what is waited for
    try:
        hashes = pool.map(_hashes_of, np.array_split(store.images, max(1, store.images.nbytes // VERIFIED)))
        return all(got.rstrip(b"\0") == hash for got, hash in zip(chain.from_iterable(hashes), said, strict=True))
    finally:
        pool.shutdown(cancel_futures=True)


def _hashes_of(images: np.ndarray) -> list[bytes]:
    return [hash_of(image) for image in images]


def write_array(path: Path, array: np.ndarray) -> None:
    """np.save, which by itself would lose the errno of a full disk."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    path.write_bytes(buffer.getbuffer())
