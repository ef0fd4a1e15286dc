"""CIFAKE from the first place that has it: a mirror of the user's, its author's repository, Kaggle."""

import errno
import logging
import os
import re
import shutil
import tarfile
import textwrap
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path, PurePosixPath

from fakereal.data.alone import alone
from fakereal.data.download.transfer import SourceError, cannot_write, fetch
from fakereal.runtime.errors import UserError, installing

log = logging.getLogger(__name__)

REPOSITORY = "https://github.com/jordan-bird/CIFAKE-Real-and-AI-Generated-Synthetic-Images"
COMMIT = "e112a942abaecd02b6b1f6f646c807d56be8fb62"
KAGGLE = "birdy654/cifake-real-and-ai-generated-synthetic-images"
MANUAL = f"""\
To get CIFAKE by hand, download it on any machine from
  {REPOSITORY} (Code > Download ZIP, or git clone), or
  https://www.kaggle.com/datasets/{KAGGLE}
and pass the archive as it is, or the unpacked folder: data.root=PATH. Any .zip, .tar, .tar.gz, .tar.bz2 or
.tar.xz with the folders train/REAL, train/FAKE, test/REAL and test/FAKE will do. If there is such an archive
on a web server that you can reach: data.mirror=URL."""


@dataclass(frozen=True)
class Archive:
    """A .zip or .tar file at `url`, kept under `filename`."""

    name: str
    url: str
    filename: str

    def path(self, folder: Path) -> Path:
        return folder / self.filename

    def download(self, folder: Path) -> Path:
        return fetch(self.url, self.path(folder), check=is_archive)


@dataclass(frozen=True)
class KaggleDataset:
    """A public dataset of Kaggle (no account needed), which kagglehub unpacks to a folder."""

    name: str
    handle: str

    def path(self, folder: Path) -> Path:
        return folder / f"kaggle-{self.handle.replace('/', '-')}"

    def download(self, folder: Path) -> Path:
        try:
            import kagglehub
        except ImportError:
            raise SourceError(f"{self.handle}: needs kagglehub, {installing('kaggle')}") from None
        unfinished = self.path(folder).with_suffix(".part")
        try:
            # Into a used folder kagglehub downloads only by force: there it clears what an earlier run left.
            got = kagglehub.dataset_download(self.handle, output_dir=str(unfinished), force_download=True)
        except Exception as error:  # of requests, kagglesdk and kagglehub: no common base
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            shutil.rmtree(unfinished, ignore_errors=True)
            reason = textwrap.shorten(f"{type(error).__name__}: {error}", 240)
            raise SourceError(f"{self.handle}: {reason}") from error
        if Path(got) != unfinished:  # in a notebook of Kaggle or Colab, where the data set is mounted
            return Path(got)
        os.replace(unfinished, self.path(folder))
        return self.path(folder)


Source = Archive | KaggleDataset


def cifake_sources(mirror: str | None = None) -> tuple[Source, ...]:
    """Where CIFAKE is to be had, in the order in which to ask; `mirror` is the URL of an archive."""
    repository = Archive("GitHub", f"{REPOSITORY}/archive/{COMMIT}.zip", f"cifake-{COMMIT[:7]}.zip")
    public = (repository, KaggleDataset("Kaggle", KAGGLE))
    if not mirror:
        return public
    # Two mirrors may call their archives the same; the folder is shared by everything that uses the cache.
    basename = re.sub(r"[^\w.-]", "_", PurePosixPath(mirror.partition("?")[0]).name)[-80:]
    digest = blake2b(mirror.encode(), digest_size=4).hexdigest()
    return (Archive("data.mirror", mirror, f"mirror-{digest}-{basename}"), *public)


def fetch_first(sources: Sequence[Source], folder: Path) -> Path:
    """The archive or the folder, below `folder`, of the first source that delivers.

    What an earlier call, also one of another process, has completed is returned at once, without the network;
    of several calls at the same time one downloads and the others wait for it.

    Raises:
        UserError: no source delivers (the message has a line for each, and `MANUAL`), or the disk is full.
    """
    if found := _complete(sources, folder):  # before the lock: a shared cache may be read-only
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder / "download.lock", f"downloads to {folder}"):
            return _complete(sources, folder) or _ask_each(sources, folder)
    except OSError as error:
        raise cannot_write(folder, error) from error


def is_archive(path: Path) -> bool:
    """Whether the file is a zip with its whole central directory or begins as a tar, plain or compressed."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path):
                return True
        return tarfile.is_tarfile(path)
    except OSError:
        raise
    except Exception:  # the errors of zipfile, zlib and lzma (which a Python may lack) have no common base
        return False


def _complete(sources: Sequence[Source], folder: Path) -> Path | None:
    paths = (source.path(folder) for source in sources)
    return next((path for path in paths if path.exists()), None)


def _ask_each(sources: Sequence[Source], folder: Path) -> Path:
    answers = []
    for source in sources:
        log.info("Downloading CIFAKE from %s to %s", source.name, folder)
        try:
            return source.download(folder)
        except SourceError as error:
            log.warning("%s failed: %s", source.name, error)
            answers.append(f"  {source.name}: {error}")
    raise UserError("\n".join(["CIFAKE could not be downloaded.", *answers, MANUAL]))
