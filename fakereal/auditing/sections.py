"""The sections of audit.html, below the verdicts."""

import numpy as np

from fakereal import CLASSES
from fakereal.auditing.charts import colours_chart, shortcuts_chart, spectra_chart
from fakereal.auditing.duplicate_sections import exact_blocks, near_blocks
from fakereal.auditing.features import Kinds, file_kinds
from fakereal.auditing.findings import FEWEST, AuditFindings
from fakereal.auditing.shortcuts import Shortcut
from fakereal.auditing.verdicts import MANY
from fakereal.presentation.content import Block, Chart, Section, Table, Text, four, percent, with_interval
from fakereal.runtime.text import printable

LISTED = 200  # corrupt files; all are in audit.json
COMMONEST = 6  # kinds of a fact of the file that are tabled


def sections(found: AuditFindings) -> list[Section]:
    """All sections that have something to say."""
    parts = (
        ("data", "What was looked at", _data),
        ("duplicates", "Exact duplicates", exact_blocks),
        ("near", "Near-duplicates", near_blocks),
        ("shortcuts", "Shortcuts", _shortcuts),
        ("baselines", "Baselines", _baselines),
        ("pixels", "Colours and spectra of the classes", _pixels),
        ("corrupt", "Corrupt files", _corrupt),
        ("reading", "How to read this", _reading),
    )
    return [Section(slug, title, blocks) for slug, title, write in parts if (blocks := write(found))]


def _data(found: AuditFindings) -> list[Block]:
    rows = []
    for name, split in found.data.splits.items():
        counts = [int((split.labels == label).sum()) for label in range(len(CLASSES))]
        rows.append([name, *(f"{count:,}" for count in counts), f"{sum(counts):,}"])
    settings = found.data.settings
    root = settings.get("root")
    images = f"Images of {', '.join(map(printable, root))}" if root else f"Images of {type(found.data).__name__}"
    resize = found.data.resize
    text = f"{images}, {resize.size} x {resize.size} as stored ({resize.aspect}, {resize.filter}); "
    text += f"digest {found.data.images.digest[:16]}. Splits are those fakereal.train would use."
    return [Text(text), Table(("split", *CLASSES, "images"), rows)]


def _shortcuts(found: AuditFindings) -> list[Block]:
    if not found.shortcuts:
        return []
    fitted, measured = (found.data.splits[name] for name in ("train", found.measured_on))
    carved = " (carved from train)" if found.measured_on == "val" and not (found.part == 1).any() else ""
    text = (
        "How well features other than content predict the label: logistic regressions, fitted on "
        f"{len(fitted):,} train images and measured on {len(measured):,} images of {found.measured_on}{carved}."
    )
    rows = [[s.title, *map(four, (s.auroc, s.low, s.high)), _called(found, s)] for s in found.shortcuts]
    chart = shortcuts_chart(found.shortcuts, found.cfg.shortcut)
    said = "; ".join(f"{s.title} {s.auroc:.3f}" for s in found.shortcuts)
    blocks: list[Block] = [Text(text), Table(("features", "AUROC", "low", "high", ""), rows)]
    blocks.append(Chart("shortcuts", "AUROC of features other than content, with 95% intervals", said, chart))
    clear = {s.name for s in found.shortcuts if s.low > found.cfg.shortcut}
    if any(s.of_file for s in found.shortcuts):
        kinds = {name: kind for name, kind in file_kinds(found.data.images).items() if name in clear}
        for name, kind in kinds.items():
            title = next(s.title for s in found.shortcuts if s.name == name)
            blocks += [Text(f"The commonest kinds of {title}, as shares of each class:"), _kinds(found, kind)]
    return blocks


def _baselines(found: AuditFindings) -> list[Block]:
    if not found.baselines:
        return []
    splits = [split for split in ("val", "test") if f"{split}/accuracy" in next(iter(found.baselines.values()))]
    text = (
        "The same regressions as classifiers, FAKE from even odds up: what a network has to beat. fakereal.report "
        "shows them beside the networks. test=true measures them on the test split too, which counts as a look at it."
    )
    rows = []
    for said in found.baselines.values():
        cells = [said["title"]]
        for split in splits:
            for name, form in (("accuracy", percent), ("auroc", four)):
                cells.append(with_interval([said[f"{split}/{name}{end}"] for end in ("", "_low", "_high")], form))
        rows.append(cells)
    names = {"val": "validation", "test": "test"}
    header = ["features", *(f"{names[split]} {figure}" for split in splits for figure in ("accuracy", "AUROC"))]
    return [Text(text), Table(header, rows)]


def _called(found: AuditFindings, shortcut: Shortcut) -> str:
    if shortcut.constant:
        return "the same for all images"
    return f"above {found.cfg.shortcut:g}" if shortcut.low > found.cfg.shortcut else ""


def _kinds(found: AuditFindings, kind: Kinds) -> Table:
    counts = np.stack([np.bincount(kind.codes[found.label == cls], minlength=len(kind.names)) for cls in (0, 1)])
    shares = counts / counts.sum(1, keepdims=True)
    rows = []
    for code in np.argsort(-shares.max(0), kind="stable")[:COMMONEST]:
        rows.append([kind.names[code] or "none", *(f"{share:.1%}" for share in shares[:, code])])
    return Table(("", *CLASSES), rows)


def _pixels(found: AuditFindings) -> list[Block]:
    mean, label = found.pixels.mean, found.label
    colours = []
    for cls, name in enumerate(CLASSES):
        if (label == cls).any():
            colours.append(f"{name} {' '.join(f'{value:.3f}' for value in mean[label == cls].mean(0))}")
    return [
        Chart("colours", "Mean red, green and blue", "; ".join(colours), colours_chart(mean, label)),
        Chart(
            "spectra",
            "Mean power spectrum, with one standard deviation over the images",
            "Log power by cycles per image, for each class",
            spectra_chart(found.pixels.spectrum, label),
        ),
    ]


def _corrupt(found: AuditFindings) -> list[Block]:
    if not found.skipped:
        return []
    rows = [[printable(name), printable(why)] for name, why in sorted(found.skipped)[:LISTED]]
    more = f" The first {LISTED} are listed; audit.json has all of them." if len(found.skipped) > LISTED else ""
    return [Text(f"{len(found.skipped):,} files were left out.{more}"), Table(("file", "why"), rows)]


def _reading(found: AuditFindings) -> list[Block]:
    cfg = found.cfg
    return [
        Text(
            "AUROC is the chance that a fake image scores above a real one: 0.5 is guessing. Its intervals are 95% "
            "(Newcombe 2006). A property of the file is a shortcut if its interval lies wholly above "
            f"{cfg.shortcut:g} (key shortcut). At least {FEWEST} images of each class are needed."
        ),
        Text(
            "File size enters as its logarithm and in bins of a sixteenth of the images, dimensions and the rest by "
            "their most common kinds, so that a shortcut need not rise with the value. Pixels are those of the stored "
            "images: resized, if the files have another size."
        ),
        Text(
            "Mean colour and the power spectrum (azimuthally averaged log power of the grey image, Durall et al. 2020) "
            "are properties of the images, not defects of the files; a network that does no better has learned little."
        ),
        Text(
            "Near-duplicates are pairs with different stored pixels (keys near.distance and near.correlation); "
            f"crops, mirror images and rotations are not found. They are a warning if more than {MANY:.0%} of the test "
            "images have one in train."
        ),
    ]
