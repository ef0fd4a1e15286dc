"""Where image files lie: a folder, a .zip or a .tar (plain or compressed), read without unpacking."""

import tarfile
import zipfile
from collections.abc import Iterator
from hashlib import blake2b
from os import fsencode, walk
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from fakereal.config.errors import UserError
from fakereal.data.decode import MAX_BYTES, BadImage, image_extensions

Content = Path | bytes | BadImage  # how the bytes of one file are had


class FolderSource:
    """The files below a folder (links are followed), in the order of their names."""

    def __init__(self, root: Path):
        self.root = root
        self.done = 0
        seen: set[Path] = set()
        files = []
        for folder, folders, names in walk(root, followlinks=True):
            real = Path(folder).resolve()
            if real in seen:  # a link that leads back up
                folders.clear()
                continue
            seen.add(real)
            files += [Path(folder, name) for name in names]
        self.files = sorted((path.relative_to(root).as_posix(), path) for path in files)
        self.total = len(self.files)

    def fingerprint(self) -> str:
        """Changes when a file is added, removed, renamed, resized or touched."""
        state = blake2b(digest_size=16)
        for name, path in self.files:
            try:
                status = path.stat()
                state.update(b"%s\0%d\0%d\0" % (fsencode(name), status.st_size, status.st_mtime_ns))
            except OSError:  # a dangling link: reported when it is read
                state.update(b"%s\0" % fsencode(name))
        return state.hexdigest()

    def __iter__(self) -> Iterator[tuple[str, Content]]:
        for name, path in self.files:
            self.done += 1
            yield name, path


class ArchiveSource:
    """The files in an archive, one after the other as they stand in it; `done` and `total` count its bytes."""

    def __init__(self, path: Path):
        self.path = path
        self.done = 0
        self.total = path.stat().st_size

    def fingerprint(self) -> str:
        """Changes when the archive is replaced or touched."""
        status = self.path.stat()
        return f"{status.st_size}-{status.st_mtime_ns}"

    def __iter__(self) -> Iterator[tuple[str, Content]]:
        read = _read_zip if zipfile.is_zipfile(self.path) else _read_tar
        try:
            with self.path.open("rb") as file:
                for name, content in read(file):
                    self.done = file.tell()
                    _refuse_unsafe(self.path, name)
                    yield name, content
        except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
            raise self._damaged(error) from error
        except (OSError, ValueError, NotImplementedError) as error:
            if getattr(error, "errno", None):  # the disk's own trouble, not the archive's
                raise
            raise self._damaged(error) from error
        except Exception as error:
            # lzma.LZMAError and zlib.error are plain Exceptions of modules that a Python may lack.
            if type(error).__module__ in ("lzma", "_lzma", "zlib", "zstd", "compression.zstd"):
                raise self._damaged(error) from error
            raise

    def _damaged(self, error: Exception) -> UserError:
        return UserError(
            f"data.root={self.path} is no archive that can be read to its end ({error}). "
            "Give a folder, or a complete .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz file."
        )


def _read_zip(file: BinaryIO) -> Iterator[tuple[str, Content]]:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            if member.flag_bits & 1:
                raise zipfile.BadZipFile("it is encrypted")
            if member.file_size > MAX_BYTES:
                yield member.filename, BadImage(f"{member.file_size / 2**20:.0f} MiB, too large")
                continue
            yield member.filename, archive.read(member)


def _read_tar(file: BinaryIO) -> Iterator[tuple[str, Content]]:
    with tarfile.open(fileobj=file, mode="r|*") as archive:
        for member in archive:
            if member.isdir():
                continue
            if not member.isfile():
                yield member.name, BadImage("a link or a device, not a file")
            elif member.size > MAX_BYTES:
                yield member.name, BadImage(f"{member.size / 2**20:.0f} MiB, too large")
            else:
                data = archive.extractfile(member).read()
                if len(data) != member.size:
                    raise tarfile.ReadError("unexpected end of data")
                yield member.name, data


def _refuse_unsafe(archive: Path, name: str) -> None:
    """Nothing is ever unpacked; but an archive that tries to climb out of its folder is not to be trusted."""
    if ".." in PurePosixPath(name.replace("\\", "/")).parts or PureWindowsPath(name).anchor:
        raise UserError(
            f"data.root={archive} holds a file named {name!r}, which lies outside of the archive. "
            "Do not trust it; get the archive from its author again."
        )


def is_image_name(name: str) -> bool:
    """Whether a file is to be read: visible, and with an image's ending or none at all."""
    path = PurePosixPath(name)
    if any(part.startswith(".") or part == "__MACOSX" for part in path.parts):
        return False
    return not path.suffix or path.suffix.lower() in image_extensions()


def open_source(root: Path) -> FolderSource | ArchiveSource:
    """The source at a path; UserError where there is nothing."""
    if root.is_dir():
        return FolderSource(root)
    if root.is_file():
        return ArchiveSource(root)
    raise UserError(f"data.root={root} does not exist. Give a folder or an archive (.zip, .tar, .tar.gz, .tar.xz).")
