"""results.csv: every figure of every run, unrounded."""

from pathlib import Path
from typing import Any

from fakereal.presentation.rows import write_rows
from fakereal.reporting.figures import published, validation_accuracy
from fakereal.reporting.gather import ReportFindings
from fakereal.runs.settings import value_of
from fakereal.runs.trained import Run


def write_results(found: ReportFindings, path: Path) -> None:
    """A row a run, the best first: varied keys, metrics.json, the test's metrics.json, the published figure.

    Then a row a baseline, without a rank.
    """
    rows = [_row(found, run) for run in found.runs]
    for name, figures in found.baselines.figures.items():
        named = {key: value for key, value in figures.items() if key != "title"}
        rows.append({"run": f"baseline {name}", **named, "data_digest": found.runs[0].images.stored})
    header = list(dict.fromkeys(key for row in rows for key in row))
    write_rows(path, rows, header)


def _row(found: ReportFindings, run: Run) -> dict[str, Any]:
    row: dict[str, Any] = {"rank": found.runs.index(run) + 1, "run": str(run.folder)}
    row |= {key: value_of(run, key) for key in ("seed", *found.keys)}
    row["settings"] = found.groups.index(found.group_of(run)) + 1  # runs with the same number differ in the seed alone
    row |= run.metrics
    _, row["val/accuracy_low"], row["val/accuracy_high"] = validation_accuracy(run)
    if test := found.tests.of_run.get(run):
        row |= {key: value for key, value in test.metrics.items() if key.startswith("test/")}
        row |= {"test": str(test.folder), "test_looks": test.looks}
    if figure := published([run], found.tests.of_run):
        row |= {"published": figure.accuracy, "published_split": figure.split, "published_lies": figure.verdict}
        row["published_source"] = figure.source
    return row | {"data_digest": run.images.stored, "device": run.provenance.get("device", "")}
