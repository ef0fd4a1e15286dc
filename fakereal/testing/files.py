"""What a test leaves: tables as CSV, plots as PNG and in TensorBoard."""

import csv
from pathlib import Path
from typing import Any

from fakereal import CLASSES
from fakereal.evaluation.groups import worst
from fakereal.explanation.gallery import show_sheets
from fakereal.explanation.sheets import Sheet
from fakereal.presentation.content import four
from fakereal.presentation.plots import (
    confusion_figure,
    groups_figure,
    precision_recall_figure,
    reliability_figure,
    roc_figure,
    save_png,
    show_saved,
)
from fakereal.presentation.rows import write_rows
from fakereal.testing.result import Result


def write_predictions(path: Path, result: Result) -> None:
    """`path,label,prob_fake,prediction`, a row an image."""
    evaluation = result.evaluation
    labels, said = evaluation.labels.astype(int), evaluation.predictions
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "prob_fake", "prediction"))
        for name, label, p, cls in zip(result.names, labels, evaluation.probabilities, said, strict=True):
            writer.writerow((name, CLASSES[label], f"{p:.7g}", CLASSES[cls]))


def write_tables(result: Result, out: Path) -> None:
    """A CSV for each table that has rows, in the place of those of a test before."""
    for name, rows in result.tables.items():
        (out / f"{name}.csv").unlink(missing_ok=True)
        if rows:
            write_rows(out / f"{name}.csv", rows)


def write_figures(result: Result, sheets: list[Sheet], out: Path) -> None:
    """The plots as PNG, in the place of those of a test before; with scalars and gallery in TensorBoard."""
    from torch.utils.tensorboard import SummaryWriter

    evaluation, figures = result.evaluation, figures_of(result)
    for name in ("groups", "roc", "precision_recall"):
        (out / f"{name}.png").unlink(missing_ok=True)
    with SummaryWriter(str(out)) as board:
        for name, figure in figures.items():
            save_png(figure, out / f"{name}.png")
            show_saved(board, f"test/{name}", figure)
        for name, value in result.metrics.items():
            if name.startswith("test/") and isinstance(value, int | float):
                board.add_scalar(name, value)
        show_sheets(board, "test", sheets)
        if evaluation.both:
            board.add_pr_curve("test/precision_recall", evaluation.labels, evaluation.probabilities)


def figures_of(result: Result) -> dict[str, Any]:
    """matplotlib's figures by name: of one class there are no curves, and without groups there is none of them."""
    evaluation = result.evaluation
    figures = {
        "confusion_matrix": confusion_figure(evaluation.confusion(), "Test"),
        "reliability": reliability_figure({"test": (evaluation.labels, evaluation.probabilities)}, "Test"),
    }
    if evaluation.both:
        curves, share = evaluation.curves(), float(evaluation.labels.mean())
        area, precision = (result.figure(f"test/{name}", four) for name in ("auroc", "average_precision"))
        figures["roc"] = roc_figure(curves["fpr"], curves["tpr"], area)
        figures["precision_recall"] = precision_recall_figure(curves["recall"], curves["precision"], precision, share)
    if result.groups:
        figures["groups"] = groups_figure(worst(result.groups), len(result.groups))
    return figures
