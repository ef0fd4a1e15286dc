"""Where image files lie: a folder, or an archive that is read without unpacking."""

import itertools
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from fakereal.data.store.decode import BadImage
from fakereal.data.store.rgb import image_extensions
from fakereal.runtime.errors import UserError
from fakereal.runtime.text import printable

ASKED, ASKING = 256, 32  # files that are asked for one after the other, and threads that ask
SLOW = 1e-4  # seconds a file
# Not the folder `.` itself, which archives begin with.
HIDDEN = re.compile(r"(?:\A|/)(?:\.[^/]|__MACOSX(?:/|\Z)|Icon\r\Z)")


class BadSource(UserError):
    """What lies at data.root cannot be used as it is."""


class File(NamedTuple):
    """One file of a source; `content` is its bytes, its path, or why it cannot be had; `size` is in bytes."""

    name: str
    size: int
    content: bytes | str | BadImage

    @classmethod
    def packed(cls, name: str, content: bytes | BadImage) -> Self:
        """Of an archive, where a file that cannot be had has no size."""
        return cls(name, 0 if isinstance(content, BadImage) else len(content), content)


class Source(Protocol):
    """Files with an image's name; `done` and `total` are bytes, `ignored` counts the other files by their ending."""

    root: Path
    done: int
    total: int
    ignored: Counter[str]

    def fingerprint(self) -> str:
        """Changes when the source may have changed; told without reading it."""

    def files(self, wanted: Callable[[str], bool]) -> Iterator[File]:
        """The files whose names are wanted; of the others nothing is read."""


class FolderSource:
    """The files below a folder (links are followed), in the order of their names."""

    def __init__(self, root: Path):
        self.root, self.done, self.ignored = root, 0, Counter()
        self.entries = sorted(_with_sizes(self._scan()))
        self.total = sum(size for _, size, _ in self.entries)

    def _scan(self) -> Iterator[tuple[str, os.DirEntry]]:
        """Each file with an image's name."""
        waiting: list[tuple[str, tuple]] = [("", ())]
        while waiting:
            prefix, above = waiting.pop()
            here, entries = self._open(prefix)
            if here in above:  # a link that leads back up
                continue
            for entry in entries:
                name = prefix + entry.name
                if is_hidden(entry.name):
                    continue
                if _is_folder(entry):
                    waiting.append((f"{name}/", (*above, here)))
                elif ending := other_ending(name):
                    self.ignored[ending] += 1
                else:
                    yield name, entry

    def _open(self, prefix: str) -> tuple[tuple[int, int], list[os.DirEntry]]:
        folder = os.path.join(self.root, prefix)
        try:
            status = os.stat(folder)
            with os.scandir(folder) as entries:
                return (status.st_dev, status.st_ino), list(entries)
        except OSError as error:
            raise BadSource(
                f"data.root={printable(self.root)}: the folder {printable(folder)} cannot be read ({error.strerror})."
            ) from error

    def fingerprint(self) -> str:
        """Changes when an image is added, removed, renamed, resized or touched."""
        state = blake2b(digest_size=16)
        for name, size, changed in self.entries:
            state.update(b"%s\0%d\0%d\0" % (os.fsencode(name), size, changed))
        return state.hexdigest()

    def files(self, wanted: Callable[[str], bool]) -> Iterator[File]:
        prefix = os.path.join(self.root, "")
        for name, size, _ in self.entries:
            self.done += size
            if wanted(name):
                yield File(name, size, prefix + name)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links that lead to each other: reported when the file is read
        return False


def _with_sizes(found: Iterator[tuple[str, os.DirEntry]]) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of change of each file.

    A server takes up to a millisecond to tell, which of millions of files is an hour: then threads ask it. (A disk of
    this machine tells in microseconds, and threads would only hinder each other.)
    """
    while part := list(islice(found, ASKED)):
        began = time.perf_counter()
        yield from _told(part)
        if time.perf_counter() - began > SLOW * len(part):
            break
    with ThreadPoolExecutor(ASKING) as threads:
        while part := list(islice(found, 4 * ASKING * ASKED)):
            some = (part[start : start + ASKED] for start in range(0, len(part), ASKED))
            yield from chain.from_iterable(threads.map(_told, some))


def _told(part: list[tuple[str, os.DirEntry]]) -> list[tuple[str, int, int]]:
    return [(name, *_size_and_time(entry)) for name, entry in part]


def _size_and_time(entry: os.DirEntry) -> tuple[int, int]:
    try:
        status = entry.stat()
        return status.st_size, status.st_mtime_ns
    except OSError:  # a dangling link: reported when the file is read
        return 0, 0


def is_hidden(path: str) -> bool:
    """Whether a file, or a folder above it, is none of the user's: .git, .DS_Store, what macOS adds to archives."""
    return HIDDEN.search(path) is not None


def other_ending(name: str) -> str:
    """The ending, in lower case, that tells that a file is no image; empty where it has an image's or none."""
    ending = os.path.splitext(name)[1].lower()
    return "" if ending in image_extensions() else ending


def roots_of(root: str | Sequence[str]) -> tuple[Path, ...]:
    """`data.root`, one path or several, as absolute paths; UserError where one is another, or lies in it."""
    roots = [Path(os.path.expanduser(path)).absolute() for path in ([root] if isinstance(root, str) else root)]
    real = [Path(os.path.realpath(path)) for path in roots]
    for inner, outer in itertools.permutations(range(len(roots)), 2):
        # (An archive in a folder is not read with the folder.)
        if real[inner] == real[outer] or (real[outer] in real[inner].parents and real[inner].is_dir()):
            raise UserError(
                f"data.root names {printable(roots[inner])} and {printable(roots[outer])}, which "
                f"{'are the same' if real[inner] == real[outer] else 'contains the first'}: images would "
                "count twice. Give each once."
            )
    return tuple(roots)
