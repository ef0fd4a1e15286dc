"""Tables as CSV."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def write_rows(path: Path, rows: Sequence[dict[str, Any]], header: Sequence[str] | None = None) -> None:
    """A line a row, with the keys of the first as header; names of any bytes come out as they are."""
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.DictWriter(file, header or list(rows[0]), restval="")
        writer.writeheader()
        writer.writerows(rows)
