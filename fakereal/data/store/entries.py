"""From files to images of two classes: which files of the sources count, and what is to be said of the rest."""

import logging
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from fakereal import CLASSES
from fakereal.data.folder_names import IGNORED, UNSPLIT, FolderNames
from fakereal.data.store.archives import ArchiveSource
from fakereal.data.store.decode import BadImage
from fakereal.data.store.sources import BadSource, FolderSource, Source
from fakereal.runtime.text import printable

log = logging.getLogger(__name__)
LISTED = 1000  # bad files named in a message


class Entry(NamedTuple):
    """An image file with what its folders say; `content` and `size` are those of its `File`."""

    name: str
    split: int
    label: int
    content: bytes | str | BadImage
    size: int


def open_source(root: Path) -> Source:
    """The source at a path; BadSource where there is none."""
    hint = "Give a folder or an archive (.zip, .tar, .tar.gz, .tar.bz2, .tar.xz)."
    try:
        mode = root.stat().st_mode
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        reason = "does not exist" if missing else f"cannot be opened ({getattr(error, 'strerror', error)})"
        raise BadSource(f"data.root={printable(root)} {reason}. {hint}") from error
    if stat.S_ISDIR(mode):
        return FolderSource(root)
    if stat.S_ISREG(mode):
        return ArchiveSource(root)
    raise BadSource(f"data.root={printable(root)} is neither a folder nor a file. {hint}")


class Entries:
    """The image files of all sources with split and label, in order; `done` and `total` are bytes."""

    def __init__(self, sources: Sequence[Source], names: FolderNames, need_split: bool):
        self.sources, self.names, self.need_split = sources, names, need_split
        self._forget()

    def _forget(self) -> None:
        self.unlabelled: Counter[str] = Counter()  # by folder
        self.labelled: set[str] = set()  # folders
        self.ignored: Counter[str] = Counter()  # by the folder name that says so
        self.unsplit = 0

    @property
    def done(self) -> int:
        return sum(source.done for source in self.sources)

    @property
    def total(self) -> int:
        return sum(source.total for source in self.sources)

    @property
    def are_files(self) -> bool:
        """Whether all are files of folders, and none lies in an archive."""
        return all(isinstance(source, FolderSource) for source in self.sources)

    @property
    def root(self) -> str:
        """data.root, for messages."""
        return ", ".join(printable(source.root) for source in self.sources)

    def __iter__(self) -> Iterator[Entry]:
        for source in self.sources:
            prefix = "" if len(self.sources) == 1 else f"{source.root.as_posix()}/"
            root = name_of(source.root)
            for name, size, content in source.files(partial(self._wanted, root)):
                yield Entry(prefix + name, *self.names(name, root), content, size)

    def _wanted(self, root: str, name: str) -> bool:
        split, label = self.names(name, root)
        if label is None:
            self.unlabelled[f"{PurePosixPath(name).parent}/"] += 1
            return False
        self.labelled.add(name.rpartition("/")[0])
        if label == IGNORED:
            self.ignored[self.names.deciding(name, root)] += 1
        elif self.need_split and split == UNSPLIT:
            self.unsplit += 1
        else:
            return True
        return False

    def unknown(self) -> Counter[str]:
        """Images by folder name: the folders that hold no image with a label, and lie beside some that do."""
        above = {"/".join(parts[:depth]) for folder in self.labelled for parts in [folder.split("/")]
                 for depth in range(len(parts) + 1)}  # fmt: skip
        counts: Counter[str] = Counter()
        for folder, count in self.unlabelled.items() if self.labelled else ():
            path = ""
            for name in folder.strip("/").split("/"):
                path = f"{path}/{name}".lstrip("/")
                if path not in above and name != "." and name.lower() not in self.names.splits:
                    counts[name] += count
                    break
        return counts

    def listed(self, need_both: bool) -> int:
        """How many images the folders among the sources hold.

        What `refuse_unknown` and `check` would refuse in the end is refused before anything is decoded, where the
        names tell.
        """
        folders = [source for source in self.sources if isinstance(source, FolderSource)]
        labels: Counter[int] = Counter()
        for source in folders:
            root = name_of(source.root)
            labels.update(self.names(name, root)[1] for name, *_ in source.entries if self._wanted(root, name))
        if not self.need_split:
            self.refuse_unknown()
        if self.are_files:
            self.check(set(labels), need_both)
        self._forget()
        return labels.total()

    def refuse_unknown(self) -> None:
        """BadSource where images lie in folders that nothing names, beside others that have a label."""
        if not (counts := self.unknown()):
            return
        said = ", ".join(f"{quoted(name)}: ignore" for name in sorted(counts))
        raise BadSource(
            f"data.root={self.root}: nothing says whether the images in these folders are real or fake: "
            f"{_commonest(counts, 50)}. Label each as real, fake or ignore: 'data.classes={{{said}}}'"
        )

    def check(self, labels: set[int], need_both: bool) -> None:
        """BadSource unless images were found, and of both labels where that is needed."""
        if not labels:
            unlabelled = ["To predict images without labels: python -m fakereal.predict images=..."] * bool(
                self.unlabelled
            )
            raise BadSource(" ".join([f"data.root={self.root}: no image was found.", *self._left_out(), *unlabelled]))
        if len(labels) < 2 and need_both:
            found = f"all images are {CLASSES[min(labels)]}; two classes are needed."
            raise BadSource(" ".join([f"data.root={self.root}: {found}", *self._left_out()]))

    def tell_left_out(self) -> None:
        """Logs which files were passed over."""
        for sentence in self._left_out():
            log.info("Left out: %s", sentence)
        if none := [name for name, label in self.names.given.items() if label == IGNORED and name not in self.ignored]:
            log.warning("data.classes= says to ignore folders that hold no image: %s", ", ".join(map(printable, none)))

    def _left_out(self) -> list[str]:
        sentences = []
        if self.unlabelled:
            sentences.append(
                f"{self.unlabelled.total()} files are in no folder named after a class: {_commonest(self.unlabelled)}. "
                "Name the folders REAL and FAKE, or give data.real=[NAME] data.fake=[NAME], or label each folder: "
                "'data.classes={NAME: real, OTHER: fake, MORE: ignore}'; NAME may also be that of the root itself (./)."
            )
        if self.ignored:
            said = f"{self.ignored.total():,} images in folders that data.classes= says to ignore"
            sentences.append(f"{said}: {_commonest(self.ignored, 50)}.")
        if self.unsplit:
            sentences.append(
                f"{self.unsplit} images are in no folder named train or test. "
                "For a tree without these use data=folder, which splits it."
            )
        if ignored := sum((source.ignored for source in self.sources), Counter()):
            sentences.append(f"{ignored.total()} files have no image extension: {_commonest(ignored)}.")
        return sentences


def _commonest(counts: Counter[str], most: int = 5) -> str:
    return ", ".join(f"{printable(what)} ({count})" for what, count in counts.most_common(most))


def name_of(root: Path) -> str:
    """Of a root, as data.classes may name it: an archive's without its endings."""
    return root.name if root.is_dir() else re.sub(r"(\.tar)?\.\w+$", "", root.name)


def quoted(name: str) -> str:
    """A folder name as a key in a dict of Hydra's command line, which knows no quotes there."""
    return "".join(f"\\{letter}" if letter in "\\()[]{}:=, \t" else letter for letter in printable(name))


class Unreadable(BadSource):
    """Some images cannot be read."""


def unreadable(root: str, good: int, bad: Sequence[tuple[str, str]]) -> Unreadable:
    """The error that names all images that cannot be read, given as (name, reason)."""
    lines = [f"  {printable(name)}: {printable(why)}" for name, why in sorted(bad)[:LISTED]]
    more = [f"  ... and {len(bad) - LISTED} more"] if len(bad) > LISTED else []
    head = f"data.root={root}: {len(bad)} of {good + len(bad)} images cannot be read:"
    tail = "Repair or remove them, or leave them out with data.on_error=skip."
    return Unreadable("\n".join([head, *lines, *more, tail]))
