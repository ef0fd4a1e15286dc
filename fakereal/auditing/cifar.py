"""The CIFAR-10 class that a file name of CIFAKE says, and duplicates by it."""

import re

import numpy as np

from fakereal.auditing.duplicates import contents, identical

# The suffix of the name, "0042 (7).jpg", numbers them from 1; airplanes have none.
CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SUFFIX = re.compile(r"\((\d+)\)\.\w+\Z")


def cifar_classes(names: list[str]) -> np.ndarray:
    """Indices (N,) of CIFAR; -1 where the suffix names none."""
    found = [int(match[1]) if (match := SUFFIX.search(name)) else 1 for name in names]
    return np.array([number - 1 if 1 <= number <= len(CIFAR) else -1 for number in found])


def identical_by_class(
    classes: np.ndarray, hashes: np.ndarray, part: np.ndarray, label: np.ndarray
) -> dict[str, dict[str, int]]:
    """What `identical` tells, of the images of each class that has such pairs."""
    rows = {name: np.flatnonzero(classes == number) for number, name in enumerate(CIFAR)}
    found = {name: identical(contents(hashes[held], part[held], label[held])) for name, held in rows.items()}
    return {name: figures for name, figures in found.items() if figures["total"]}
