"""A test's figures on the terminal."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fakereal import CLASSES
from fakereal.evaluation.evaluation import PREVALENCES
from fakereal.evaluation.groups import GROUPS_SHOWN, worst
from fakereal.presentation.content import four, known_interval, percent
from fakereal.presentation.terminal import result_console
from fakereal.runtime.text import printable
from fakereal.testing.result import Result

FEWEST = 10  # images of a class to resample from
# Of each group, in the order of the table's columns.
GROUP_FIGURES = {
    "recall_real": percent,
    "recall_fake": percent,
    "balanced_accuracy": percent,
    "auroc": four,
    "balanced_average_precision": four,
}


def print_result(result: Result, whose: str) -> None:
    """All that a reader wants of a test; `whose`: where the threshold is from."""
    console = result_console()
    console.print(_summary(result, whose))
    _warn_of_few(result, console)
    console.print(_classes(result))
    console.print(_confusion(result))
    if result.operating_points:
        console.print(_operating_points(result))
    if result.groups:
        console.print(_groups(result))
    if result.ensemble:
        console.print(_members(result))


def print_look(look: int, data_digest: str, out: Path) -> None:
    """Which look at these images it was, and where all is."""
    console = result_console()
    console.print(f"Look {look} at this test split (counted in the ledger by data {data_digest[:12]})")
    console.print(f"Results: {out}")


def _summary(result: Result, whose: str) -> Table:
    metrics = result.metrics
    table = Table(title="Test, with 95% intervals", title_justify="left", show_header=False, box=None)
    count = metrics["test/images"]
    table.add_row("accuracy", f"{result.figure('test/accuracy')}, {count:,} images")
    if seen := metrics.get("test/seen_in_training"):
        table.add_row("trained or validated on", f"{seen:,} of these images")
    if "test/without_leaked/accuracy" in metrics:
        rest = metrics["test/without_leaked/images"]
        said = f"{rest:,} images: {count - rest:,} are also in train or val"
        table.add_row("without leaked images", f"{result.figure('test/without_leaked/accuracy')}, {said}")
    table.add_row("AUROC", result.figure("test/auroc", four))
    table.add_row("average precision", result.figure("test/average_precision", four))
    table.add_row("log-loss", result.figure("test/loss", four))
    table.add_row("calibration error", result.figure("test/ece", four))
    table.add_row("Brier score", result.figure("test/brier", four))
    table.add_row("FPR at 95% TPR", result.figure("test/fpr_at_95_tpr"))
    for prevalence in PREVALENCES:
        name = f"test/precision_fake_at_{prevalence:g}"
        table.add_row(f"precision if {prevalence:.0%} are FAKE", result.figure(name))
    table.add_row("threshold", f"{result.evaluation.threshold:.6g}, {whose}")
    return table


def _warn_of_few(result: Result, console: Console) -> None:
    fewest = int(min(n for n in result.evaluation.confusion().sum(1) if n))
    if fewest < FEWEST:
        text = (
            f"Only {fewest} images of a class: with so few, only the intervals of accuracy, precision and recall hold"
        )
        console.print(text, style="bold yellow")


def _classes(result: Result) -> Table:
    table = Table("class", "precision", "recall", "F1", "support")
    for cls, support in zip(CLASSES, result.evaluation.confusion().sum(1).tolist(), strict=True):
        names = (f"test/{name}_{cls.lower()}" for name in ("precision", "recall", "f1"))
        table.add_row(cls, *(known_interval(result.metrics, name, four) or "-" for name in names), f"{support:,}")
    return table


def _confusion(result: Result) -> Table:
    table = Table("true \\ predicted", *CLASSES)
    for cls, counts in zip(CLASSES, result.evaluation.confusion().tolist(), strict=True):
        table.add_row(cls, *(f"{n:,}" for n in counts))
    return table


def _operating_points(result: Result) -> Table:
    header = ("threshold", "REAL called FAKE on validation", "REAL called FAKE here", "FAKE found here")
    table = Table(*header, title="Other thresholds, chosen on validation", title_justify="left")
    for row in result.operating_points:
        here = (known_interval(row, name) or "-" for name in ("fpr", "recall_fake"))
        table.add_row(f"{row['threshold']:.9g}", f"at most {row['max_fpr']:.1%}", *here)
    return table


def _groups(result: Result) -> Table:
    groups, metrics = result.groups, result.metrics
    more = f", the {GROUPS_SHOWN} worst of {len(groups)}" if len(groups) > GROUPS_SHOWN else ""
    counted = ["real", "fake"]
    header = ["group", *CLASSES]
    if any(row.get("seen_in_training") for row in groups):
        counted.append("seen_in_training")
        header.append("trained on")
    header += [*(f"{cls} right" for cls in CLASSES), "balanced accuracy", "AUROC", "balanced AP"]
    table = Table(*header, title=f"Groups{more}", title_justify="left")
    for row in worst(groups) if more else groups:
        table.add_row(printable(row["group"]), *(f"{row[name]:,}" for name in counted), *_group_figures(row))
    if "test/groups/count" in metrics:
        means = [form(metrics[f"test/groups/{name}"]) for name, form in [*GROUP_FIGURES.items()][2:]]
        table.add_section()
        table.add_row(f"mean of {metrics['test/groups/count']}", *[""] * (len(counted) + 2), *means)
    if shared := max(row["shared_real"] for row in groups):
        table.caption = f"Groups without REAL images are compared with the {shared:,} of groups without FAKE ones."
    return table


def _group_figures(row: dict[str, Any]) -> list[str]:
    cells = {name: "-" if row[name] is None else form(row[name]) for name, form in GROUP_FIGURES.items()}
    return [*(cells | {"balanced_accuracy": known_interval(row, "balanced_accuracy") or "-"}).values()]


def _members(result: Result) -> Table:
    table = Table("checkpoint", "accuracy alone", "ensemble without it", title="Members", title_justify="left")
    for row in result.ensemble:
        table.add_row(row["checkpoint"], *(known_interval(row, name) for name in ("alone", "without_it")))
    return table
