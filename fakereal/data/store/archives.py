"""The images in a .zip or a .tar (plain or compressed), read one after the other without unpacking."""

import errno
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import import_module
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from fakereal.config.errors import UserError
from fakereal.data.store.ahead import Ahead
from fakereal.data.store.rgb import MAX_BYTES, BadImage, too_large
from fakereal.data.store.sources import BadSource, File, is_hidden, other_ending, printable

COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "lzma"}  # first bytes: module that reads them
UNSAFE = re.compile(r"[A-Za-z]:|[/\\]|(.*[/\\])?\.\.([/\\]|\Z)", re.DOTALL)
# Headers about the next member, which tarfile reads into memory whole; real ones have a few hundred bytes.
EXTENDED = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, b"X")
EXTENDED_BYTES = 2**20
LINK = "a link or a device in place of a file (tar -h packs what links mean)"


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
                read = _read_zip if file.peek(2)[:2] == b"PK" else _read_tar
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
                f"data.root={printable(self.root)} holds a file named {printable(name)}, which lies outside of the "
                "archive. Do not trust it: get the archive from its author again."
            )
        if any(is_hidden(part) for part in name.split("/") if part != "."):
            return False
        if ending := other_ending(name):
            self.ignored[ending] += 1
        return not ending

    def _damaged(self, error: Exception) -> BadSource:
        return BadSource(
            f"data.root={printable(self.root)} is no archive that can be read to its end "
            f"({printable(str(error) or type(error).__name__)}). "
            "Give a folder, or a complete .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz file."
        )


def _read_zip(file: BufferedReader, wanted: Callable[[str], bool]) -> Iterator[File]:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            name = member.filename.replace("\\", "/")  # as some writers on Windows have it
            if name.endswith("/") or not wanted(name):
                continue
            if member.flag_bits & 1:
                raise zipfile.BadZipFile("it is encrypted")
            big = member.file_size > MAX_BYTES
            yield _file(name, too_large(member.file_size) if big else archive.read(member))


def _read_tar(file: BufferedReader, wanted: Callable[[str], bool]) -> Iterator[File]:
    # Not tarfile's own decompression: it neither compares checksums nor goes on after the first of several streams.
    start = file.peek(6)
    module = next((name for magic, name in COMPRESSED.items() if start.startswith(magic)), None)
    if not module:
        yield from _members(file, wanted)
        return
    with import_module(module).open(file) as stream, closing(Ahead(stream)) as ahead:
        yield from _members(ahead, wanted)


def _members(stream: BinaryIO | Ahead, wanted: Callable[[str], bool]) -> Iterator[File]:
    with tarfile.open(fileobj=_EndsOnce(stream), mode="r|", tarinfo=_Member) as archive:
        while member := archive.next():
            archive.members.clear()  # tarfile's list of all that it has seen
            if member.isdir() or not wanted(member.name):
                continue
            if not member.isfile():
                yield _file(member.name, BadImage(LINK))
            elif member.size > MAX_BYTES:
                yield _file(member.name, too_large(member.size))
            else:
                yield _file(member.name, _content(archive, member))
    while stream.read(2**20):  # the checksum comes last
        pass


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Of the member whose header was read last, where the stream stands."""
    if member.issparse():
        return archive.extractfile(member).read()
    # Not by extractfile: a file object for each takes a fifteenth of decoding small images.
    content = archive.fileobj.read(member.size)
    if len(content) != member.size:
        raise tarfile.ReadError("it ends within a file")
    return content


def _file(name: str, content: bytes | BadImage) -> File:
    return File(name, len(content) if isinstance(content, bytes) else 0, content)


class _EndsOnce:
    """A stream that is not asked twice after its end: tarfile skips a file of 2**62 bytes in small steps, for years."""

    def __init__(self, stream: BinaryIO | Ahead):
        self.stream, self.ended = stream, False

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        if not data and self.ended:
            raise EOFError("it ends within a file")
        self.ended = not data
        return data


class _Member(tarfile.TarInfo):
    """A member's header. tarfile by itself takes the first damaged or missing one for the end of the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> tarfile.TarInfo:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # the blocks of zeros at the end
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} at byte {archive.offset}") from error

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        # The one step that every Python takes for each header; from 3.13.13 on `frombuf` is passed by.
        if self.type in EXTENDED and self.size > EXTENDED_BYTES:
            raise tarfile.InvalidHeaderError(f"header of {self.size} bytes")
        return super()._proc_member(archive)
