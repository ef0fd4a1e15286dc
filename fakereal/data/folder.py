"""`data=folder`: any tree of real and fake images, of any size and format."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from fakereal import CLASSES
from fakereal.data.datamodule import ImageDataModule
from fakereal.data.folder_names import FAKE_NAMES, IGNORED, REAL_NAMES, FolderNames
from fakereal.data.store.build import Recipe, obtain
from fakereal.data.store.entries import name_of
from fakereal.data.store.sources import roots_of
from fakereal.data.store.store import Store
from fakereal.runtime.errors import UserError
from fakereal.runtime.text import printable

log = logging.getLogger(__name__)
ClassWord = Literal["real", "fake", "ignore", "Real", "Fake", "Ignore", "REAL", "FAKE", "IGNORE"]
SplitWord = Literal["train", "val", "test", "Train", "Val", "Test", "TRAIN", "VAL", "TEST"]


class Folder(ImageDataModule):
    """Folders or archives with images below folders named for the two classes, at any depth.

    Train, val and test folders are kept to where there are some (`splits` names further ones, {val: test} say);
    otherwise `test_fraction` of all and `val_fraction` of the rest are carved out. Several roots are joined. `real` and
    `fake` are the folder names of the classes, whatever their case; `classes` says it folder by folder, {photos: real,
    photos/drawings: ignore}, and wins over them; a root may be such a folder itself. A folder beside these that nothing
    names is an error: no label is guessed.
    """

    def __init__(
        self,
        *,
        root: str | Sequence[str] | None = None,
        real: Sequence[str] = REAL_NAMES,
        fake: Sequence[str] = FAKE_NAMES,
        classes: dict[str | int, ClassWord] | None = None,
        splits: dict[str | int, SplitWord] | None = None,
        **common: Any,
    ):
        super().__init__(**common)
        if both := {name.lower() for name in real} & {name.lower() for name in fake}:
            raise UserError(f"data.real and data.fake share {sorted(both)}; a folder can have only one class.")
        self.root, self.names = root, FolderNames(real, fake, classes, splits)
        self.split_names = self.names.splits
        # Known once the images are open. Of several roots names begin with their paths; each has a name.
        self.above: list[tuple[str, str]] = []
        self.class_words: set[str] = set()  # folder names, in lower case, that tell the class alone
        self.settings |= {"root": self.absolute_root(), "real": [*real], "fake": [*fake]}
        self.settings |= {"classes": classes, "splits": splits}

    def absolute_root(self) -> list[str] | None:
        """`root` as it can be opened from anywhere; None where it is still to be fetched."""
        return [str(path) for path in roots_of(self.root)] if self.root is not None else None

    def open_images(self) -> Store:
        if self.root is None:
            raise UserError("data.root is not given. Give the folder or archive with the images (or a list of them).")
        roots = roots_of(self.root)
        images = self.store_of(roots)
        self.above = [(f"{root.as_posix()}/" if len(roots) > 1 else "", name_of(root)) for root in roots]
        counts = self._tell_labels(images)
        self.class_words = self.names.class_words(counts)
        return images

    def group_of(self, name: str) -> str:
        """As for all data, and without the folder that tells the class alone, unless no other is left.

        `biggan/0_real` and `biggan/1_fake` are one group, so are `REAL/dogs` and `FAKE/dogs`; with
        `classes={sd15: fake, sdxl: fake, photos: real}` the folders named there are three.
        """
        folders, word = super().group_of(name).split("/"), self.names.deciding(*self._below(name))
        if len(folders) > 1 and word in self.class_words:
            deepest = max((at for at, folder in enumerate(folders) if folder.lower() == word), default=len(folders))
            del folders[deepest : deepest + 1]
        return "/".join(folders)

    def _tell_labels(self, images: Store) -> Counter[str]:
        """A line in the log where other words than REAL and FAKE were taken for the classes; images by such words."""
        below = (self._below(name) for name in images.names)
        folders = Counter((path.rpartition("/")[0], root) for path, root in below)
        counts: Counter[str] = Counter()
        for (folder, root), count in folders.items():
            counts[self.names.deciding(f"{folder}/", root)] += count
        if {*counts} - {cls.lower() for cls in CLASSES}:
            said = [
                f"{printable(name)} = {CLASSES[self.names(f'{name}/')[1]]} ({counts[name]:,})"
                for name in sorted(counts)
            ]
            log.info("Labels by folder name: %s. If that is wrong, set data.classes=.", ", ".join(said))
        held = {name.lower() for folder, _ in folders for name in folder.split("/")}
        given = [name for name, label in self.names.given.items() if label != IGNORED]
        if unused := [name for name in given if name not in held and name not in counts]:
            log.warning("data.classes= names folders that contain no image: %s", ", ".join(map(printable, unused)))
        if unused := sorted(self.names.given_splits.keys() - held):
            log.warning("data.splits= names folders that contain no image: %s", ", ".join(map(printable, unused)))
        return counts

    def _below(self, name: str) -> tuple[str, str]:
        """An image's path below its root, and the root's name."""
        found = ((name.removeprefix(path), root) for path, root in self.above if name.startswith(path))
        return next(found, (name, ""))

    def store_of(self, roots: tuple[Path, ...]) -> Store:
        """The decoded images of folders or archives, decoded now if they are not in the cache."""
        recipe = Recipe(roots, self.resize, self.names, self.need_split, self.on_error, self.need_both)
        return obtain(recipe, self.cache)
