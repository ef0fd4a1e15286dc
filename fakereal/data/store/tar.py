"""The files in a .tar, plain or compressed, as they come by: read by tarfile, strictly, and plain ones past it."""

import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import import_module
from io import BufferedReader
from typing import BinaryIO, Self

from fakereal.data.store.ahead import Ahead
from fakereal.data.store.rgb import MAX_BYTES, BadImage, too_large
from fakereal.data.store.sources import File

# First bytes, of which the first name in a plain tar may have some: module that reads them.
COMPRESSED = {
    re.compile(rb"\x1f\x8b\x08"): "gzip",
    re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"): "bz2",  # the numbers pi and its root, as bzip2 has them
    re.compile(rb"\xfd7zXZ\0"): "lzma",
}
# Headers about the next member, which tarfile reads into memory whole; real ones have a few hundred bytes.
EXTENDED = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, b"X")
EXTENDED_BYTES = 2**20
LINK = "a link or a device, not a file (tar -h packs what links point to, --hard-dereference what hard links do)"
NOT_FILES = (b"D", b"V")  # of GNU tar: the list of a folder's files in an incremental archive, and the archive's label

# The header of a regular file with nothing unusual about it (POSIX.1, ustar, and GNU's): name, size and checksum in
# octal, type 0, no prefix to the name.
PLAIN = re.compile(rb"(.{100}).{24}([0-7]{11})[\0 ].{12}([0-7]{6})[\0 ]{2}0.{100}ustar.{83}\0.{166}", re.DOTALL)
CHECKSUM = slice(148, 156)  # of a header, itself counted as spaces


def read_tar(file: BufferedReader, wanted: Callable[[str], bool]) -> Iterator[File]:
    """The wanted files, in order. What tarfile and the modules that decompress raise of a damaged one is raised."""
    # Not tarfile's own decompression: it neither compares checksums nor goes on after the first of several streams.
    start = file.peek(10)
    module = next((name for magic, name in COMPRESSED.items() if magic.match(start)), None)
    if not module:
        yield from _members(file, wanted)
        return
    with import_module(module).open(file) as stream, closing(Ahead(stream)) as ahead:
        yield from _members(ahead, wanted)


def _members(stream: BinaryIO | Ahead, wanted: Callable[[str], bool]) -> Iterator[File]:
    with tarfile.open(fileobj=_EndsOnce(stream), mode="r|", tarinfo=_Member) as archive:
        while member := archive.next():
            archive.members.clear()  # tarfile's list of all that it has seen
            if not member.isdir() and member.type not in NOT_FILES and wanted(member.name):
                yield File.packed(member.name, _content(archive, member))
        _read_to_end(archive.fileobj)


def _read_to_end(stream: BinaryIO) -> None:
    """What stands after the end of the archive is zeros; the checksum of what is compressed comes last."""
    size = 2**20
    while rest := stream.read(size):
        if rest.count(0) < len(rest):
            raise tarfile.ReadError(
                "there is more after its end: it is damaged there, or several archives are in one file, as for tar -i"
            )
        if len(rest) < size:
            break


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | BadImage:
    """Of the member whose header was read last, where the stream stands."""
    if not member.isfile():
        return BadImage(LINK)
    if member.size > MAX_BYTES:
        return too_large(member.size)
    if member.issparse():
        return archive.extractfile(member).read()
    # Not by extractfile, whose file object takes a fifteenth of decoding small images; and with the zeros that fill the
    # last block, which tarfile would skip in two more steps.
    content = archive.fileobj.read(archive.offset - member.offset_data)
    if len(content) < member.size:
        raise tarfile.ReadError("it ends within a file")
    return content[: member.size]


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
        stream = archive.fileobj
        header = stream.read(tarfile.BLOCKSIZE)
        if not archive.pax_headers and (plain := cls._plain(header, archive)):
            return plain
        archive.fileobj = _ReadAgain(header, stream)
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # the blocks of zeros at the end
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} at byte {archive.offset}") from error
        finally:
            archive.fileobj = stream

    @classmethod
    def _plain(cls, header: bytes, archive: tarfile.TarFile) -> Self | None:
        """Of a plain file, by one pattern where tarfile reads field by field; None where tarfile is needed."""
        if not (fields := PLAIN.fullmatch(header)):
            return None
        name, size, checksum = fields.groups()
        if sum(header) - sum(header[CHECKSUM]) + sum(b"        ") != int(checksum, 8):
            return None
        member = cls(name.partition(b"\0")[0].decode(archive.encoding, archive.errors))
        member.size = int(size, 8)
        member.offset_data = archive.fileobj.tell()
        member.offset = member.offset_data - tarfile.BLOCKSIZE
        archive.offset = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        return member

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        # The one step that every Python takes for each header; from 3.13.13 on `frombuf` is passed by.
        if self.type in EXTENDED and self.size > EXTENDED_BYTES:
            raise tarfile.InvalidHeaderError(f"header of {self.size} bytes")
        return super()._proc_member(archive)


class _ReadAgain:
    """A stream, with a block that was read of it put back."""

    def __init__(self, block: bytes, stream: BinaryIO):
        self.block, self.stream = block, stream

    def read(self, size: int) -> bytes:
        if not self.block:
            return self.stream.read(size)
        block, self.block = self.block, b""
        return block

    def tell(self) -> int:
        return self.stream.tell()
