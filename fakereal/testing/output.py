"""A test's figures for people: the table on the terminal, and the plots as PNG and in TensorBoard."""

from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from fakereal import CLASSES
from fakereal.evaluation.evaluation import PREVALENCES, Evaluation
from fakereal.evaluation.groups import GROUPS_SHOWN, worst
from fakereal.explanation.gallery import show_sheets
from fakereal.explanation.sheets import Sheet
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
from fakereal.presentation.terminal import result_console
from fakereal.runtime.text import printable

FEWEST = 10  # images of a class to resample from


class Tables(NamedTuple):
    """What a test has beside its figures, as rows; empty where it has none."""

    groups: list[dict[str, Any]]
    operating_points: list[dict[str, Any]]
    ensemble: list[dict[str, Any]]

    def write(self, out: Path) -> None:
        """A CSV of its name for each that has rows, in the place of those of a test before."""
        for name, rows in self._asdict().items():
            (out / f"{name}.csv").unlink(missing_ok=True)
            if rows:
                write_rows(out / f"{name}.csv", rows)


def write_figures(
    evaluation: Evaluation, metrics: dict[str, Any], groups: list[dict[str, Any]], sheets: list[Sheet], out: Path
) -> None:
    """confusion_matrix, roc, precision_recall, reliability and groups as PNG; with scalars and gallery in TensorBoard.

    Of one class there are no curves, and without groups no figure of them.
    """
    from torch.utils.tensorboard import SummaryWriter

    figures = {
        "confusion_matrix": confusion_figure(evaluation.confusion(), "Test"),
        "reliability": reliability_figure({"test": (evaluation.labels, evaluation.probabilities)}, "Test"),
    }
    if evaluation.both:
        curves = evaluation.curves()
        figures["roc"] = roc_figure(curves["fpr"], curves["tpr"], _interval(metrics, "test/auroc", "{:.4f}"))
        figures["precision_recall"] = precision_recall_figure(
            curves["recall"],
            curves["precision"],
            _interval(metrics, "test/average_precision", "{:.4f}"),
            float(evaluation.labels.mean()),
        )
    if groups:
        figures["groups"] = groups_figure(worst(groups), len(groups))
    with SummaryWriter(str(out)) as board:
        for name, figure in figures.items():
            save_png(figure, out / f"{name}.png")
            show_saved(board, f"test/{name}", figure)
        for name, value in metrics.items():
            if name.startswith("test/") and isinstance(value, int | float):
                board.add_scalar(name, value)
        show_sheets(board, "test", sheets)
        if evaluation.both:
            board.add_pr_curve("test/precision_recall", evaluation.labels, evaluation.probabilities)


def _interval(metrics: dict[str, Any], name: str, form: str) -> str:
    if metrics[name] is None:
        return f"not defined: {'one class only' if metrics['test/auroc'] is None else 'no image was called FAKE'}"
    value, low, high = (form.format(metrics[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return f"{value} ({low} to {high})"


def _groups_table(groups: list[dict[str, Any]], metrics: dict[str, Any]) -> Table:
    more = f", the {GROUPS_SHOWN} worst of {len(groups)}" if len(groups) > GROUPS_SHOWN else ""
    seen = any(row.get("seen_in_training") for row in groups)
    header = (
        "group",
        *CLASSES,
        *(["trained on"] if seen else []),
        *(f"{cls} right" for cls in CLASSES),
        "balanced accuracy",
        "AUROC",
        "balanced AP",
    )
    table = Table(*header, title=f"Groups{more}", title_justify="left")
    figures = {
        "recall_real": "{:.2%}",
        "recall_fake": "{:.2%}",
        "balanced_accuracy": "{:.2%}",
        "auroc": "{:.4f}",
        "balanced_average_precision": "{:.4f}",
    }
    for row in worst(groups) if more else groups:
        cells = ["-" if row[name] is None else form.format(row[name]) for name, form in figures.items()]
        if row["balanced_accuracy"] is not None:
            cells[2] = _interval(row, "balanced_accuracy", "{:.2%}")
        counted = ("real", "fake", "seen_in_training") if seen else ("real", "fake")
        table.add_row(printable(row["group"]), *(f"{row[name]:,}" for name in counted), *cells)
    if "test/groups/count" in metrics:
        means = [form.format(metrics[f"test/groups/{name}"]) for name, form in [*figures.items()][2:]]
        table.add_section()
        table.add_row(f"mean of {metrics['test/groups/count']}", *[""] * (5 if seen else 4), *means)
    if shared := max(row["shared_real"] for row in groups):
        table.caption = f"Groups without REAL images are compared with the {shared:,} of groups without FAKE ones."
    return table


def print_evaluation(
    evaluation: Evaluation,
    metrics: dict[str, Any],
    out: Path,
    look: int,
    entry: dict[str, Any],
    tables: Tables,
    whose: str,
) -> None:
    """All that a reader wants of a test; `whose`: where the threshold is from."""
    console = result_console()
    summary = Table(title="Test, with 95% intervals", title_justify="left", show_header=False, box=None)
    count = metrics["test/images"]
    summary.add_row("accuracy", f"{_interval(metrics, 'test/accuracy', '{:.2%}')}, {count:,} images")
    if seen := metrics.get("test/seen_in_training"):
        summary.add_row("trained or validated on", f"{seen:,} of these images")
    if "test/without_leaked/accuracy" in metrics:
        text = _interval(metrics, "test/without_leaked/accuracy", "{:.2%}")
        rest = metrics["test/without_leaked/images"]
        summary.add_row("without leaked images", f"{text}, {rest:,} images: {count - rest:,} are also in train or val")
    summary.add_row("AUROC", _interval(metrics, "test/auroc", "{:.4f}"))
    summary.add_row("average precision", _interval(metrics, "test/average_precision", "{:.4f}"))
    summary.add_row("log-loss", _interval(metrics, "test/loss", "{:.4f}"))
    summary.add_row("calibration error", _interval(metrics, "test/ece", "{:.4f}"))
    summary.add_row("Brier score", _interval(metrics, "test/brier", "{:.4f}"))
    summary.add_row("FPR at 95% TPR", _interval(metrics, "test/fpr_at_95_tpr", "{:.2%}"))
    for prevalence in PREVALENCES:
        name = f"test/precision_fake_at_{prevalence:g}"
        summary.add_row(f"precision if {prevalence:.0%} are FAKE", _interval(metrics, name, "{:.2%}"))
    summary.add_row("threshold", f"{evaluation.threshold:.6g}, {whose}")
    console.print(summary)
    if 0 < (fewest := int(min(n for n in evaluation.confusion().sum(1) if n))) < FEWEST:
        text = (
            f"Only {fewest} images of a class: with so few, only the intervals of accuracy, precision and recall hold"
        )
        console.print(text, style="bold yellow")

    classes = Table("class", "precision", "recall", "F1", "support")
    for cls, support in zip(CLASSES, evaluation.confusion().sum(1).tolist(), strict=True):
        names = (f"test/{name}_{cls.lower()}" for name in ("precision", "recall", "f1"))
        figures = ["-" if metrics[name] is None else _interval(metrics, name, "{:.4f}") for name in names]
        classes.add_row(cls, *figures, f"{support:,}")
    console.print(classes)
    confusion = Table("true \\ predicted", *CLASSES)
    for cls, counts in zip(CLASSES, evaluation.confusion().tolist(), strict=True):
        confusion.add_row(cls, *(f"{n:,}" for n in counts))
    console.print(confusion)
    if tables.operating_points:
        header = ("threshold", "REAL called FAKE on validation", "REAL called FAKE here", "FAKE found here")
        table = Table(*header, title="Other thresholds, chosen on validation", title_justify="left")
        for row in tables.operating_points:
            here = ["-" if row[name] is None else _interval(row, name, "{:.2%}") for name in ("fpr", "recall_fake")]
            table.add_row(f"{row['threshold']:.9g}", f"at most {row['max_fpr']:.1%}", *here)
        console.print(table)
    if tables.groups:
        console.print(_groups_table(tables.groups, metrics))
    if tables.ensemble:
        table = Table("checkpoint", "accuracy alone", "ensemble without it", title="Members", title_justify="left")
        for row in tables.ensemble:
            table.add_row(row["checkpoint"], *(_interval(row, name, "{:.2%}") for name in ("alone", "without_it")))
        console.print(table)
    console.print(f"Look {look} at this test split (counted in the ledger by data {entry['data_digest'][:12]})")
    console.print(f"Results: {out}")
