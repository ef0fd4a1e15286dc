"""Builds an image store: reads the sources once, decodes in parallel, writes atomically under a lock."""

import errno
import glob
import logging
import multiprocessing
import re
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal
from uuid import uuid4

from fakereal.data.alone import alone
from fakereal.data.folder_names import FolderNames
from fakereal.data.image_set import content_digest
from fakereal.data.store.decode import BadImage, Resize
from fakereal.data.store.draft import Draft
from fakereal.data.store.entries import Entries, Unreadable, open_source, unreadable
from fakereal.data.store.parallel import decode_all
from fakereal.data.store.sources import BadSource
from fakereal.data.store.store import FORMAT, Store, open_store, seal, write_array
from fakereal.runtime.errors import UserError
from fakereal.runtime.progress import share_done
from fakereal.runtime.text import printable

log = logging.getLogger(__name__)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT)
FORBIDDEN += (errno.ENAMETOOLONG, errno.ELOOP)


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
        given = sorted(self.names.given.items())
        parts += ([given] if given else []) if self.need_split else ["all labelled", given]
        if self.names.given_splits:
            parts.append(("splits", *sorted(self.names.given_splits.items())))
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
        with _cache_trouble_explained(cache, folder):
            _refuse_within_a_decoder()
            folder.parent.mkdir(parents=True, exist_ok=True)
            with alone(Path(f"{folder}.lock"), "decodes the same images"):
                store, reason = open_store(folder, fingerprint)  # somebody else may just have built it
                if store is None:
                    log.info("Decoding %s (building the store: %s)", entries.root, reason)
                    store = _build(recipe, entries, fingerprint, folder)
    if store.meta["skipped"] and recipe.on_error == "raise":
        raise unreadable(entries.root, len(store.table), store.meta["skipped"])
    entries.check(set(store.table["label"].tolist()), recipe.need_both)
    return store


@contextmanager
def _cache_trouble_explained(cache: Path, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            part = _part_of(folder)
            kept = f"what was decoded is kept in {printable(part)}, and the same command continues there"
            raise UserError(
                f"data.cache_dir={printable(cache)}: no space left while writing the image store "
                f"({error.strerror}); {kept if part.exists() else 'nothing was kept'}. Free some space or give another "
                "data.cache_dir."
            ) from error
        if error.errno in FORBIDDEN:
            raise UserError(
                f"data.cache_dir={printable(cache)} cannot be written ({printable(error)}). Give another one."
            ) from error
        raise


def _refuse_within_a_decoder() -> None:
    """A decoder imports its main module."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UserError("A script that opens images must do so under `if __name__ == '__main__':`.")


def _part_of(folder: Path) -> Path:
    """Where a store is built."""
    return folder.with_name(f"{folder.name}.part")


def _build(recipe: Recipe, entries: Entries, fingerprint: str, folder: Path) -> Store:
    """Writes the store under another name, and then puts it in place; goes on with what an interrupted builder left."""
    part, old = _part_of(folder), folder.with_name(f"{folder.name}.old-{uuid4().hex[:8]}")
    for left_over in folder.parent.glob(f"{glob.escape(folder.name)}.old-*"):
        shutil.rmtree(left_over, ignore_errors=True)  # of a builder that was killed: we hold the lock
    try:
        _refuse_in_use(folder, old)
        _write(recipe, entries, fingerprint, part)
        if folder.exists():  # moved first: removing takes a while, and fails on NFS while others read
            folder.replace(old)
        part.replace(folder)
    except Unreadable:
        raise  # with what was decoded kept: to leave the bad ones out costs no more decoding
    except BadSource:
        shutil.rmtree(part, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
        if not any(part.glob("part-*.npz")):  # nothing to go on with
            shutil.rmtree(part, ignore_errors=True)
    return Store(folder)


def _refuse_in_use(folder: Path, old: Path) -> None:
    """Windows moves no folder whose files are mapped: told now, and not after hours of decoding."""
    if not folder.exists():
        return
    try:
        folder.replace(old)
        old.replace(folder)
    except PermissionError as error:
        raise UserError(
            f"{printable(folder)} must be rebuilt, but is open in another process or notebook: close that first."
        ) from error


def _write(recipe: Recipe, entries: Entries, fingerprint: str, folder: Path) -> None:
    listed = entries.listed(recipe.need_both)
    image_bytes = 3 * recipe.resize.size**2
    draft = Draft(folder, fingerprint, image_bytes)
    _tell_space(folder, (listed - len(draft)) * image_bytes)
    try:
        _decode(recipe, entries, draft)
        if draft.bad and recipe.on_error == "raise":
            draft.save()
    except KeyboardInterrupt:
        draft.save()
        log.warning("Interrupted: %s decoded images are kept; the same command continues there", f"{len(draft):,}")
        raise
    finally:
        draft.close()
    table, paths = draft.finish()
    bad, quantization = draft.bad, [list(map(list, table)) for table in draft.tables]
    if bad and (recipe.on_error == "raise" or not len(table)):
        raise unreadable(entries.root, len(table), bad)
    entries.check(set(table["label"].tolist()), recipe.need_both)
    if not recipe.need_split:
        entries.refuse_unknown()
    entries.tell_left_out()
    if bad:
        log.warning("Left out %d images that cannot be read (data.on_error=skip)", len(bad))
    write_array(folder / "table.npy", table)
    write_array(folder / "paths.npy", paths)
    meta = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "digest": content_digest(table, "pixel_hash"),
        **asdict(recipe.resize),
        "quantization": quantization,
        "skipped": bad,
    }
    seal(folder, meta)
    draft.forget()


def _tell_space(folder: Path, missing: int) -> None:
    """Warns where the bytes that are missing are more than the disk has free."""
    if missing > (free := shutil.disk_usage(folder).free):
        log.warning(
            "The decoded images need another %.1f GB below %s, where %.1f GB are free: give another data.cache_dir",
            missing / 1e9, printable(folder.parent), free / 1e9,
        )  # fmt: skip


def _decode(recipe: Recipe, entries: Entries, draft: Draft) -> None:
    """The entries that the draft lacks, and the files that a command before could not read."""
    if len(draft):
        log.info("Resuming after %s images decoded before", f"{len(draft):,}")
    done = len(draft)
    if entries.are_files:  # which may be readable now; what an archive holds stays as it is
        draft.retried = {name for name, _ in draft.bad}
    missing = (entry for place, entry in enumerate(entries) if place >= done or entry.name in draft.retried)
    with closing(decode_all(missing, recipe.resize)) as images, share_done("Decoding", entries, len(draft)) as advance:
        for entry, image in images:
            if not (entry.name in draft.retried and isinstance(image, BadImage)):
                draft.add(entry, image)
            advance()
