"""The table of a benchmark: on the terminal, as CSV, Markdown and JSON."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fakereal.benchmarking.bench import Row
from fakereal.reporting.rows import write_rows

HEADER = ("figure", "of", "against", "ratio", "least to greatest", "wanted", "ours", "theirs", "unit")


def cells(row: Row) -> tuple[str, ...]:
    """What a person reads in a row: medians, and the spread over the repeats."""
    bound = "" if row.wanted is None else f"{'at most' if row.at_most else 'at least'} {row.wanted:g}"
    if row.reached is not None:
        bound += ", reached" if row.reached else ", missed"
    spread = f"{row.low:.3g} to {row.high:.3g} (n = {row.repeats})"
    if not row.against:
        return row.figure, row.subject, "", "", spread, bound, f"{row.value:.3g}", "", row.unit
    ours, theirs = f"{row.ours:,.4g}", f"{row.theirs:,.4g}"
    return row.figure, row.subject, row.against, f"{row.value:.3g}", spread, bound, ours, theirs, row.unit


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
    (folder / "benchmark.md").write_text("\n".join([*lines, "", told]) + "\n")


def read(path: Path) -> list[Row]:
    """The rows of a benchmark.json."""
    return [Row(**row) for row in json.loads(path.read_text())["rows"]]
