"""Images to be timed on: generated ones, as files that look like CIFAKE's."""

from pathlib import Path

from PIL import Image

from fakereal import CLASSES
from fakereal.data.dead_leaves import synthetic_images

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
