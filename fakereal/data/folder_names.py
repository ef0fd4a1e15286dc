"""From a path to split and label: what the folder names of a data set say."""

from collections.abc import Sequence

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


class FolderNames:
    """Split and label of a path by its folders, whatever their case; the deepest name that fits decides."""

    def __init__(self, real: Sequence[str] = REAL_NAMES, fake: Sequence[str] = FAKE_NAMES):
        self.labels = {name.lower(): CLASSES.index("REAL") for name in real}
        self.labels |= {name.lower(): CLASSES.index("FAKE") for name in fake}

    def __call__(self, path: str) -> tuple[int, int | None]:
        """(split, label) of a path with forward slashes; UNSPLIT or None where no folder says it."""
        split, label = UNSPLIT, None
        for folder in path.lower().split("/")[:-1]:
            split = SPLIT_NAMES.get(folder, split)
            label = self.labels.get(folder, label)
        return split, label
