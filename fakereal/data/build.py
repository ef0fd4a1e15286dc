"""Builds an image store: reads the sources once, decodes in parallel, writes atomically under a lock."""

import errno
import logging
import multiprocessing
import os
import shutil
import tempfile
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from filelock import FileLock

from fakereal.config.errors import UserError
from fakereal.data.decode import BadImage, Decoded, Resize, decode_many
from fakereal.data.folder_names import FolderNames
from fakereal.data.progress import share_done
from fakereal.data.sources import Content, is_image_name, open_source
from fakereal.data.store import FORMAT, ROW, Store, content_digest, open_store, stamp, write_json

log = logging.getLogger(__name__)
CHUNK = 256  # files a task
SMALL = 1024  # fewer files than this are decoded faster than worker processes start
LISTED = 1000  # bad files named in a message


@dataclass(frozen=True)
class Recipe:
    """What a store is built from: equal recipes over equal files give equal stores."""

    roots: tuple[Path, ...]
    resize: Resize
    names: FolderNames
    need_split: bool  # every image must lie below a train or a test folder
    on_error: Literal["raise", "skip"] = "raise"

    def key(self) -> str:
        """The store's folder name below the cache: one for each recipe, whatever the files' state."""
        parts = [*map(str, self.roots), self.resize, sorted(self.names.labels.items()), self.on_error]
        return f"{self.roots[0].stem[:32]}-{sha256(repr(parts).encode()).hexdigest()[:16]}"


def obtain(recipe: Recipe, cache: Path) -> Store:
    """The store of a recipe, built if it is not there, out of date or damaged; one builder at a time."""
    sources = [open_source(root) for root in recipe.roots]
    fingerprint = "+".join(source.fingerprint() for source in sources)
    folder = cache / "stores" / recipe.key()
    store, _ = open_store(folder, fingerprint)
    if store is not None:
        return store
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            store, reason = open_store(folder, fingerprint)  # somebody else may just have built it
            if store is not None:
                return store
            log.info("Decoding %s (the store is built: %s)", ", ".join(map(str, recipe.roots)), reason)
            return _build_and_swap(recipe, sources, fingerprint, folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise UserError(
                f"data.cache_dir={cache}: no space left while the image store was written "
                f"({error.strerror}); nothing was kept. Free some space or give another data.cache_dir."
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
            raise UserError(f"data.cache_dir={cache} cannot be written ({error}). Give another one.") from error
        raise


def _build_and_swap(recipe: Recipe, sources: list, fingerprint: str, folder: Path) -> Store:
    for left_over in folder.parent.glob(f"{folder.name}.tmp-*"):  # of a killed builder: we hold the lock
        shutil.rmtree(left_over, ignore_errors=True)
    part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.tmp-", dir=folder.parent))
    try:
        _write(recipe, sources, fingerprint, part)
        if folder.exists():
            shutil.rmtree(folder)
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Store(folder)


def _write(recipe: Recipe, sources: list, fingerprint: str, folder: Path) -> None:
    rows, paths, bad, tables = [], [], [], {}
    entries = _Entries(recipe, sources)
    with (folder / "pixels.bin").open("wb") as pixels, share_done("Decoding", entries) as advance:
        for (name, split, label), image in _decoded(entries, recipe.resize):
            if isinstance(image, BadImage):
                bad.append((name, str(image)))
            else:
                pixels.write(np.ascontiguousarray(image.pixels))
                rows.append(_row(image, split, label, tables))
                paths.append(os.fsencode(name))
            advance()
    entries.check(len(rows), bad)
    table = np.array(rows, dtype=ROW)
    np.save(folder / "table.npy", table)
    np.save(folder / "paths.npy", np.array(paths, dtype=np.bytes_))
    order = np.lexsort((np.array(paths, dtype=np.bytes_), table["hash"], table["label"], table["split"]))
    meta = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "digest": content_digest(table),
        "table_digest": sha256(table[order].tobytes()).hexdigest(),
        **asdict(recipe.resize),
        "quantization": [list(map(list, quantization)) for quantization in tables],
        "skipped": bad,
    }
    write_json(folder / "meta.json", meta | {"stamp": stamp(folder)})


def _row(image: Decoded, split: int, label: int, tables: dict) -> tuple:
    quantization = tables.setdefault(image.quantization, len(tables)) if image.quantization else -1
    facts = (image.width, image.height, image.bytes, image.mode.encode(), image.format.encode())
    return (split, label, *facts, image.subsampling, quantization, image.hash, image.pixel_hash)


class _Entries:
    """The image files of all sources with split and label, and what has to be said of the others."""

    def __init__(self, recipe: Recipe, sources: list):
        self.recipe, self.sources = recipe, sources
        self.ignored: Counter[str] = Counter()
        self.unlabelled: Counter[str] = Counter()
        self.unsplit = 0
        self.labels: set[int] = set()

    @property
    def done(self) -> int:
        return sum(source.done for source in self.sources)

    @property
    def total(self) -> int:
        return sum(source.total for source in self.sources)

    def __iter__(self) -> Iterator[tuple[tuple[str, int, int], Content]]:
        for root, source in zip(self.recipe.roots, self.sources, strict=True):
            for name, content in source:
                split, label = self.recipe.names(name)
                path = PurePosixPath(name)
                if not is_image_name(name):
                    self.ignored[path.suffix.lower() or path.name] += 1
                elif label is None:
                    self.unlabelled[str(path.parent)] += 1
                elif self.recipe.need_split and split == 255:
                    self.unsplit += 1
                else:
                    self.labels.add(label)
                    full = name if len(self.sources) == 1 else f"{root.as_posix()}/{name}"
                    yield (full, split, label), content

    def check(self, good: int, bad: list[tuple[str, str]]) -> None:
        """UserError unless two classes and nothing but good images were found (or the bad may be skipped)."""
        roots = ", ".join(map(str, self.recipe.roots))
        if bad and self.recipe.on_error == "raise":
            lines = [f"  {name}: {why}" for name, why in sorted(bad)[:LISTED]]
            more = [f"  ... and {len(bad) - LISTED} more"] if len(bad) > LISTED else []
            head = f"data.root={roots}: {len(bad)} of {good + len(bad)} images cannot be read:"
            tail = "Mend or remove them, or leave them out with data.on_error=skip."
            raise UserError("\n".join([head, *lines, *more, tail]))
        if self.unlabelled and len(self.labels) < 2:
            found = ", ".join(f"{folder}/ ({n})" for folder, n in self.unlabelled.most_common(5))
            raise UserError(
                f"data.root={roots}: no folder name says which of these images are real and which are fake: "
                f"{found}. Name the folders REAL and FAKE, or say data.real=[NAME] data.fake=[NAME]."
            )
        if self.unsplit and not good:
            raise UserError(
                f"data.root={roots}: {self.unsplit} images, but none below a folder train or test. "
                "For a tree without them use data=folder, which divides it."
            )
        if not good:
            raise UserError(f"data.root={roots}: no image was found. Give a folder or archive with images.")
        if len(self.labels) < 2:
            only = "FAKE" if 1 in self.labels else "REAL"
            raise UserError(f"data.root={roots}: all {good} images are {only}; two classes are needed.")
        if bad:
            log.warning("Left out %d images that cannot be read (data.on_error=skip)", len(bad))
        for what, count in (
            ("no image by its name", self.ignored),
            ("no class by its folder", self.unlabelled),
        ):
            if count:
                log.info("Left out %d files, %s: %s", count.total(), what, ", ".join(list(count)[:5]))


def _decoded(entries: _Entries, resize: Resize) -> Iterator[tuple[tuple, Decoded | BadImage]]:
    """Each entry with its image, in order; in this process while there are few, then in one a core."""
    waiting = iter(entries)
    first = list(islice(waiting, SMALL))
    if len(first) < SMALL or (workers := _cores()) < 2:
        for entry, content in chain(first, waiting):
            yield entry, decode_many([content], resize)[0]
        return
    waiting = chain(first, waiting)
    pending: deque[tuple[list, Future]] = deque()
    # spawn: a fork of a process with threads (torch's, rich's) may hang
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        try:
            while (chunk := list(islice(waiting, CHUNK))) or pending:
                if chunk:
                    contents = [content for _, content in chunk]
                    pending.append(([entry for entry, _ in chunk], pool.submit(decode_many, contents, resize)))
                if len(pending) > 4 * workers or not chunk:
                    done, future = pending.popleft()
                    yield from zip(done, future.result(), strict=True)
        except BrokenProcessPool as error:
            raise UserError(
                "data.root: a decoding process was killed, most likely for want of memory. "
                "Look for huge images, or free some memory."
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _cores() -> int:
    """Cores this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
