"""Images to be timed on: generated ones, as files that look like CIFAKE's, and those of an archive."""

import shutil
import tarfile
import zipfile
from pathlib import Path

from PIL import Image

from fakereal import CLASSES
from fakereal.data.dead_leaves import synthetic_images
from fakereal.runtime.errors import UserError

SIDE, QUALITY = 32, 75  # as CIFAKE's files
TESTED = 40  # images of the test split, which nothing here looks at


def write_tree(folder: Path, train: int) -> Path:
    """train/ and test/ with REAL/ and FAKE/, of so many training images, as JPEG files of 32 px."""
    pixels, labels = synthetic_images(train + TESTED, SIDE)
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        parent = folder / ("train" if number < train else "test") / CLASSES[label]
        parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(parent / f"{number:06d}.jpg", quality=QUALITY)
    return folder


def packed(tree: Path) -> Path:
    """The tree as an archive beside it, made once."""
    archive = tree.with_suffix(".tar")
    if not archive.exists():
        with tarfile.open(archive, "w") as file:
            file.add(tree, tree.name)
    return archive


def tree_of(root: Path, folder: Path) -> Path:
    """The folder that holds train/; an archive is extracted to `folder` first."""
    if root.is_file():
        if zipfile.is_zipfile(root):
            shutil.unpack_archive(root, folder, "zip")
        else:
            with tarfile.open(root) as archive:
                archive.extractall(folder, filter="data")
        root = folder
    for found in (root, *sorted(root.glob("*/"))):
        if (found / "train").is_dir():
            return found
    raise UserError(f"root={root} has no train/ with REAL/ and FAKE/, which ImageFolder needs.")
