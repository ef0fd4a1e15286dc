"""Near-duplicates: pairs of images whose perceptual hashes are close and whose pixels correlate."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from fakereal.data.image_set import ImageSet
from fakereal.data.pixel_statistics import cosines, to_grey

BITS = 64
BLOCK = 2**22  # hashes compared at a time
COMPARED = 256  # pairs whose pixels are compared at a time
DETAIL = 32  # cosine coefficients a side that the correlation is of
LIMIT = 2_000_000  # close pairs, of hundreds of millions of images or of a few that all look the same


@dataclass
class Near:
    """Pairs (P, 2) of rows with first < second, bits that differ (P,), correlation (P,) of the grey images.

    All pairs whose hashes are close; `found` (P,) bool are those that correlate. `complete`: not stopped at LIMIT.
    """

    pairs: np.ndarray
    distance: np.ndarray
    correlation: np.ndarray
    found: np.ndarray
    complete: bool


def near_duplicates(
    images: ImageSet,
    rows: np.ndarray,
    hashes: np.ndarray,
    *,
    distance: int,
    correlation: float,
    advance: Callable[[float], None] = lambda share: None,
) -> Near:
    """All pairs among `rows` (M,) with `hashes` (M,) that differ in at most `distance` bits.

    `advance` is told each share of the work that is done.
    """
    close, count, complete = [], 0, True
    for pairs in close_pairs(hashes, distance, advance):
        close.append(pairs)
        count += len(pairs)
        if count > LIMIT:
            complete = False
            break
    places = np.concatenate([np.empty((0, 2), dtype=np.int64), *close])[:LIMIT]
    places = places[np.lexsort(places.T[::-1])]
    pairs = rows[places]
    some = (pairs[start : start + COMPARED] for start in range(0, len(pairs), COMPARED))
    correlations = np.concatenate([np.empty(0), *(correlate(images, part) for part in some)])
    apart = np.bitwise_count(hashes[places[:, 0]] ^ hashes[places[:, 1]]).astype(int)
    return Near(pairs, apart, correlations, correlations >= correlation, complete)


def close_pairs(
    hashes: np.ndarray, distance: int, advance: Callable[[float], None] = lambda share: None
) -> Iterator[np.ndarray]:
    """All pairs (P, 2) of indices, first < second, each once, whose uint64 hashes differ in at most `distance` bits.

    Exact: of distance + 1 bands of bits at least one agrees (the pigeonhole principle), so that only hashes that
    share a band are compared; memory is bounded by BLOCK.
    """
    bands = _bands(hashes, distance + 1)
    for number, band in enumerate(bands):
        order = np.argsort(band, kind="stable")
        edges = np.flatnonzero(np.diff(band[order])) + 1
        for bucket in np.split(order, edges):
            for some, others in _blocks(bucket):
                apart = np.bitwise_count(hashes[some][:, None] ^ hashes[others])
                first, second = np.nonzero(apart <= distance)
                first, second = some[first], others[second]  # the order is stable: indices of a bucket ascend
                new = first < second
                for earlier in bands[:number]:  # there the pair was found already
                    new &= earlier[first] != earlier[second]
                yield np.stack([first[new], second[new]], 1)
        advance(1 / len(bands))


def _bands(hashes: np.ndarray, count: int) -> list[np.ndarray]:
    edges = np.linspace(0, BITS, count + 1).astype(np.uint64)
    widths = np.diff(edges)
    masks = [np.uint64(2 ** int(width) - 1) for width in widths]
    return [(hashes >> edge) & mask for edge, mask in zip(edges[:-1], masks, strict=True)]


def _blocks(bucket: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Parts of a bucket, each with all that follows its first member."""
    step = max(1, BLOCK // max(1, len(bucket)))
    for start in range(0, len(bucket) - 1, step):
        yield bucket[start : start + step], bucket[start:]


def correlate(images: ImageSet, pairs: np.ndarray) -> np.ndarray:
    """Pearson's correlation (P,) of the grey images of each pair, smoothed to 32 x 32 where they are larger."""
    rows, place = np.unique(pairs, return_inverse=True)  # an image may be in many pairs
    first, second = _detail(images.gather(rows))[place.reshape(pairs.shape)].transpose(1, 0, 2)
    return (first * second).sum(1)


def _detail(pixels: np.ndarray) -> np.ndarray:
    """Vectors (B, K) of length 1, of all cosine coefficients up to DETAIL but the mean: by Parseval, the pixels."""
    grey = to_grey(pixels)
    vectors = cosines(grey, min(DETAIL, grey.shape[-1])).reshape(len(grey), -1)[:, 1:].astype(np.float64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
