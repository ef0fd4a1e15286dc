"""The sections of audit.html about duplicates."""

from itertools import islice

import numpy as np

from fakereal.auditing.charts import side_by_side
from fakereal.auditing.duplicates import identical_pairs
from fakereal.auditing.findings import AuditFindings
from fakereal.data.folder_names import SPLITS
from fakereal.presentation.content import Block, Picture, Pictures, Table, Text
from fakereal.runtime.text import printable

PAIRS = {
    "total": "pairs",
    **{f"within_{name}": f"within {name}" for name in SPLITS},
    "across_splits": "across splits",
    "across_classes": "across classes",
    "test_images_in_train": "test images with one in train",
    "images": "images that have one",
}


def _counts(found: AuditFindings, name: str, counts: dict[str, int]) -> list[str]:
    own_val = (found.part == 1).any()
    return [name, *("" if key == "within_val" and not own_val else f"{counts[key]:,}" for key in PAIRS)]


def exact_blocks(found: AuditFindings) -> list[Block]:
    """Counts of identical images, by CIFAR class where the names say it, and examples."""
    rows = [_counts(found, "same bytes", found.counts["exact"]), _counts(found, "same pixels", found.counts["pixels"])]
    text = "Figures are pairs: three equal images make three. Validation images carved from train count as train."
    blocks: list[Block] = [Text(text), Table(("", *PAIRS.values()), rows)]
    if found.by_cifar_class:
        rows = [_counts(found, name, counts) for name, counts in found.by_cifar_class.items()]
        blocks.append(Text("Same bytes, by the CIFAR class in the file names; the other classes have none:"))
        blocks.append(Table(("class", *PAIRS.values()), rows))
    if pairs := list(islice(identical_pairs(found.same), found.cfg.examples)):
        blocks.append(_pictures(found, "same", pairs, ["the same pixels"] * len(pairs)))
    return blocks


def near_blocks(found: AuditFindings) -> list[Block]:
    """How near-duplicates are told, how rarely that errs, their counts, and examples."""
    near, wanted = found.near, found.cfg.near
    kinds = found.label[near.pairs].sum(1)  # 0: both REAL, 1: one of each, 2: both FAKE
    rows = []
    for distance in range(wanted.distance + 1):
        at = near.distance == distance
        if at.any():
            cells = [at & held & (kinds == kind) for held in (True, near.found) for kind in range(3)]
            rows.append([str(distance), *(f"{int(cell.sum()):,}" for cell in cells)])
    names = ("REAL-REAL", "REAL-FAKE", "FAKE-FAKE")
    header = ("bits that differ", *(f"{name}{what}" for what in (", close", ", found") for name in names))
    blocks: list[Block] = [Text(_how_near(found)), Text(_false_alarms(found))]
    if not rows:
        return blocks
    blocks.append(Table(header, rows))
    blocks.append(Text("The same by split; an image repeated several times makes as many pairs:"))
    blocks.append(Table(("", *PAIRS.values()), [_counts(found, "nearly the same", found.counts["near"])]))
    order = np.flatnonzero(near.found)
    if len(order):
        apart = found.part[near.pairs[order]]
        across = (apart[:, 0] != apart[:, 1]).astype(int) + 2 * (kinds[order] == 1)
        order = order[np.argsort(-across, kind="stable")]
        order = order[np.linspace(0, len(order) - 1, min(found.cfg.examples, len(order))).astype(int)]
        facts = [f"{near.distance[i]} bits, correlation {near.correlation[i]:.3f}" for i in order]
        blocks.append(_pictures(found, "near", [tuple(pair) for pair in near.pairs[order].tolist()], facts))
    return blocks


def _how_near(found: AuditFindings) -> str:
    wanted, whole = found.cfg.near, found.near.complete
    text = (
        f"Close: at most {wanted.distance} of the 64 bits of the perceptual hashes (pHash, Zauner 2010) differ. Found: "
        f"close, and the greyscale images correlate by {wanted.correlation:g} or more. "
    )
    even = len(found.same.first) - len(_compared(found))
    rest = f", except those of {even:,} images too uniform to have a hash" if even else ""
    text += f"All pairs of different images were compared{rest}: the search is exact."
    return text if whole else f"{text[: text.index('All pairs')]}The search was stopped: too many images look alike."


def _compared(found: AuditFindings) -> np.ndarray:
    """The rows of the images that the search compared: one of each content, without those too even."""
    return found.same.first[~found.pixels.flat[found.same.first]]


def _false_alarms(found: AuditFindings) -> str:
    """How rarely two images that have nothing to do with each other would be taken for near-duplicates."""
    from scipy.stats import beta

    if not found.near.complete:
        return "The search was stopped, so the rate of false alarms is not known."
    real, fake = (int((found.label[_compared(found)] == label).sum()) for label in (0, 1))
    if not real or not fake:
        return "There is only one class, so the rate of false alarms is not known."
    mixed = found.label[found.near.pairs].sum(1) == 1
    close, alarms = int(mixed.sum()), int((mixed & found.near.found).sum())
    pairs = f"Of {real * fake:,} pairs of a real and a fake image, normally unrelated, {close:,} are close "
    most = beta.ppf(0.95, alarms + 1, real * fake - alarms) if alarms < real * fake else 1.0  # Clopper & Pearson 1934
    return (
        f"{pairs}and {alarms:,} were found: false alarms are at most {most:.1g} of all such pairs (95% bound, if "
        "the pairs were independent). If the fakes were made from these "
        "real images, pairs across the classes are not false alarms but are to be expected."
    )


def _pictures(found: AuditFindings, name: str, pairs: list[tuple[int, int]], facts: list[str]) -> Pictures:
    pictures = []
    for (first, second), fact in zip(pairs, facts, strict=True):
        one, other = found.data.images.gather(np.array([first, second]))
        names = [printable(found.data.images.names[row]) for row in (first, second)]
        pictures.append(Picture(side_by_side(one, other), f"{names[0]} and {names[1]}: {fact}"))
    return Pictures(name, pictures)
