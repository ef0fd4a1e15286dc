"""Mean and standard deviation of the colour channels of many images."""

import numpy as np

from fakereal.data.image_set import ImageSet

EXACT = 256  # bytes, and squares of bytes, of which float32 holds the sum to the last digit
BATCH_BYTES = 2**22  # of pixels that are summed at once


def channel_statistics(images: ImageSet, rows: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over all pixels of these rows (N,), in [0, 1].

    One pass over the pixels, in exact sums.
    """
    rows = images.as_they_lie(rows)
    size = images.gather(rows[:1]).shape[1]
    count = max(1, min(EXACT, BATCH_BYTES // (3 * size**2)))
    sums, squares = np.zeros(3), np.zeros(3)
    for start in range(0, len(rows), count):
        pixels = images.gather(rows[start : start + count])
        values = pixels.reshape(len(pixels), -1).astype(np.float32)
        sums += values.sum(0).reshape(-1, 3).sum(0, dtype=np.float64)
        values *= values
        squares += values.sum(0).reshape(-1, 3).sum(0, dtype=np.float64)
    number = len(rows) * size**2
    mean = sums / number / 255
    std = np.sqrt(np.maximum(squares / number / 255**2 - mean**2, 0))
    return mean.round(6).tolist(), std.clip(1e-3).round(6).tolist()
