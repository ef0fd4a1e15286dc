"""The table of a benchmark: on the terminal, as CSV, Markdown and JSON."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fakereal.benchmarking.bench import Row
from fakereal.presentation.rows import write_rows

HEADER = ("figure", "of", "against", "median (least to greatest)", "wanted", "ours", "theirs")


def cells(row: Row) -> tuple[str, ...]:
    """What a person reads in a row: a ratio, or a figure with its unit, and whether it is good enough."""
    bound = "" if row.wanted is None else f"{'at most' if row.at_most else 'at least'} {row.wanted:g}"
    if row.reached is not None:
        bound += ", reached" if row.reached else ", missed"
    unit = "" if row.against else f" {row.unit}"
    value = f"{row.value:.3g}{unit}"
    if row.repeats > 1:
        value += f" ({row.low:.3g} to {row.high:.3g}, n = {row.repeats})"
    both = ("" if side is None else f"{_four_digits(side)} {row.unit}" for side in (row.ours, row.theirs))
    return row.figure, row.subject, row.against, value, bound, *both


def _four_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def printed(rows: list[Row], console: Console) -> None:
    """The table on a terminal."""
    table = Table(*HEADER)
    for row in rows:
        style = None if row.reached is None else ("green" if row.reached else "yellow")
        table.add_row(*cells(row), style=style)
    console.print(table)


def write(rows: list[Row], machine: dict[str, Any], folder: Path) -> None:
    """benchmark.csv, benchmark.md and benchmark.json; the JSON is what a later run is compared with."""
    write_rows(folder / "benchmark.csv", [asdict(row) | {"reached": row.reached} for row in rows])
    content = {"machine": machine, "rows": [asdict(row) for row in rows]}
    (folder / "benchmark.json").write_text(json.dumps(content, indent=2) + "\n")
    lines = ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    told = ", ".join(f"{name} {value}" for name, value in machine.items())
    (folder / "benchmark.md").write_text(
        "\n".join([*lines, "", told]) + "\n", encoding="utf-8", errors="backslashreplace"
    )


def read(path: Path) -> list[Row]:
    """The rows of a benchmark.json."""
    return [Row(**row) for row in json.loads(path.read_text())["rows"]]
