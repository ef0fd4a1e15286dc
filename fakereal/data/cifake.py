"""`data=cifake`: 60,000 CIFAR-10 images and 60,000 by Stable Diffusion 1.4, 32 x 32 (Bird & Lotfi 2024)."""

import logging
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fakereal.data.download.download import MANUAL, cifake_sources, fetch_first
from fakereal.data.folder import Folder
from fakereal.data.store.sources import BadSource, roots_of
from fakereal.data.store.store import Store
from fakereal.runtime.errors import UserError
from fakereal.runtime.text import printable

log = logging.getLogger(__name__)

# Of all 120,000 decoded images with split and label, see image_set.content_digest.
DIGEST = "45e152abf4de54c6df645f6eaf72c7be5fb57f5d726c5a8b66c5d1d6a9ce5309"
# Of CIFAR-10, in the order of the numbers in CIFAKE's file names: "0001.jpg" is an airplane, "0001 (10).jpg" a truck.
CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SUFFIX = re.compile(r" ?\((\d+)\)\.\w+$")


def cifar_class(name: str) -> str:
    """The CIFAR class of a file of CIFAKE, by its name; "unknown" where the number is none of theirs."""
    match = SUFFIX.search(name)
    number = int(match[1]) if match else 1
    return CIFAR_CLASSES[number - 1] if 1 <= number <= len(CIFAR_CLASSES) else "unknown"


class Cifake(Folder):
    """CIFAKE from a folder or an archive, or else downloaded once into the cache.

    Below the root, at any depth, lie train/REAL, train/FAKE, test/REAL and test/FAKE. The decoded images are
    checked against `digest` (None: not checked): a download must match, a root that the user gave is used all
    the same, and the log says so.
    """

    need_split = True

    def __init__(
        self,
        *,
        root: str | Sequence[str] | None = None,
        download: bool = True,
        mirror: str | None = None,
        digest: str | None = DIGEST,
        **common: Any,
    ):
        if named := sorted({"real", "fake"} & common.keys()):
            raise UserError(f"data.{named[0]}: CIFAKE's folders are REAL and FAKE. For others choose data=folder.")
        super().__init__(root=root, real=("real",), fake=("fake",), **common)
        self.download, self.mirror, self.expected = download, mirror, digest
        self.settings |= {"download": download, "mirror": mirror, "digest": digest}
        del self.settings["real"], self.settings["fake"]

    def open_images(self) -> Store:
        if self.root is None:
            return self._downloaded()
        images = super().open_images()
        if self.expected and images.digest != self.expected:
            roots, count = ", ".join(map(printable, roots_of(self.root))), len(images.table)
            log.warning("data.root=%s is not the original CIFAKE (%s images); it is used as is", roots, f"{count:,}")
        return images

    def group_of(self, name: str) -> str:
        return cifar_class(name)

    def _downloaded(self) -> Store:
        path = self._fetch()
        try:
            images = self.store_of((path,))
            if self.expected and images.digest != self.expected:
                raise BadSource(
                    f"its images have the digest {images.digest[:16]}..., not {self.expected[:16]}... "
                    "(data.digest=null accepts any)."
                )
        except BadSource as error:
            kept = "" if self._forget(path) else "not "
            raise UserError(
                f"The download at {path} is not the expected CIFAKE and was {kept}deleted: {error}\n{MANUAL}"
            ) from error
        return images

    def _fetch(self) -> Path:
        if not self.download:
            raise UserError(f"data.root is not given and data.download=false. {MANUAL}")
        return fetch_first(cifake_sources(self.mirror), self.cache / "downloads")

    def _forget(self, path: Path) -> bool:
        """Deletes a download, so that the next run fetches it anew; not what only lies elsewhere ready for use."""
        if self.cache not in path.parents:
            return False
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        return True
