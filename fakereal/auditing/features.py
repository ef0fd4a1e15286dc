"""What is no content but may tell real from fake: features of files and of coarse pixel statistics, by name."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fakereal.auditing.pixels import Pixels
from fakereal.data.image_set import ImageSet
from fakereal.data.store.decode import METADATA

# Of the file alone, and of its pixels.
FILE = {
    "file_size": "file size",
    "format": "format and colour mode",
    "dimensions": "width and height",
    "quantization": "JPEG quantisation tables",
    "subsampling": "JPEG chroma subsampling",
    "metadata": "metadata (EXIF, ICC, XMP, text, ...)",
    "file": "all properties of the file together",
}
PIXEL = {
    "mean_colour": "mean colour",
    "colour_statistics": "mean and spread of each colour",
    "power_spectrum": "power spectrum",
}
SUBSAMPLING = {-1: "none", 0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
CATEGORIES = 64  # the commonest of a kind that become a feature each
BINS = 16  # of file sizes


@dataclass
class Kinds:
    """A category for each of N images: codes (N,) index `names`."""

    codes: np.ndarray
    names: list[str]


def file_features(images: ImageSet) -> dict[str, np.ndarray]:
    """Features (N, F) by the names in FILE; empty where the images are generated and have no files."""
    if "bytes" not in images.table.dtype.names:
        return {}
    table, kinds = images.table, file_kinds(images)
    width, height = (table[side].astype(np.float64) for side in ("width", "height"))
    multiples = [side % step == 0 for side in (width, height) for step in (8, 64)]  # as networks give them
    tables = [np.log(np.mean(both)) for both in images.meta["quantization"]]
    strength = np.array([*tables, 0.0])[table["quantization"]]  # the last for -1: no JPEG
    more = {
        "file_size": [np.log(np.maximum(table["bytes"], 1))],
        "dimensions": [np.log(width), np.log(height), np.log(width / height), *multiples],
        "quantization": [strength],
        "metadata": [(table["metadata"] >> bit) & 1 for bit in range(len(METADATA))],
    }
    features = {name: np.column_stack([_indicators(kind), *more.get(name, ())]) for name, kind in kinds.items()}
    return features | {"file": np.concatenate(list(features.values()), axis=1)}


def pixel_features(pixels: Pixels) -> dict[str, np.ndarray]:
    """Features (N, F) by the names in PIXEL."""
    return {
        "mean_colour": pixels.mean,
        "colour_statistics": np.concatenate([pixels.mean, pixels.std], axis=1),
        "power_spectrum": pixels.spectrum,
    }


def file_kinds(images: ImageSet) -> dict[str, Kinds]:
    """What the files are, in words, by the names in FILE."""
    table = images.table
    formats, sides = _pairs(table, "format", "mode"), _pairs(table, "width", "height")
    tables, table_codes = np.unique(table["quantization"], return_inverse=True)
    sampling, sampling_codes = np.unique(table["subsampling"], return_inverse=True)
    held, held_codes = np.unique(table["metadata"], return_inverse=True)
    return {
        "file_size": _size_kinds(table["bytes"]),
        "format": Kinds(formats.codes, [f"{kind.decode()} {mode.decode()}" for kind, mode in formats.names]),
        "dimensions": Kinds(sides.codes, [f"{width} x {height}" for width, height in sides.names]),
        "quantization": Kinds(table_codes, [_tables_named(images, number) for number in tables]),
        "subsampling": Kinds(sampling_codes, [SUBSAMPLING.get(code, str(code)) for code in sampling.tolist()]),
        "metadata": Kinds(held_codes, [metadata_named(bits) for bits in held.tolist()]),
    }


def metadata_named(bits: int) -> str:
    """The names of decode.METADATA for the bits of a row of the store."""
    return ", ".join(name for bit, name in enumerate(METADATA) if bits >> bit & 1) or "none"


def _tables_named(images: ImageSet, number: int) -> str:
    if number < 0:
        return "none"
    coarseness = [f"{np.mean(values):.1f}" for values in images.meta["quantization"][number]]
    return f"tables {number + 1}, mean steps {' and '.join(coarseness)}"


def _size_kinds(sizes: np.ndarray) -> Kinds:
    edges = np.unique(np.quantile(sizes, np.linspace(0, 1, BINS + 1)[1:-1]))
    codes = np.searchsorted(edges, sizes, side="right")
    ends = [int(sizes.min()), *edges.astype(int).tolist(), int(sizes.max())]
    return Kinds(codes, [f"{low:,} to {high:,} bytes" for low, high in pairwise(ends)])


def _pairs(table: np.ndarray, first: str, second: str) -> Kinds:
    """Each combination of two columns; the names are pairs of values."""
    ones, one_codes = np.unique(table[first], return_inverse=True)
    others, other_codes = np.unique(table[second], return_inverse=True)
    held, codes = np.unique(one_codes * len(others) + other_codes, return_inverse=True)
    return Kinds(codes, [(ones[code // len(others)], others[code % len(others)]) for code in held])


def _indicators(kind: Kinds) -> np.ndarray:
    """Columns (N, up to CATEGORIES) of 0 and 1, one for each of the commonest categories."""
    counts = np.bincount(kind.codes, minlength=len(kind.names))
    common = np.argsort(-counts, kind="stable")[:CATEGORIES]
    return (kind.codes[:, None] == common).astype(np.float32)
