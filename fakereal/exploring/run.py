"""One exploration, from a config to explore.html, explore.md, explore.json and figures."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.table import Table

from fakereal import CLASSES
from fakereal.config.schema import check
from fakereal.exploring.findings import Found, by_class, find
from fakereal.exploring.measures import correlations, spread
from fakereal.exploring.sections import sections
from fakereal.presentation.content import Text
from fakereal.presentation.page import write_pages
from fakereal.presentation.terminal import result_console
from fakereal.runtime.environment import prepare
from fakereal.runtime.files import write_json


def explore(cfg: DictConfig) -> dict[str, Any]:
    """Looks at `cfg.data`; leaves all files in Hydra's directory and returns what explore.json holds."""
    check(cfg)
    out = Path(HydraConfig.get().runtime.output_dir)
    prepare(cfg)
    found = find(cfg)
    title = f"{type(found.data).__name__} at a glance"
    write_pages(out, title, headline(found), [Text(source(found))], sections(found), "explore")
    figures = as_json(found)
    write_json(out / "explore.json", figures)
    _print(found, out / "explore.html")
    return figures


def headline(found: Found) -> str:
    """How many images of which classes and sizes."""
    totals = [sum(split[name] for split in found.counts.values()) for name in CLASSES]
    text = f"{sum(totals):,} images: {totals[0]:,} REAL and {totals[1]:,} FAKE"
    if found.measures:
        (low, high), (least, most) = ((int(m.values.min()), int(m.values.max())) for m in found.measures[:2])
        if (low, least) == (high, most):
            text += f", all of {low} x {least} pixels"
        else:
            text += f", {low:,} to {high:,} pixels wide and {least:,} to {most:,} high"
    return text + "."


def source(found: Found) -> str:
    """Where the images come from and how they are stored."""
    data = found.data
    root = ", ".join(map(str, data.settings.get("root") or [type(data).__name__]))
    return (
        f"Images of {root}, {data.size} x {data.size} as stored ({data.resize.aspect}, {data.resize.filter}); digest "
        f"{data.images.digest[:16]}. Splits are those fakereal.train would use. Samples, colours and spectra are "
        "of the images as stored; sizes are those of the files."
    )


def as_json(found: Found) -> dict[str, Any]:
    """All figures, unrounded, by name."""
    matrix = correlations(found.measures) if found.measures else np.empty((0, 0))
    names = [measure.name for measure in found.measures]
    return {
        "data": found.data.describe(),
        "counts": found.counts,
        "corrupt": {"files": len(found.skipped), "reasons": dict(sorted(found.skipped))},
        "measures": {
            measure.name: {"unit": measure.unit}
            | {cls: asdict(spread(values)) for cls, values in by_class(measure, found.label).items()}
            for measure in found.measures
        },
        "correlation": {
            first: {second: None if np.isnan(value) else value for second, value in zip(names, row, strict=True)}
            for first, row in zip(names, matrix.tolist(), strict=True)
        },
        "channels": {
            name: {"mean": mean.channel_mean.tolist(), "std": mean.channel_std.tolist()}
            for name, mean in found.means.items()
        },
    }


def _print(found: Found, page: Path) -> None:
    console = result_console()
    console.print(headline(found), style="bold")
    table = Table("split", *CLASSES)
    for name, counts in found.counts.items():
        table.add_row(name, *(f"{count:,}" for count in counts.values()))
    console.print(table)
    colours = Table("class", "mean of red, green, blue", "standard deviation")
    for name, mean in found.means.items():
        colours.add_row(name, *(" ".join(f"{v:.4f}" for v in row) for row in (mean.channel_mean, mean.channel_std)))
    console.print(colours)
    if found.skipped:
        console.print(f"Files that cannot be read and are left out: {len(found.skipped):,}", style="bold yellow")
    console.print(f"Page: {page}")
