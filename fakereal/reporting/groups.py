"""Accuracy by group, of every test on the same images: how far a detector carries from one generator to the next."""

import csv
from collections import defaultdict
from statistics import fmean
from typing import Any, NamedTuple

from fakereal.evaluation.groups import accuracy_of
from fakereal.presentation.content import Block, Chart, Table, Text, percent
from fakereal.reporting.charts import heat_map
from fakereal.reporting.gather import Findings
from fakereal.runs.tested import Tested, data_of
from fakereal.runs.trained import data_of_each
from fakereal.runtime.text import printable

TESTS_SHOWN, GROUPS_SHOWN = 24, 24
NUMBERS = ("accuracy", "balanced_accuracy")
ABOUT = (
    "By the folders of the images (group_depth= of fakereal.test): the mean of the share of REAL and the share of FAKE "
    "images that are right. A group without REAL images borrows those of all groups without FAKE ones; where images of "
    "one class are missing altogether, it is the share of the others that are right. Images that a run was trained on "
    "count, too. Each test's groups.csv has both shares, AUROC and average precision."
)


class Row(NamedTuple):
    """A test: whose, the accuracy of each group, and how many of its images were trained on."""

    label: str
    figures: dict[str, float]
    seen: int


def groups_blocks(found: Findings) -> list[Block]:
    """For each set of images that tests gave figures by group of: a heat map and a table, tests by groups."""
    sets: dict[Any, list[tuple[str, Tested]]] = defaultdict(list)
    for label, test in _labelled(found):
        sets[test.images.files or test.images.stored, test.metrics["test/images"]].append((label, test))
    blocks: list[Block] = []
    for tests in sets.values():
        rows = [Row(label, figures, test.seen) for label, test in tests if (figures := read_groups(test))]
        if len({name for row in rows for name in row.figures}) > 1:
            blocks += _matrix(rows, data_of(tests[0][1]), f"groups_{len(blocks)}")
    return [Text(ABOUT), *blocks] if blocks else []


def read_groups(test: Tested) -> dict[str, float]:
    """The accuracy of each group of a test's groups.csv; none where it has none, or one of an earlier version."""
    try:
        with (test.folder / "groups.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = [
                {name: _number(row[name]) for name in NUMBERS} | {"group": row["group"]} for row in csv.DictReader(file)
            ]
        return {row["group"]: accuracy_of(row) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return {}


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def _labelled(found: Findings) -> list[tuple[str, Tested]]:
    """Every test of the runs, the best run first, of ensembles, and of runs on other data, with whose it is."""
    others = found.tests.of_others
    data = data_of_each([*found.runs, *(run for run, _ in others)]) if others else {}
    named = {run: " ".join((found.ref(run), data.get(run) or found.label(run))) for run in found.runs}
    labelled = [(named[run], found.tests.of_run[run]) for run in found.runs if run in found.tests.of_run]
    labelled += [(found.ref(test), test) for test in found.tests.ensembles]
    place = {run: number for number, run in enumerate(found.runs)}
    elsewhere = sorted(found.tests.elsewhere, key=lambda held: place[held[0]] if held[0] else len(place))
    labelled += [(named[run] if run else "ensemble", test) for run, test, _ in elsewhere]
    return labelled + [(data[run], test) for run, test in others]


def _matrix(rows: list[Row], data: str, name: str) -> list[Block]:
    names = {group for row in rows for group in row.figures}
    mean = {group: fmean(row.figures[group] for row in rows if group in row.figures) for group in names}
    groups = sorted(names, key=lambda group: (mean[group], group))
    text = f"Tests on {data}."
    if len(rows) > TESTS_SHOWN:
        text += f" The first {TESTS_SHOWN} of {len(rows)} tests are shown."
    if len(groups) > GROUPS_SHOWN:
        text += f" The worst {GROUPS_SHOWN} of {len(groups)} groups are shown."
    columns = [*(printable(group) for group in groups[:GROUPS_SHOWN]), "mean"]
    shown = rows[:TESTS_SHOWN]
    values = [[*map(row.figures.get, groups[:GROUPS_SHOWN]), fmean(row.figures.values())] for row in shown]
    chart = heat_map(values, [row.label for row in shown], columns)
    worst = f"{columns[0]} is the worst group: {percent(mean[groups[0]])} (mean over tests)"
    cells = [
        [row.label, *("" if value is None else percent(value) for value in line), f"{row.seen:,}" if row.seen else ""]
        for row, line in zip(shown, values, strict=True)
    ]
    return [
        Text(text),
        Chart(name, "Accuracy by group", worst, chart),
        Table(("test", *columns, "images trained on"), cells),
    ]
