"""Headers of plain files are read past tarfile, and say what tarfile reads in them."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakereal.data.store.tar import PLAIN, read_tar

CHECKSUM = slice(148, 156)
# Of a header's fields those that say what the file is: name, size, checksum, type, link, magic, prefix.
FIELDS = ((0, 99), (124, 135), (148, 155), (156, 156), (157, 159), (257, 264), (345, 349))
PLACES = st.one_of(*(st.integers(first, last) for first, last in FIELDS))
BYTES = st.sampled_from(b"\0 /0178aZ.\x80\xff")


def read_by_tarfile(data):
    """Name and content of all files; the error where tarfile cannot read on."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive if member.isreg()]


def read(data):
    return [(file.name, file.content) for file in read_tar(io.BufferedReader(io.BytesIO(data)), lambda name: True)]


def summed(header):
    """The header with the checksum that is right for it."""
    plain = bytearray(header)
    plain[CHECKSUM] = b" " * 8
    return bytes(header[: CHECKSUM.start]) + b"%06o\0 " % sum(plain) + bytes(header[CHECKSUM.stop :])


def archive_of(header, content=b"abc"):
    return header + content.ljust(512, b"\0") + bytes(1024)


def header_of(name, format=tarfile.USTAR_FORMAT, size=3):
    member = tarfile.TarInfo(name)
    member.size, member.mtime = size, 1_700_000_000
    return member.tobuf(format)


@given(
    name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40),
    format=st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT]),
    changes=st.lists(st.tuples(PLACES, BYTES), max_size=3),
    right=st.booleans(),
)
def test_an_altered_header_is_read_as_tarfile_reads_it_or_refused(name, format, changes, right):
    header = bytearray(header_of(name, format)[-512:])
    for place, byte in changes:
        header[place] = byte
    data = archive_of(summed(header) if right else bytes(header))
    try:
        theirs = read_by_tarfile(data)
    except tarfile.TarError:
        theirs = None
    try:
        ours = read(data)
    except (tarfile.TarError, EOFError):
        return  # tarfile takes some of what is damaged for the end of the archive
    assert [(name, content) for name, content in ours if isinstance(content, bytes)] == theirs


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_plain_header_is_taken_and_what_is_unusual_is_left_to_tarfile(format):
    assert PLAIN.fullmatch(header_of("train/REAL/0001 (2).jpg", format))
    long = "n/" * 60 + "1.jpg"  # in the prefix, or in a header of its own
    assert not PLAIN.fullmatch(header_of(long, format)[:512])
    other = tarfile.TarInfo("1.jpg")
    for kind in set(range(256)) - set(tarfile.REGTYPE):
        other.type = bytes([kind])
        assert not PLAIN.fullmatch(other.tobuf(format))


def test_a_global_header_holds_for_the_plain_files_after_it():
    comment = tarfile.TarInfo.create_pax_global_header({"path": "real/other.jpg"})
    data = comment + archive_of(header_of("real/1.jpg"))
    assert read(data) == read_by_tarfile(data) == [("real/other.jpg", b"abc")]
