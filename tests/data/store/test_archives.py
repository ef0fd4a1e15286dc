"""Archives of every kind: whole, cut short, altered, and made by somebody who means no good."""

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import threading
import zipfile

import numpy as np
import pytest

from fakereal.data.store import sources
from fakereal.data.store.archives import ArchiveSource
from fakereal.data.store.rgb import MAX_BYTES, BadImage
from fakereal.data.store.sources import BadSource, FolderSource, is_hidden

KINDS = ("zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz")
COMPRESSED = ("tar.gz", "tar.bz2", "tar.xz")


@pytest.fixture(scope="session")
def contents():
    """Noise, which does not compress, of sizes that end within and at the end of a tar's blocks."""
    numbers = np.random.default_rng(0)
    sizes = [(f"train/REAL/{index}.jpg", size) for index, size in enumerate((0, 1, 511, 512, 513, 3000))]
    return {name: numbers.bytes(size) for name, size in sizes} | {"train/FAKE/ü (2)=3.PNG": numbers.bytes(2000)}


@pytest.fixture(scope="session")
def archives(contents, tmp_path_factory, pack):
    """An archive of each kind with the same files."""
    folder = tmp_path_factory.mktemp("archives")
    for name, data in contents.items():
        path = folder / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return {kind: pack(folder / "tree", folder / f"images.{kind}") for kind in KINDS}


def read(path, wanted=lambda name: True):
    return [(file.name.removeprefix("./"), file.content) for file in ArchiveSource(path).files(wanted)]


def tar(path, *members, mode="w"):
    """A tar of (name or TarInfo, bytes)."""
    with tarfile.open(path, mode) as archive:
        for member, data in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(data) if info.isfile() else 0
            archive.addfile(info, io.BytesIO(data))
    return path


def zip_(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_files(archives, contents, kind):
    source = ArchiveSource(archives[kind])
    assert {file.name.removeprefix("./"): file.content for file in source.files(lambda name: True)} == contents
    assert 0 < source.done <= source.total == archives[kind].stat().st_size
    found = read(archives[kind], lambda name: "FAKE" in name)
    assert found == [("train/FAKE/ü (2)=3.PNG", contents["train/FAKE/ü (2)=3.PNG"])]


def test_the_kind_is_told_by_the_content_not_by_the_name(archives, contents, tmp_path):
    for kind in ("zip", "tar.xz"):
        path = tmp_path / "download"
        path.write_bytes(archives[kind].read_bytes())
        assert dict(read(path)) == contents


def test_a_tar_that_ends_in_a_zip_is_a_tar(archives, contents, tmp_path):
    nested = tar(tmp_path / "x.tar", ("real/1.jpg", b"one"), ("more.zip", archives["zip"].read_bytes()))
    assert read(nested) == [("real/1.jpg", b"one")]


@pytest.mark.parametrize("slow", [0.0, 1.0])
def test_files_of_a_slow_server_are_told_as_those_of_a_disk(tmp_path, image_tree, monkeypatch, slow):
    tree = image_tree(tmp_path / "tree", 20)
    expected, asking = FolderSource(tree), set()
    original = sources._size_and_time
    monkeypatch.setattr(sources, "ASKED", 3)
    monkeypatch.setattr(sources, "SLOW", slow)
    monkeypatch.setattr(sources, "_size_and_time", lambda e: asking.add(threading.get_ident()) or original(e))
    found = FolderSource(tree)
    assert found.entries == expected.entries and found.fingerprint() == expected.fingerprint()
    assert (len(asking) == 1) == (slow == 1), "threads ask where the first answers are slow"


def test_what_finder_writes_into_a_folder_is_no_image():
    assert is_hidden("REAL/Icon\r") and is_hidden(".DS_Store") and not is_hidden("REAL/Icon.png")


def test_other_files_hidden_ones_and_archives_within_are_left_out(tmp_path):
    members = [(name, b"x") for name in ("a.txt", "b.TXT", "c.zip", "__MACOSX/real/._1.jpg", ".git/x", "real/1.jpg")]
    for path in (tar(tmp_path / "x.tar", *members), zip_(tmp_path / "x.zip", *members)):
        source = ArchiveSource(path)
        assert [file.name for file in source.files(lambda name: True)] == ["real/1.jpg"]
        assert source.ignored == {".txt": 2, ".zip": 1}


def test_several_streams_in_one_file(archives, contents, tmp_path):
    """As pigz, pixz and `cat` make them."""
    data = archives["tar"].read_bytes()
    for kind, compress in (("gz", gzip.compress), ("xz", lzma.compress), ("bz2", bz2.compress)):
        path = tmp_path / f"x.tar.{kind}"
        path.write_bytes(b"".join(compress(data[start : start + 3000]) for start in range(0, len(data), 3000)))
        assert dict(read(path)) == contents


def test_names_of_windows_and_names_that_are_no_text(tmp_path):
    assert read(zip_(tmp_path / "x.zip", ("train\\REAL\\1.jpg", b"1"))) == [("train/REAL/1.jpg", b"1")]
    name = os.fsdecode(b"real\xff/1.jpg")
    assert read(tar(tmp_path / "x.tar", (name, b"1"))) == [(name, b"1")]


def end_of_data(path):
    """Where the zeros begin that end a tar."""
    with tarfile.open(path) as archive:
        last = archive.getmembers()[-1]
        return last.offset_data + -(-last.size // 512) * 512


def test_a_tar_that_is_cut_anywhere_is_damaged(archives, tmp_path):
    data, end = archives["tar"].read_bytes(), end_of_data(archives["tar"])
    path = tmp_path / "x.tar"
    for length in [*range(0, end, 256), end - 1, end, end + 100]:
        path.write_bytes(data[:length])
        with pytest.raises(BadSource, match="can be read to its end"):
            read(path)
    path.write_bytes(data[: end + 512])  # without the padding after the end
    assert len(read(path)) == 7


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress])
def test_what_follows_the_end_of_a_tar_is_not_passed_over(archives, tmp_path, compress):
    data, end = archives["tar"].read_bytes(), end_of_data(archives["tar"])
    with tarfile.open(archives["tar"]) as archive:
        hole = archive.getmembers()[3].offset
    for altered in (data + data, data[:hole] + bytes(512) + data[hole + 512 :], data[: end + 1024] + b"more"):
        (tmp_path / "x.tar").write_bytes(compress(altered))
        with pytest.raises(BadSource, match="there is more after its end"):
            read(tmp_path / "x.tar")
    (tmp_path / "x.tar").write_bytes(compress(data[:end] + bytes(5 * 2**20)))
    assert len(read(tmp_path / "x.tar")) == 7


def test_a_tar_whose_first_name_looks_like_another_format(tmp_path):
    for name in ("PK/1.jpg", "BZh/1.jpg", "BZh9/1.jpg", "PK\3/1.jpg"):
        assert read(tar(tmp_path / "x.tar", (name, b"one"))) == [(name, b"one")]


def test_what_gnu_tar_adds_about_an_archive_is_no_image(tmp_path):
    members = []
    for name, kind in (("label", b"V"), ("real", b"D")):
        info = tarfile.TarInfo(name)
        info.type = kind
        members.append((info, b""))
    assert read(tar(tmp_path / "x.tar", *members, ("real/1.jpg", b"one"))) == [("real/1.jpg", b"one")]


@pytest.mark.parametrize("kind", ["zip", *COMPRESSED])
def test_what_is_cut_anywhere_is_damaged(archives, tmp_path, kind):
    data = archives[kind].read_bytes()
    path = tmp_path / f"x.{kind}"
    for length in [0, 1, 10, *range(100, len(data), 499), len(data) - 9, len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(BadSource, match="Give a folder, or a complete"):
            read(path)


@pytest.mark.parametrize("kind", ["zip", *COMPRESSED])
def test_a_wrong_byte_is_noticed_by_the_checksum(archives, contents, tmp_path, kind):
    data = archives[kind].read_bytes()
    path = tmp_path / f"x.{kind}"
    for place in range(20, len(data), 97):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        try:
            found = dict(read(path))
        except BadSource:
            continue
        # What is not checked says nothing of the images: times, owners, comments; a name may differ.
        assert sorted(found.values()) == sorted(contents.values())


def test_a_damaged_header_within_a_tar_is_not_its_end(archives, tmp_path):
    data = bytearray(archives["tar"].read_bytes())
    with tarfile.open(archives["tar"]) as archive:
        offset = archive.getmembers()[5].offset
    data[offset + 10] ^= 1
    path = tmp_path / "x.tar"
    path.write_bytes(data)
    with pytest.raises(BadSource, match=f"bad checksum at byte {offset}"):
        read(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"just text\n" * 99,
        b"\xff\xd8\xff\xe0" * 99,
        b"PK",
        b"\x1f\x8b",
        gzip.compress(b"no tar", mtime=0),
        b"\0" * 99,
    ],
)
def test_what_is_no_archive(tmp_path, data):
    path = tmp_path / "x\n.zip"
    path.write_bytes(data)
    with pytest.raises(BadSource, match=r"data.root=.*/x\\n.zip is not an archive"):
        read(path)


def test_an_empty_archive_holds_nothing(tmp_path):
    assert read(tar(tmp_path / "x.tar")) == read(zip_(tmp_path / "x.zip")) == []


@pytest.mark.parametrize(
    "name", ["../x.jpg", "a/../../x.jpg", "/etc/x.jpg", "C:\\x.jpg", "..\\x.jpg", "\\x.jpg", "a/..", "../evil.sh"]
)
def test_names_that_lead_out_are_refused(tmp_path, name):
    good = ("real/1.jpg", b"1")
    with pytest.raises(BadSource, match="outside the archive"):
        read(tar(tmp_path / "x.tar", good, (name, b"1")))
    with pytest.raises(BadSource, match="outside the archive"):
        read(zip_(tmp_path / "x.zip", good, (name, b"1")))


def test_names_with_dots_are_not(tmp_path):
    members = [("./real/..1..jpg", b"1"), ("real/a..b/2.jpg", b"2"), ("real/3...jpg", b"3")]
    assert len(read(tar(tmp_path / "x.tar", *members))) == 2  # the first is hidden


def test_links_and_devices_in_a_tar_are_never_followed(tmp_path):
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    members = [("real/1.jpg", b"one")]
    for number, (kind, target) in enumerate(
        [
            (tarfile.SYMTYPE, str(secret)),
            (tarfile.SYMTYPE, "1.jpg"),
            (tarfile.LNKTYPE, "real/1.jpg"),
            (tarfile.LNKTYPE, "../secret.jpg"),
            (tarfile.CHRTYPE, ""),
            (tarfile.FIFOTYPE, ""),
        ]
    ):
        info = tarfile.TarInfo(f"real/link{number}.jpg")
        info.type, info.linkname = kind, target
        members.append((info, b""))
    first, *others = read(tar(tmp_path / "x.tar", *members, ("real/z.jpg", b"last")))
    assert first[1] == b"one" and others.pop()[1] == b"last"
    assert len(others) == 6 and all(isinstance(content, BadImage) for _, content in others)


def patched(path, signature, offset, value):
    """The zip with `value` at an offset in each local ("PK\\3\\4") or central ("PK\\1\\2") header."""
    data, place = bytearray(path.read_bytes()), -1
    while (place := data.find(signature, place + 1)) >= 0:
        data[place + offset : place + offset + len(value)] = value
    path.write_bytes(data)
    return path


def test_an_encrypted_zip(tmp_path):
    path = zip_(tmp_path / "x.zip", ("real/1.jpg", b"1" * 99))
    patched(patched(path, b"PK\1\2", 8, b"\1\0"), b"PK\3\4", 6, b"\1\0")
    with pytest.raises(BadSource, match="it is encrypted"):
        read(path)


def test_a_zip_whose_directory_lies(tmp_path):
    def fresh():
        return zip_(tmp_path / "x.zip", ("real/1.jpg", os.urandom(500) + bytes(10**7)))

    lies = {"size": (24, 400), "packed": (20, 10), "offset": (42, 2**31), "method": (10, 99), "checksum": (16, 1)}
    for place, value in lies.values():
        with pytest.raises(BadSource, match="can be read to its end"):
            read(patched(fresh(), b"PK\1\2", place, struct.pack("<I" if place != 10 else "<H", value)))


def test_members_larger_than_any_image_are_not_unpacked(tmp_path):
    path = patched(zip_(tmp_path / "x.zip", ("real/1.jpg", b"1")), b"PK\1\2", 24, struct.pack("<I", MAX_BYTES + 1))
    ((_, content),) = read(path)
    assert isinstance(content, BadImage) and "MiB, more than" in str(content)

    info = tarfile.TarInfo("real/1.jpg")
    info.size = MAX_BYTES + 1
    with (tmp_path / "x.tar").open("wb") as file:
        file.write(info.tobuf())
        file.truncate(512 + -(-info.size // 512) * 512 + 1024)  # zeros that take no room
    ((_, content),) = read(tmp_path / "x.tar")
    assert isinstance(content, BadImage) and "MiB, more than" in str(content)


def test_a_file_packed_without_its_holes(tmp_path):
    holes = tarfile.TarInfo("real/1.bmp")
    holes.pax_headers = {"GNU.sparse.map": "0,3,10,2", "GNU.sparse.size": "14"}
    path = tar(tmp_path / "x.tar", (holes, b"abcde"), ("real/2.bmp", b"after"))
    assert read(path) == [("real/1.bmp", b"abc" + bytes(7) + b"de" + bytes(2)), ("real/2.bmp", b"after")]


def test_a_header_that_would_fill_the_memory(tmp_path):
    info = tarfile.TarInfo("@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2**33
    (tmp_path / "x.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(BadSource, match="header of 8589934592 bytes"):
        read(tmp_path / "x.tar")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_header_that_promises_more_than_there_is_ends_at_once(tmp_path, pack):
    member = tarfile.TarInfo("train/REAL/1.jpg")
    member.size = 2**62
    (tmp_path / "x.tar").write_bytes(pack(member.tobuf(tarfile.GNU_FORMAT) + bytes(5000)))
    with pytest.raises(BadSource, match="it ends within a file"):
        read(tmp_path / "x.tar")


def test_long_names_and_extended_headers(tmp_path):
    name = "real/" + "n" * 300 + "/ü" * 50 + "/1.jpg"
    for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = tmp_path / "x.tar"
        with tarfile.open(path, "w", format=format) as archive:
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
        assert read(path) == [(name, b"abc")]


def test_the_fingerprint_changes_when_the_archive_does(archives, tmp_path):
    path = tmp_path / "x.tar"
    path.write_bytes(archives["tar"].read_bytes())
    first = ArchiveSource(path).fingerprint()
    assert ArchiveSource(path).fingerprint() == first
    os.utime(path, ns=(1, 1))
    assert ArchiveSource(path).fingerprint() != first


@pytest.mark.parametrize(("encoding", "name"), [("utf-8", "real/édité ü.jpg"), ("cp437", "real/édité ü.jpg")])
def test_names_in_a_zip_that_does_not_say_how_they_are_written(tmp_path, encoding, name):
    packed = zip_(tmp_path / "x.zip", (name, b"x")).read_bytes()
    member = zipfile.ZipFile(io.BytesIO(packed)).infolist()[0]
    assert member.flag_bits & 0x800
    # As zip on Linux and Finder write it: the bytes, and no flag that says how they are meant.
    stored = "".join("x" for _ in name.encode(encoding))
    packed = bytearray(zip_(tmp_path / "x.zip", (stored, b"x")).read_bytes())
    (tmp_path / "x.zip").write_bytes(packed.replace(stored.encode(), name.encode(encoding)))
    assert [found for found, _ in read(tmp_path / "x.zip")] == [name]
