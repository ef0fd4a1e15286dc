"""The sections of explore.html."""

from dataclasses import astuple

import numpy as np

from fakereal import CLASSES
from fakereal.exploring.charts import (
    correlation_chart,
    counts_chart,
    log_power,
    measure_chart,
    sheet,
    spectrum_chart,
)
from fakereal.exploring.findings import Found, by_class
from fakereal.exploring.measures import FENCE, correlations, spread
from fakereal.presentation.content import Block, Chart, Picture, Pictures, Section, Table, Text
from fakereal.presentation.thumbnails import enlarged
from fakereal.runtime.text import printable

LISTED = 200  # corrupt files; all are in explore.json


def sections(found: Found) -> list[Section]:
    """All sections that have something to say."""
    parts = (
        ("counts", "Classes and splits", _counts),
        ("samples", "Samples", _samples),
        ("sizes", "Sizes of the files", _sizes),
        ("colours", "Colours", _colours),
        ("means", "Mean images", _means),
        ("spectra", "Power spectra", _spectra),
        ("corrupt", "Corrupt files", _corrupt),
    )
    return [Section(slug, title, blocks) for slug, title, write in parts if (blocks := write(found))]


def _counts(found: Found) -> list[Block]:
    rows = [[name, *(f"{n:,}" for n in split.values()), f"{sum(split.values()):,}"]
            for name, split in found.counts.items()]  # fmt: skip
    said = "; ".join(f"{name}: {split['REAL']:,} REAL, {split['FAKE']:,} FAKE" for name, split in found.counts.items())
    chart = Chart("counts", "Images of each class in each split", said, counts_chart(found.counts))
    return [Table(("split", *CLASSES, "images"), rows), chart]


def _samples(found: Found) -> list[Block]:
    drawn = np.random.default_rng(found.seed)
    pictures = []
    for number, name in enumerate(CLASSES):
        rows = np.flatnonzero(found.label == number)
        rows = np.sort(drawn.choice(rows, min(found.examples, len(rows)), replace=False))
        if len(rows):
            caption = f"{name}: {len(rows)} images drawn by seed={found.seed}, as stored"
            pictures.append(Picture(sheet(found.data.images.gather(rows)), caption))
    return [Pictures("samples", pictures, wide=True)] if pictures else []


def _sizes(found: Found) -> list[Block]:
    rows: list[list[str]] = []
    charts: list[Block] = []
    for measure in found.measures:
        for name, values in by_class(measure, found.label).items():
            *quartiles, outliers = astuple(spread(values))
            rows.append(
                [f"{measure.title}, {measure.unit}", name, *(f"{v:,.4g}" for v in quartiles), f"{outliers:.2%}"]
            )
        if not measure.constant:
            title = f"{measure.title} by class"
            said = f"Shares of each class over the {measure.title.lower()} in {measure.unit}"
            charts.append(Chart(measure.name, title, said, measure_chart(measure, found.label)))
    if not rows:
        return []
    text = f"Outliers lie more than {FENCE:g} interquartile ranges beyond the quartiles (Tukey 1977)."
    if constant := [measure.title.lower() for measure in found.measures if measure.constant]:
        text += f" The same for all files: {', '.join(constant)}."
    header = ("measure", "class", "lowest", "lower quartile", "median", "upper quartile", "highest", "outliers")
    blocks: list[Block] = [Text(text), Table(header, rows), *charts]
    if len(charts) > 1:
        matrix = correlations(found.measures)
        said = "Pearson's correlation of each pair of " + ", ".join(measure.title for measure in found.measures)
        figure = correlation_chart(found.measures, matrix)
        blocks.append(Chart("correlations", "Correlation of the measures", said, figure))
    return blocks


def _colours(found: Found) -> list[Block]:
    text = (
        "Mean and standard deviation over all pixels of a class, from 0 to 1. A network may learn a difference "
        "between the classes here instead of what makes an image fake: fakereal.audit says how much it gives away."
    )
    rows = [[name, *(f"{value:.4f}" for value in (*mean.channel_mean, *mean.channel_std))]
            for name, mean in found.means.items()]  # fmt: skip
    header = ("class", *(f"{what} {channel}" for what in ("mean", "deviation") for channel in ("red", "green", "blue")))
    return [Text(text), Table(header, rows)]


def _means(found: Found) -> list[Block]:
    pictures = []
    for name, mean in found.means.items():
        pixels = enlarged((255 * mean.image).round().astype(np.uint8))
        pictures.append(Picture(pixels, f"{name}: the mean of {mean.count:,} images"))
    return [Pictures("mean_images", pictures)]


def _spectra(found: Found) -> list[Block]:
    text = (
        "Mean power of the grey images by frequency. Up-sampling leaves peaks away from the centre, or less power "
        "towards the edges than photographs have (Durall et al. 2020; Corvi et al. 2023)."
    )
    powers = [log_power(mean) for mean in found.means.values()]
    limits = min(power.min() for power in powers), max(power.max() for power in powers)
    return [Text(text)] + [
        Chart(f"spectrum_{name.lower()}", f"{name}: mean power spectrum",
              f"Power spectrum of the mean {name} image, both axes in cycles per image", spectrum_chart(mean, limits))
        for name, mean in found.means.items()
    ]  # fmt: skip


def _corrupt(found: Found) -> list[Block]:
    if not found.skipped:
        return []
    more = f"; the first {LISTED} of {len(found.skipped):,}" if len(found.skipped) > LISTED else ""
    rows = [[printable(name), printable(why)] for name, why in sorted(found.skipped)[:LISTED]]
    return [Text(f"Files that cannot be read and are left out above{more}:"), Table(("file", "why"), rows)]
