"""The grid of corruption x severity for people: the table on the terminal."""

from pathlib import Path
from typing import Any

from rich.table import Table

from fakereal.presentation.terminal import result_console
from fakereal.testing.degradation import LOSSES, summarize, verdict


def print_robustness(rows: list[dict[str, Any]], images: str, out: Path, look: int | None) -> None:
    """Accuracy of each cell at the frozen threshold, what each corruption costs on average, and the verdict."""
    console = result_console()
    severities = list(dict.fromkeys(row["severity"] for row in rows[1:]))
    accuracy = {(row["corruption"], row["severity"]): row["accuracy"] for row in rows}
    title = (
        f"Accuracy in % at the frozen threshold, {images}; lost: points, as explained below, mean over the severities"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("corruption")
    for heading in (*map(str, severities), "mean", "mean AUROC", "lost to threshold", "lost to ranking"):
        table.add_column(heading, justify="right")
    for name, means in summarize(rows).items():
        cells = [f"{100 * accuracy[name, severity]:.1f}" for severity in severities]
        losses = [f"{100 * means[loss]:.1f}" for loss in LOSSES]
        table.add_row(name, *cells, f"{100 * means['accuracy']:.1f}", f"{means['auroc']:.3f}", *losses)
    console.print(table)
    reach = {
        name: max(max(row[f"{name}_high"] - row[name], row[name] - row[f"{name}_low"]) for row in rows)
        for name in ("accuracy", "auroc")
    }
    console.print(
        f"95% intervals extend at most {100 * reach['accuracy']:.1f} points to either side of an accuracy, "
        f"{reach['auroc']:.3f} of an AUROC; robustness.csv has all of them"
    )
    clean = rows[0]
    console.print(
        "Lost to threshold: what the best threshold for these very images would gain "
        f"({100 * clean['lost_to_threshold']:.1f} points on the clean ones too); "
        "lost to ranking: what even that one loses compared with the clean images' best"
    )
    interval = f"{clean['accuracy']:.2%} ({clean['accuracy_low']:.2%} to {clean['accuracy_high']:.2%})"
    area = f"{clean['auroc']:.4f} ({clean['auroc_low']:.4f} to {clean['auroc_high']:.4f})"
    console.print(f"Clean images: accuracy {interval}, AUROC {area}, 95% intervals")
    console.print(verdict(rows))
    if look:
        console.print(f"Look {look} at this test split (counted in the ledger)")
    console.print(f"Results: {out}")
