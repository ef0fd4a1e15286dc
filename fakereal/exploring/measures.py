"""What the files of a data set measure: sizes and shapes, their outliers, and how they go together."""

from dataclasses import dataclass

import numpy as np

FENCE = 1.5  # interquartile ranges beyond the quartiles (Tukey 1977)


@dataclass
class Measure:
    """A figure of each file; `values` float64 (N,), in `unit`."""

    name: str
    title: str
    unit: str
    values: np.ndarray

    @property
    def constant(self) -> bool:
        """Whether all files agree."""
        return bool((self.values == self.values[0]).all())


@dataclass
class Spread:
    """Quartiles, extremes, and the share of values beyond Tukey's fences."""

    lowest: float
    quarter: float
    median: float
    three_quarters: float
    highest: float
    outliers: float


def measures(table: np.ndarray) -> list[Measure]:
    """Of the rows of a store; empty for images that were never files."""
    if "width" not in table.dtype.names:
        return []
    width, height, size = (table[name].astype(np.float64) for name in ("width", "height", "bytes"))
    return [
        Measure("width", "Width", "pixels", width),
        Measure("height", "Height", "pixels", height),
        Measure("aspect", "Aspect ratio", "width / height", width / height),
        Measure("area", "Area", "megapixels", width * height / 1e6),
        Measure("bytes", "File size", "kB", size / 1e3),
    ]


def spread(values: np.ndarray) -> Spread:
    """Of at least one value."""
    lowest, quarter, median, upper, highest = np.quantile(values, (0, 0.25, 0.5, 0.75, 1)).tolist()
    reach = FENCE * (upper - quarter)
    outliers = (values < quarter - reach) | (values > upper + reach)
    return Spread(lowest, quarter, median, upper, highest, float(outliers.mean()))


def correlations(found: list[Measure]) -> np.ndarray:
    """Pearson's, (M, M) float64; not a number where one of the two is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        result = np.corrcoef([measure.values for measure in found])
    constant = [measure.constant for measure in found]
    result[constant] = np.nan  # what rounding leaves of a constant correlates with anything
    result[:, constant] = np.nan
    return result
