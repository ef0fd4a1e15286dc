"""What `images=` means: which files, in which order."""

import glob
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from fakereal.data.store.archives import ArchiveSource
from fakereal.data.store.entries import Entry
from fakereal.data.store.sources import FolderSource, other_ending
from fakereal.runtime.errors import UserError
from fakereal.runtime.text import printable

log = logging.getLogger(__name__)
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
STDIN = "-"
MEANT = "Give an image, a folder, an archive, a pattern in quotes, a list [a,b] of these, or - for standard input."


class Images:
    """The images that `images=` names, in the order given; a folder's and a pattern's by name.

    Folders, archives and patterns deal the files with an image's ending or none; a file that is named is dealt
    whatever its ending. Standard input names a file a line, or ends each name with a NUL, as `find -print0`.

    Attributes:
        total: how many there are; None where that shows only at the end.
        ignored: counts files left out for their endings.

    Raises:
        UserError: nothing is there, a folder or archive cannot be read, or no image is found.
    """

    def __init__(self, given: str | Sequence[str] | None):
        if given is None:
            raise UserError(f"images=null names none. {MEANT}")
        self.given = [given] if isinstance(given, str) else list(given)
        names = ",".join(map(printable, self.given))
        self.named = f"images={names}" if isinstance(given, str) else f"images=[{names}]"
        self.ignored: Counter[str] = Counter()
        if self.given.count(STDIN) > 1:
            raise UserError(f"{self.named}: standard input can be read only once.")
        lengths, self.parts = zip(*(self._part(item) for item in self.given), strict=True)
        self.total = None if None in lengths else sum(lengths)
        if self.total == 0:
            raise self._nothing()

    def __iter__(self) -> Iterator[Entry]:
        """Can be gone through once."""
        found = False
        for entry in chain.from_iterable(self.parts):
            found = True
            yield entry
        if not found:
            raise self._nothing()

    def _part(self, item: str) -> tuple[int | None, Iterator[Entry]]:
        """How many images one item names, if that can be told, and the images."""
        if item == STDIN:
            return None, _from_stdin()
        path = os.path.expanduser(item)
        if os.path.isdir(path):
            return self._folder(path)
        if os.path.lexists(path):  # before it is a pattern: names may hold brackets
            is_archive = path.lower().endswith(ARCHIVES) and os.path.isfile(path)
            return (None, self._archive(path)) if is_archive else (1, iter([_entry(path)]))
        if glob.has_magic(path):
            return self._matches(path)
        raise UserError(f"images={printable(item)} does not exist. {MEANT}")

    def _folder(self, path: str) -> tuple[int, Iterator[Entry]]:
        with _naming_images():
            source = FolderSource(Path(path))
        self.ignored += source.ignored
        # Not joined by pathlib: what was given as ./a stays so. Made as they are wanted: there may be millions.
        return len(source.entries), (_entry(os.path.join(path, name), size) for name, size, _ in source.entries)

    def _matches(self, pattern: str) -> tuple[int, Iterator[Entry]]:
        files = _once(name for name in sorted(glob.iglob(pattern, recursive=True)) if not os.path.isdir(name))
        if not files:
            brackets = (
                " ([abc] stands for one of these letters; write [[] for a literal bracket.)" if "[" in pattern else ""
            )
            raise UserError(f"images={printable(pattern)} matches no file{brackets}. {MEANT}")
        self.ignored.update(ending for name in files if (ending := other_ending(name)))
        images = [name for name in files if not other_ending(name)]
        return len(images), map(_entry, images)

    def _archive(self, path: str) -> Iterator[Entry]:
        source = ArchiveSource(Path(path))
        with _naming_images():
            for name, size, content in source.files(lambda name: True):
                yield Entry(f"{path}/{name}", "", -1, content, size)
        self.ignored += source.ignored

    def _nothing(self) -> UserError:
        if self.given == [STDIN]:
            return UserError("images=-: standard input is empty. Write the names of images to it, one per line.")
        endings = ", ".join(printable(ending) for ending, _ in self.ignored.most_common(5))
        left = f" ({self.ignored.total()} files have no image extension: {endings})" if self.ignored else ""
        return UserError(f"{self.named}: no image was found{left}. {MEANT}")


def _once(names: Iterable[str]) -> list[str]:
    """Without the files that links between folders lead to again: `**` follows a link that leads back up 40 times."""
    seen, kept = set(), []
    for name in sorted(names, key=len):
        folder, file = os.path.split(name)
        if (place := (os.path.realpath(folder), file)) not in seen:
            seen.add(place)
            kept.append(name)
    return sorted(kept)


def _from_stdin() -> Iterator[Entry]:
    if sys.stdin.isatty():
        log.info("Type the names of images, one per line; end with Ctrl-D")
    for line in sys.stdin.buffer:
        # of find -print0 all names are one line, or more where they hold line breaks
        names = [line.rstrip(b"\r\n")] if b"\0" not in line else (line + sys.stdin.buffer.read()).split(b"\0")
        yield from (_entry(_text(name)) for name in names if name)


def _text(name: bytes) -> str:
    try:
        return os.fsdecode(name)
    except UnicodeDecodeError:  # Windows, whose `dir` writes in another encoding than files have
        return name.decode("oem", "replace")


def _entry(path: str, size: int | None = None) -> Entry:
    """A file whose label nobody knows; one that is missing has no size, and its reading will say why."""
    if size is None:
        try:
            size = os.stat(path).st_size
        except (OSError, ValueError):
            size = 0
    return Entry(path, "", -1, path, size)


@contextmanager
def _naming_images() -> Iterator[None]:
    """The sources serve the key data.root, and their errors name it."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace("data.root=", "images=", 1)) from error
