"""Builds an image store: reads the sources once, decodes in parallel, writes atomically under a lock."""

import errno
import logging
import multiprocessing
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal
from uuid import uuid4

import numpy as np
from filelock import FileLock, Timeout

from fakereal.config.errors import UserError
from fakereal.data.folder_names import FolderNames
from fakereal.data.progress import share_done
from fakereal.data.store.decode import BadImage, Decoded, Resize
from fakereal.data.store.entries import Entries, open_source, unreadable
from fakereal.data.store.parallel import decode_all
from fakereal.data.store.sources import printable
from fakereal.data.store.store import FORMAT, ROW, Store, content_digest, open_store, seal, write_array

log = logging.getLogger(__name__)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


@dataclass(frozen=True)
class Recipe:
    """What a store is built from: equal recipes over equal files give equal stores."""

    roots: tuple[Path, ...]
    resize: Resize
    names: FolderNames
    need_split: bool  # every image must lie below a train or a test folder
    on_error: Literal["raise", "skip"] = "raise"
    need_both: bool = True  # classes

    def key(self) -> str:
        """The store's folder name below the cache: one for each recipe, whatever the files' state.

        Not of `on_error` and `need_both`: a store remembers what it lacks, and is refused where that matters.
        """
        names = sorted(self.names.labels.items())
        parts = [FORMAT, *map(str, self.roots), self.resize, names, self.need_split]
        stem = re.sub(r"[^\w.-]", "_", self.roots[0].stem)[:32]
        return f"{stem}-{sha256(repr(parts).encode()).hexdigest()[:16]}"


def obtain(recipe: Recipe, cache: Path) -> Store:
    """The store of a recipe, built if it is not there, out of date or damaged; one builder at a time.

    Raises:
        BadSource: there are no roots, or they do not hold images of both classes, or (unless on_error="skip")
            some images cannot be read: all of them are named.
        UserError: the cache cannot be written, or a source cannot be read.
    """
    if not recipe.roots:
        raise UserError("data.root=[] is empty. Give a folder or an archive with images, or several.")
    entries = Entries([open_source(root) for root in recipe.roots], recipe.names, recipe.need_split)
    fingerprint = "+".join(source.fingerprint() for source in entries.sources)
    folder = cache / "stores" / recipe.key()
    store, _ = open_store(folder, fingerprint)
    if store is None:
        with _cache_trouble_explained(cache):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _alone(folder):
                store, reason = open_store(folder, fingerprint)  # somebody else may just have built it
                if store is None:
                    log.info("Decoding %s (the store is built: %s)", entries.root, reason)
                    store = _build(recipe, entries, fingerprint, folder)
    if store.meta["skipped"] and recipe.on_error == "raise":
        raise unreadable(entries.root, len(store.table), store.meta["skipped"])
    entries.check(set(store.table["label"].tolist()), recipe.need_both)
    return store


@contextmanager
def _cache_trouble_explained(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise UserError(
                f"data.cache_dir={printable(cache)}: no space left while the image store was written "
                f"({error.strerror}); nothing was kept. Free some space or give another data.cache_dir."
            ) from error
        if error.errno in FORBIDDEN:
            raise UserError(
                f"data.cache_dir={printable(cache)} cannot be written ({printable(error)}). Give another one."
            ) from error
        raise


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # a decoder that imports its main module
        raise UserError("A script that opens images must do so below `if __name__ == '__main__':`.")
    lock = FileLock(f"{folder}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("Waiting for another process that decodes the same images")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(recipe: Recipe, entries: Entries, fingerprint: str, folder: Path) -> Store:
    """Writes the store under another name, and then puts it in place; what a killed builder left goes."""
    mark = f"{folder.name}.tmp-"
    for left_over in folder.parent.iterdir():
        if left_over.name.startswith(mark):  # of a builder that was killed: we hold the lock
            shutil.rmtree(left_over, ignore_errors=True)
    part, old = (folder.with_name(mark + uuid4().hex[:8]) for _ in range(2))
    try:
        part.mkdir()
        _write(recipe, entries, fingerprint, part)
        if folder.exists():  # moved first: removing takes a while, and fails on NFS while others read
            folder.replace(old)
        part.replace(folder)
    finally:
        for rest in (part, old):
            shutil.rmtree(rest, ignore_errors=True)
    return Store(folder)


def _write(recipe: Recipe, entries: Entries, fingerprint: str, folder: Path) -> None:
    rows, paths, bad, tables = [], [], [], {}
    with (
        closing(decode_all(entries, recipe.resize)) as images,
        (folder / "pixels.bin").open("wb") as pixels,
        share_done("Decoding", entries) as advance,
    ):
        for entry, image in images:
            if isinstance(image, BadImage):
                bad.append((entry.name, str(image)))
            else:
                pixels.write(image.pixels)
                rows.append(_row(image, entry.split, entry.label, tables))
                paths.append(os.fsencode(entry.name))
            advance()
    if bad and (recipe.on_error == "raise" or not rows):
        raise unreadable(entries.root, len(rows), bad)
    table = np.array(rows, dtype=ROW)
    entries.check(set(table["label"].tolist()), recipe.need_both)
    entries.tell_left_out()
    if bad:
        log.warning("Left out %d images that cannot be read (data.on_error=skip)", len(bad))
    write_array(folder / "table.npy", table)
    write_array(folder / "paths.npy", np.array(paths, dtype=np.bytes_))
    meta = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "digest": content_digest(table),
        **asdict(recipe.resize),
        "quantization": [list(map(list, quantization)) for quantization in tables],
        "skipped": bad,
    }
    seal(folder, meta)


def _row(image: Decoded, split: int, label: int, tables: dict) -> tuple:
    quantization = tables.setdefault(image.quantization, len(tables)) if image.quantization else -1
    facts = (image.width, image.height, image.bytes, image.mode.encode(), image.format.encode())
    return (split, label, *facts, image.subsampling, quantization, image.metadata, image.hash, image.pixel_hash)
