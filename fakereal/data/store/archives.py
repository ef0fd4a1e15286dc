"""The images in a .zip or a .tar (plain or compressed), read one after the other without unpacking."""

import errno
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path

from fakereal.data.store.rgb import MAX_BYTES, too_large
from fakereal.data.store.sources import BadSource, File, is_hidden, other_ending
from fakereal.data.store.tar import read_tar
from fakereal.runtime.errors import UserError
from fakereal.runtime.text import printable

ZIP = (b"PK\3\4", b"PK\5\6")  # first bytes; the first name in a tar may begin with PK too
UNSAFE = re.compile(r"[A-Za-z]:[/\\]|[/\\]|(.*[/\\])?\.\.([/\\]|\Z)", re.DOTALL)


class ArchiveSource:
    """The image files in an archive, in the order in which they stand in it."""

    def __init__(self, path: Path):
        self.root, self.ignored = path, Counter()
        self.total = path.stat().st_size
        self._file: BufferedReader | None = None

    @property
    def done(self) -> int:
        """Bytes that were read."""
        if self._file is None:
            return 0
        return self.total if self._file.closed else self._file.tell()

    def fingerprint(self) -> str:
        """Changes when the archive is replaced or touched."""
        status = self.root.stat()
        return f"{status.st_size}-{status.st_mtime_ns}"

    def files(self, wanted: Callable[[str], bool]) -> Iterator[File]:
        """Raises BadSource where the archive is damaged, cut short, encrypted, or not to be trusted."""
        try:
            with self.root.open("rb") as file:
                read = _read_zip if file.peek(4).startswith(ZIP) else read_tar
                self._file = file
                yield from read(file, lambda name: self._is_image(name) and wanted(name))
        except UserError:
            raise
        except OSError as error:
            if error.errno in (None, errno.EINVAL):  # of the modules' own, or a lying offset
                raise self._damaged(error) from error
            raise UserError(f"data.root={printable(self.root)} cannot be read ({error.strerror}).") from error
        except ImportError as error:
            raise UserError(f"data.root={printable(self.root)}: this Python cannot read it ({error}).") from error
        except Exception as error:  # the errors of zipfile, tarfile, zlib and lzma have no common base
            raise self._damaged(error) from error

    def _is_image(self, name: str) -> bool:
        if UNSAFE.match(name):
            raise BadSource(
                f"data.root={printable(self.root)} contains a file named {printable(name)}, which lies outside the "
                "archive. Do not trust it: get the archive from its author again."
            )
        if is_hidden(name):
            return False
        if ending := other_ending(name):
            self.ignored[ending] += 1
        return not ending

    def _damaged(self, error: Exception) -> BadSource:
        return BadSource(
            f"data.root={printable(self.root)} is not an archive that can be read to its end "
            f"({printable(str(error) or type(error).__name__)}). "
            "Give a folder, or a complete .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz file."
        )


def _read_zip(file: BufferedReader, wanted: Callable[[str], bool]) -> Iterator[File]:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            name = _name_of(member).replace("\\", "/")  # as some writers on Windows have it
            if name.endswith("/") or not wanted(name):
                continue
            if member.flag_bits & 1:
                raise zipfile.BadZipFile("it is encrypted")
            big = member.file_size > MAX_BYTES
            yield File.packed(name, too_large(member.file_size) if big else archive.read(member))


def _name_of(member: zipfile.ZipInfo) -> str:
    """Its name, in UTF-8 where it can be: as zip on Linux and macOS' Finder write it without saying so."""
    if member.flag_bits & 0x800:  # it is said to be
        return member.filename
    try:
        return member.filename.encode("cp437").decode()
    except UnicodeError:
        return member.filename
