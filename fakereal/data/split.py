"""Carving a part out of a data set by content: stratified, seeded, blind to order and names."""

from hashlib import blake2b

import numpy as np

ENOUGH = 0.9  # of a share: a large group may end it sooner, while smaller ones behind it would fit


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
