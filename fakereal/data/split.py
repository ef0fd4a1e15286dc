"""Which images are train, val and test: as their folders say, else carved out by content.

Carving is stratified, seeded, and blind to order and names.
"""

from hashlib import blake2b

import numpy as np

from fakereal.data.folder_names import UNSPLIT

# Settings of a data module by which its images are dealt.
SPLIT = ("val_fraction", "test_fraction", "split_seed", "drop_duplicates")
ENOUGH = 0.9  # of a share: a large group may end it sooner, while smaller ones behind it would fit


def deal(table: np.ndarray, test_fraction: float, val_fraction: float, seed: int) -> dict[str, np.ndarray]:
    """The rows (n,) of train, val and test of an image set's table (N,) with split, label and hash.

    Splits that the folders name are kept to. Where there is no test, it is `test_fraction` of all that is free, and 1
    is whatever there is; where there is no val, it is `val_fraction` of train.
    """
    split = table["split"].copy()
    split[split == UNSPLIT] = 0
    for number, fraction in ((2, test_fraction), (1, val_fraction)):
        free = np.flatnonzero(split == 0) if fraction < 1 else np.arange(len(split))
        if not (split == number).any() and len(free) and fraction:
            split[free[_carved(table[free], fraction, seed)]] = number
    return {name: np.flatnonzero(split == number) for number, name in enumerate(("train", "val", "test"))}


def _carved(table: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    return np.ones(len(table), bool) if fraction == 1 else carve(table["label"], table["hash"], fraction, seed)


def fingerprints(table: np.ndarray) -> np.ndarray:
    """Int64 (N, 2) of images (N,): half of the hashes of a file, the same at any data.size, and of its pixels.

    Of a million images no two others have the same by chance.
    """
    return np.stack([table[name].astype("S8").view(np.int64) for name in ("hash", "pixel_hash")], axis=1)


def leaked(table: np.ndarray, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Masks over the rows of train and val: whose pixels also stand in test."""
    pixels = table["pixel_hash"]
    return {name: np.isin(pixels[rows[name]], pixels[rows["test"]]) for name in ("train", "val")}


def without_leaked(table: np.ndarray, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The rows without those images of train and val."""
    return rows | {name: rows[name][~mask] for name, mask in leaked(table, rows).items()}


def carve(labels: np.ndarray, hashes: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Mask (N,) of the part that is taken out: about `fraction` of each class, and at least one image of each.

    labels (N,) of 0 and 1; hashes (N,) of the files' bytes. Byte-identical images go together. Each image's
    place in the draw is a hash of (seed, its bytes): adding images to the set hardly moves the others.
    """
    unique, group = np.unique(hashes, return_inverse=True)
    key = seed.to_bytes(max(8, -(-seed.bit_length() // 8)), "little")
    draw = np.array([blake2b(image, key=key, digest_size=8).digest() for image in unique.tolist()], dtype="S8")
    order = np.argsort(draw, kind="stable")
    taken = np.zeros(len(unique), dtype=bool)
    for label in (0, 1):
        sizes = np.bincount(group[labels == label], minlength=len(unique))
        wanted = max(1, round(fraction * sizes.sum())) - sizes[taken].sum()
        candidates = order[(sizes[order] > 0) & ~taken[order]]
        total = np.cumsum(sizes[candidates])
        fits = total <= wanted
        if total[fits].max(initial=0) < ENOUGH * wanted:
            fits = _all_that_fit(sizes[candidates], wanted)
        if wanted > 0 and len(candidates) and not fits.any():
            fits[np.argmin(sizes[candidates])] = True  # each is larger than the whole share
        taken[candidates[fits]] = True
    return taken[group]


def _all_that_fit(sizes: np.ndarray, wanted: int) -> np.ndarray:
    """Mask (N,) of groups, each taken in turn where it still fits."""
    fits = np.zeros(len(sizes), dtype=bool)
    for number, size in enumerate(sizes):
        if size <= wanted:
            fits[number], wanted = True, wanted - size
    return fits
