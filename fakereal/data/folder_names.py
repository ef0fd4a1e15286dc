"""From a path to split and label: what the folder names of a data set say."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from fakereal import CLASSES

SPLITS = ("train", "val", "test")
SPLIT_NAMES = {
    "train": 0, "training": 0,
    "val": 1, "valid": 1, "validation": 1, "dev": 1,
    "test": 2, "testing": 2,
}  # fmt: skip
UNSPLIT = 255  # the tree has no split folders: the datamodule divides it

# Folder names met in the data sets of this field (CIFAKE, GenImage, ForenSynths, ...).
REAL_NAMES = ("real", "0_real", "nature", "natural", "authentic", "human", "original", "genuine")
FAKE_NAMES = ("fake", "1_fake", "ai", "generated", "ai_generated", "ai-generated", "synthetic", "artificial")


IGNORED = -1  # a label of images that the user leaves out on purpose


class FolderNames:
    """Split and label of a path by its folders, whatever their case; the deepest name that fits decides.

    `classes` says of folder names, or of paths as camera/press, "real", "fake" or "ignore". Where it names a folder of
    a path, `real` and `fake` say nothing about that path; where no folder of a path has a name, it may name the root
    itself. `splits` says of further folder names, or in the place of SPLIT_NAMES, "train", "val"
    or "test".
    """

    def __init__(
        self,
        real: Sequence[str] = REAL_NAMES,
        fake: Sequence[str] = FAKE_NAMES,
        classes: Mapping[str, str] | None = None,
        splits: Mapping[str, str] | None = None,
    ):
        self.labels = {name.lower(): CLASSES.index("REAL") for name in real}
        self.labels |= {name.lower(): CLASSES.index("FAKE") for name in fake}
        numbers = {"ignore": IGNORED, **{cls.lower(): label for label, cls in enumerate(CLASSES)}}
        self.given = {str(name).lower().strip("/"): numbers[said.lower()] for name, said in (classes or {}).items()}
        self.given_splits = {str(name).lower(): SPLITS.index(said.lower()) for name, said in (splits or {}).items()}
        self.splits = SPLIT_NAMES | self.given_splits
        # By root and folder: a million images lie in few.
        self._said: dict[tuple[str, str], tuple[int, int | None]] = {}
        self._decided: dict[tuple[str, str], str | None] = {}

    def __call__(self, path: str, root: str = "") -> tuple[int, int | None]:
        """(split, label) of a path with forward slashes below a root of this name.

        UNSPLIT or None where no folder says it, or IGNORED.
        """
        place = root, path.rpartition("/")[0]
        if place not in self._said:
            self._said[place] = self._says(path, root)
        return self._said[place]

    def _says(self, path: str, root: str) -> tuple[int, int | None]:
        split = UNSPLIT
        for folder in path.lower().split("/")[:-1]:
            split = self.splits.get(folder, split)
        name = self.deciding(path, root)
        return split, None if name is None else self.given.get(name, self.labels.get(name))

    def deciding(self, path: str, root: str = "") -> str | None:
        """The folder name, or path of `classes`, in lower case, that says the label of a path; None where none does."""
        place = root, path.rpartition("/")[0]
        if place not in self._decided:
            self._decided[place] = self._deciding(place[1].lower().split("/"), root.lower())
        return self._decided[place]

    def _deciding(self, folders: list[str], root: str) -> str | None:
        for names in (self.given, self.labels):
            for end in range(len(folders), 0, -1):
                for begin in range(end):  # the longest path first
                    if (name := "/".join(folders[begin:end])) in names:
                        return name
        return root if root in self.given else None

    def class_words(self, found: Collection[str]) -> set[str]:
        """Which of the `deciding` names found in a data set tell a class alone, and not also whose images they are.

        The names met in this field do, and the only name of a class, unless `classes` says it.
        """
        labels = {name: self.labels.get(name) for name in found if name not in self.given}
        counts = Counter(labels.values())
        alone = {name for name, label in labels.items() if counts[label] == 1}
        return alone | {*found} & {*REAL_NAMES, *FAKE_NAMES}
