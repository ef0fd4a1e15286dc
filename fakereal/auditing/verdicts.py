"""What an audit says in words: a line for each thing looked at, how bad it is, and what to do."""

import numpy as np

from fakereal import CLASSES
from fakereal.auditing.findings import AuditFindings, divided
from fakereal.auditing.shortcut_verdicts import shortcut_verdicts
from fakereal.data.folder_names import SPLITS
from fakereal.presentation.content import Verdict

MANY = 0.01  # share of test with near-duplicates in train, above which a note becomes a warning
EVEN, LOPSIDED = (0.4, 0.6), (0.2, 0.8)  # share of FAKE, outside of which there is a note, and a warning


def verdicts(found: AuditFindings) -> list[Verdict]:
    """A line for each thing looked at, in the order of the page."""
    return [
        _exact(found),
        *_leaked(found),
        *_contradictions(found),
        *_near(found),
        *_balance(found),
        _corrupt(found),
        *shortcut_verdicts(found),
    ]


def _exact(found: AuditFindings) -> Verdict:
    exact, pixels = found.counts["exact"], found.counts["pixels"]
    if not pixels["total"]:
        return Verdict("ok", "Exact duplicates", "No two images have the same bytes or the same pixels.")
    places = [f"{exact[f'within_{name}']:,} within {name}" for name in SPLITS if exact[f"within_{name}"]]
    places += [f"{exact['across_splits']:,} across splits"] if exact["across_splits"] else []
    text = f"{_count(exact['total'], 'pair')} of byte-identical images" + (f": {', '.join(places)}." if places else ".")
    if more := pixels["total"] - exact["total"]:
        size = f"{found.data.size} x {found.data.size}"
        text += f" {_count(more, 'pair')} of the same pixels at {size} but other bytes."
    if found.by_cifar_class:
        named = ", ".join(f"{name} {figures['total']:,}" for name, figures in found.by_cifar_class.items())
        text += f" By CIFAR class: {named}."
    return Verdict("note", "Exact duplicates", text, "They count twice in training and in the figures.")


def _leaked(found: AuditFindings) -> list[Verdict]:
    tested = int((found.part == 2).sum())
    if not tested or not (found.part == 0).any():
        split = "test" if not tested else "train"
        return [Verdict("note", "Leaks", f"There is no {split} split, so leaks across splits cannot be detected.")]
    count, exact = (found.counts[kind]["test_images_in_train"] for kind in ("pixels", "exact"))
    if not count and (across := found.counts["pixels"]["across_splits"]):
        text = f"No test image is also in train, but there are {_count(across, 'pair')} of equal images across splits."
        return [Verdict("note", "Leaks", text, "data.drop_duplicates=true drops val images that are also in test.")]
    if not count:
        return [Verdict("ok", "Leaks", f"None of the {tested:,} test images is also in train.")]
    leaked = (found.part == 2) & (found.same.parts[found.same.of, 0] > 0)
    counts = np.bincount(found.label[leaked], minlength=len(CLASSES))
    split = " and ".join(f"{n:,} {cls}" for cls, n in zip(CLASSES, counts, strict=True) if n)
    text = f"{count:,} of {_count(tested, 'test image')} ({count / tested:.1%}; {split}) are also in train"
    text += ", byte for byte." if exact == count else f", {exact:,} of them byte for byte."
    remedy = (
        "Train with data.drop_duplicates=true. For a network trained with them, also report the test figure without "
        "these images (test/without_leaked of fakereal.test)."
    )
    return [Verdict("warning", "Leaks", text, remedy)]


def _contradictions(found: AuditFindings) -> list[Verdict]:
    if not (count := found.counts["pixels"]["across_classes"]):
        return []
    text = f"{_count(count, 'pair')} of images with the same pixels, one labelled REAL and the other FAKE."
    return [Verdict("warning", "Contradicting labels", text, "Find out which label is right; remove the other image.")]


def _near(found: AuditFindings) -> list[Verdict]:
    near, title = found.counts["near"], "Near-duplicates"
    flat = f" {int(found.pixels.flat.sum()):,} images are too uniform to compare." if found.pixels.flat.any() else ""
    if not near["total"]:
        return [Verdict("ok", title, f"No two different images look nearly the same.{flat}")]
    tested, leaked = int((found.part == 2).sum()), near["test_images_in_train"]
    least = "" if found.near.complete else "At least "
    text = f"{least}{_count(near['total'], 'pair')} of different images that look nearly the same, "
    text += f"{near['across_splits']:,} across splits and {near['across_classes']:,} across classes.{flat}"
    if leaked:
        text += f" {leaked:,} of {_count(tested, 'test image')} ({leaked / tested:.1%}) resemble one in train."
    remedy = "data.drop_duplicates=true does not remove these: look at the pairs in duplicates.csv."
    return [Verdict("warning" if leaked > MANY * tested else "note", title, text, remedy)]


def _balance(found: AuditFindings) -> list[Verdict]:
    splits = {name: split.labels for name, split in found.data.splits.items() if len(split)}
    absent = [(name, cls) for name, held in splits.items() for label, cls in enumerate(CLASSES) if label not in held]
    if absent:
        text = f"There is no {', no '.join(f'{cls} image in {name}' for name, cls in absent)}."
        return [Verdict("warning", "Class balance", text, "Training and test need both classes.")]
    shares = {name: float(held.mean()) for name, held in splits.items()}
    text = f"FAKE is {', '.join(f'{share:.1%} of {name}' for name, share in shares.items())}."
    worst = max(shares.values(), key=lambda share: abs(share - 0.5))
    if EVEN[0] <= worst <= EVEN[1]:
        return [Verdict("ok", "Class balance", text)]
    level = "note" if LOPSIDED[0] <= worst <= LOPSIDED[1] else "warning"
    chance = f"Always answering with the more common class is right {max(worst, 1 - worst):.1%} of the time"
    remedy = f"{chance}: judge by AUROC, and try model.pos_weight=balanced."
    return [Verdict(level, "Class balance", text, remedy)]


def _corrupt(found: AuditFindings) -> Verdict:
    total = len(found.part) + len(found.skipped)
    if not found.skipped:
        return Verdict("ok", "Corrupt files", f"All {total:,} images can be read.")
    text = f"{len(found.skipped):,} of {total:,} files cannot be read; they were left out."
    remedy = "Repair or remove them; training refuses them unless data.on_error=skip."
    return Verdict("warning", "Corrupt files", text, remedy)


def headline(found: AuditFindings, lines: list[Verdict]) -> str:
    """Counts of warnings and notes over the whole."""
    images = f"{len(found.part):,} images, test split: {divided(found.data)}"
    counts = {level: sum(line.level == level for line in lines) for level in ("warning", "note")}
    if not any(counts.values()):
        return f"Nothing wrong was found ({images})."
    words = [_count(count, level) for level, count in counts.items() if count]
    return f"{' and '.join(words)} ({images})."


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
