"""Going once through the pixels of all images."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from fakereal.data.image_set import ImageSet
from fakereal.runtime.hardware import cores

Found = TypeVar("Found")
BATCH_BYTES = 2**23  # of pixels: their floats fit the caches


def one_pass(images: ImageSet, work: Callable[[np.ndarray, np.ndarray], Found]) -> Iterator[tuple[np.ndarray, Found]]:
    """Rows (B,) and what `work` makes of them and of their pixels uint8 (B, S, S, 3), of one batch after the other.

    A thread a core takes a batch each, and no more wait than there are threads. Batches come in the order in which they
    lie on the disk, always the same.
    """
    order = images.as_they_lie(np.arange(len(images.table)))
    size = images.gather(order[:1]).shape[1]
    batch = max(1, BATCH_BYTES // (3 * size * size))
    rows = [order[start : start + batch] for start in range(0, len(order), batch)]
    with ThreadPoolExecutor(cores()) as pool:
        for first in range(0, len(rows), cores()):
            together = rows[first : first + cores()]
            yield from zip(together, pool.map(lambda some: work(some, images.gather(some)), together), strict=True)
