"""Which images stand more than once in a data set, and where: counts of pairs within and across splits and classes."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice
from pathlib import Path

import numpy as np

from fakereal import CLASSES
from fakereal.data.folder_names import SPLITS

WRITTEN = 200_000  # pairs in duplicates.csv


@dataclass
class Contents:
    """C different contents of N images.

    of: (N,) the content of each image; first: (C,) one image of each; parts: (C, 3) how many of its images stand
    in train, val and test; labels: (C, 2) how many are REAL and FAKE.
    """

    of: np.ndarray
    first: np.ndarray
    parts: np.ndarray
    labels: np.ndarray


def contents(hashes: np.ndarray, part: np.ndarray, label: np.ndarray) -> Contents:
    """Images (N,) grouped by hash; `part` (N,) is 0, 1 or 2, `label` (N,) is 0 or 1."""
    _, first, of = np.unique(hashes, return_index=True, return_inverse=True)

    def counts(values: np.ndarray, kinds: int) -> np.ndarray:
        flat = np.bincount(of * kinds + values, minlength=len(first) * kinds)
        return flat.reshape(len(first), kinds)

    return Contents(of, first, counts(part.astype(np.int64), 3), counts(label.astype(np.int64), 2))


def identical(found: Contents) -> dict[str, int]:
    """Pairs of images with the same content, in all, and by where the two stand."""
    sizes = found.parts.sum(1)
    leaked = found.parts[:, 2][found.parts[:, 0] > 0]
    return _figures(
        total=_within(sizes),
        within=[_within(column) for column in found.parts.T],
        across_classes=int((found.labels[:, 0] * found.labels[:, 1]).sum()),
        test_images_in_train=int(leaked.sum()),
    ) | {"images": int(sizes[sizes > 1].sum())}


def identical_by_group(
    groups: np.ndarray, hashes: np.ndarray, part: np.ndarray, label: np.ndarray
) -> dict[str, dict[str, int]]:
    """What `identical` tells, of the images of each group (N,) that has such pairs."""
    rows = {str(name): np.flatnonzero(groups == name) for name in np.unique(groups)}
    found = {name: identical(contents(hashes[held], part[held], label[held])) for name, held in rows.items()}
    return {name: figures for name, figures in found.items() if figures["total"]}


def similar(found: Contents, pairs: np.ndarray) -> dict[str, int]:
    """The same of pairs (P, 2) of contents that are not the same but nearly."""
    one, other = (found.parts[column] for column in pairs.T)
    one_label, other_label = (found.labels[column] for column in pairs.T)
    in_train = np.zeros(len(found.first), dtype=bool)
    in_train[pairs[one[:, 0] > 0, 1]] = in_train[pairs[other[:, 0] > 0, 0]] = True
    return _figures(
        total=int((one.sum(1) * other.sum(1)).sum()),
        within=[int(column.sum()) for column in (one * other).T],
        across_classes=int((one_label * other_label[:, ::-1]).sum()),
        test_images_in_train=int(found.parts[in_train, 2].sum()),
    ) | {"images": int(found.parts[np.unique(pairs)].sum())}


def _within(counts: np.ndarray) -> int:
    return int((counts * (counts - 1) // 2).sum())


def _figures(*, total: int, within: list[int], across_classes: int, test_images_in_train: int) -> dict[str, int]:
    return {
        "total": total,
        **{f"within_{name}": count for name, count in zip(SPLITS, within, strict=True)},
        "across_splits": total - sum(within),
        "across_classes": across_classes,
        "test_images_in_train": test_images_in_train,
    }


def several(of: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which contents (C,), numbered by `of` (N,), hold more than one of the contents `other` (N,)."""
    held = np.unique(np.stack([of, other]), axis=1)[0]
    return np.bincount(held, minlength=of.max(initial=-1) + 1) > 1


def identical_pairs(found: Contents, among: np.ndarray | bool = True) -> Iterator[tuple[int, int]]:
    """Pairs of images with the same content; first those across classes, then across splits, then all others.

    `among`: which contents (C,) are looked at.
    """
    sizes = found.parts.sum(1)
    repeated = np.flatnonzero((sizes > 1) & among)
    mixed = (found.labels[repeated] > 0).sum(1), (found.parts[repeated] > 0).sum(1)
    order = np.argsort(found.of, kind="stable")
    starts = np.cumsum(sizes) - sizes
    for content in repeated[np.lexsort((-mixed[1], -mixed[0]))]:
        yield from combinations(order[starts[content] : starts[content] + sizes[content]].tolist(), 2)


def write_pairs(path: Path, names: list[str], part: np.ndarray, label: np.ndarray, kinds: dict[str, Iterator]) -> bool:
    """duplicates.csv, a row a pair; False where only the first WRITTEN of a kind are in it.

    kinds: of each kind of pair (row, row) or (row, row, distance, correlation).
    """
    whole = True
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        ends = ("first", "second")
        facts = [f"{name}_{fact}" for fact in ("split", "label") for name in ends]
        writer.writerow(("kind", *ends, *facts, "distance", "correlation"))
        for kind, pairs in kinds.items():
            for first, second, *more in islice(pairs, WRITTEN):
                splits = [SPLITS[part[row]] for row in (first, second)]
                labels = [CLASSES[label[row]] for row in (first, second)]
                writer.writerow((kind, names[first], names[second], *splits, *labels, *(more or ("", ""))))
            whole &= next(pairs, None) is None
    return whole
