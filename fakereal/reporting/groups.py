"""Balanced accuracy by group, of every test on the same images: does a detector carry from one generator to others?"""

import csv
from collections import Counter, defaultdict
from statistics import fmean
from typing import Any, NamedTuple

from fakereal.evaluation.groups import GROUPS_SHOWN
from fakereal.presentation.content import Block, Chart, Table, Text, percent
from fakereal.reporting.charts import heat_map
from fakereal.reporting.figures import over_seeds
from fakereal.reporting.gather import ReportFindings
from fakereal.runs.settings import label, readable, varied_keys
from fakereal.runs.tested import Tested, data_of, given
from fakereal.runs.trained import Run
from fakereal.runtime.text import printable

TESTS_SHOWN = 24
ABOUT = (
    "By the folders of the images (group_depth= of fakereal.test): the mean of the share of REAL and the share of FAKE "
    "images that are right. A group without REAL images borrows those of all groups without FAKE ones. After the mean "
    "of these stand groups of one class alone, with the share of their images that is right. Images that a run was "
    "trained on count, too. Each test's groups.csv has both shares, AUROC and average precision."
)


class Row(NamedTuple):
    """A test: of which run and settings (but the seed), whose, balanced accuracy by group, accuracy of one class's."""

    run: Run | None
    settings: str
    label: str
    balanced: dict[str, float]
    alone: dict[str, float]
    seen: int


def groups_blocks(found: ReportFindings) -> list[Block]:
    """For each set of images that tests gave figures by group of: a heat map and a table, tests by groups."""
    sets: list[list[tuple[Run | None, str, str, Tested]]] = []
    for labelled in _labelled(found):
        alike = next((tests for tests in sets if _comparable(tests[0][-1], labelled[-1])), None)
        if alike is None:
            sets.append(alike := [])
        alike.append(labelled)
    blocks: list[Block] = []
    for number, tests in enumerate(sets):
        rows = [Row(*names, *read_groups(test), test.seen) for *names, test in tests]
        rows = [row for row in rows if row.balanced or row.alone]
        if len({name for row in rows for name in {**row.balanced, **row.alone}}) > 1:
            blocks += _matrix(rows, data_of(tests[0][-1]), f"groups_{number}")
    return [Text(ABOUT), *blocks] if blocks else []


def _comparable(one: Tested, other: Tested) -> bool:
    """Whether both tests are of the same images, grouped alike."""
    same = [(test.metrics["test/images"], test.metrics.get("group_depth")) for test in (one, other)]
    return one.images.same_as(other.images) and same[0] == same[1]


def read_groups(test: Tested) -> tuple[dict[str, float], dict[str, float]]:
    """A test's groups.csv: balanced accuracies, and accuracies where these are not defined.

    Both empty where there is no such file, it is of an earlier version, or it was cut short or altered.
    """
    balanced, alone = {}, {}
    try:
        with (test.folder / "groups.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            for row in csv.DictReader(file, strict=True):
                if None in row or None in row.values():
                    return {}, {}
                held, cell = (
                    (balanced, row["balanced_accuracy"]) if row["balanced_accuracy"] else (alone, row["accuracy"])
                )
                held[row["group"]] = float(cell)
    except (OSError, ValueError, KeyError, csv.Error):
        return {}, {}
    return (balanced, alone) if all(0 <= value <= 1 for value in (*balanced.values(), *alone.values())) else ({}, {})


def _labelled(found: ReportFindings) -> list[tuple[Run | None, str, str, Tested]]:
    """Every test of the runs, the best run first, of ensembles, and of runs on other data, with settings and label."""
    others = found.tests.of_others
    runs = [*found.runs, *dict.fromkeys(run for run, _ in others)]
    keys = varied_keys(runs)
    if others:  # then it is the data that matters; where these lie tells it, though it is no setting
        told = [key for key in ("data.root", "data.classes") if len({run.overrides.get(key) for run in runs}) > 1]
        keys = [*told, *(key for key in keys if key not in (*told, "data"))]
    named = {run: readable(run, keys) for run in runs}
    alike = Counter(named.values())
    named = {run: text if alike[text] == 1 else f"{text} ({run.name or run.folder})" for run, text in named.items()}
    settings = [key for key in keys if key != "seed"]
    plain = {run: label(run, settings) if settings else "all seeds" for run in runs}
    place = {run: number for number, run in enumerate(found.runs)}
    tests = [(run, test) for run, test in found.tests.of_run.items()]
    tests += [(run, test) for run, test, _ in found.tests.elsewhere if run]
    tests.sort(key=lambda held: place[held[0]])
    labelled = [(run, plain[run], f"{found.ref(run)} {named[run]}", test) for run, test in tests]
    labelled += [(None, "", found.ref(test), test) for test in found.tests.ensembles]
    labelled += [(None, "", "ensemble", test) for run, test, _ in found.tests.elsewhere if not run]
    labelled += [(run, plain[run], named[run], test) for run, test in others]
    return [(*of, f"{whose} {given(test, 'threshold=')}".strip(), test) for *of, whose, test in labelled]


def _matrix(rows: list[Row], data: str, name: str) -> list[Block]:
    mean = _means([row.balanced for row in rows])
    groups = sorted(mean, key=lambda group: (mean[group], group))
    alone = sorted({group for row in rows for group in row.alone})
    text = f"Tests on {data}."
    if len(rows) > TESTS_SHOWN:
        text += f" The first {TESTS_SHOWN} of {len(rows)} tests are shown."
    if len(groups) + len(alone) > GROUPS_SHOWN:
        text += f" The worst {GROUPS_SHOWN} of {len(groups) + len(alone)} groups are shown."
    groups, alone = groups[:GROUPS_SHOWN], alone[: max(0, GROUPS_SHOWN - len(groups))]
    columns = [*map(printable, groups), *(["mean"] if mean else []), *(f"{printable(group)} alone" for group in alone)]
    values = [
        [
            *map(row.balanced.get, groups),
            *([fmean(row.balanced.values()) if row.balanced else None] if mean else []),
            *map(row.alone.get, alone),
        ]
        for row in rows
    ]
    shown = rows[:TESTS_SHOWN]
    cells = [
        [row.label, *("" if value is None else percent(value) for value in line), f"{row.seen:,}" if row.seen else ""]
        for row, line in zip(shown, values, strict=False)
    ]
    cells += _over_seeds(rows, values)
    worst = f"{columns[0]} is the worst group: {percent(mean[groups[0]])} (mean over tests)" if groups else ""
    return [
        Text(text),
        Chart(
            name, "Balanced accuracy by group", worst, heat_map(values[:TESTS_SHOWN], [r.label for r in shown], columns)
        ),
        Table(("test", *columns, "images trained on"), cells),
    ]


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: fmean(row[name] for row in rows if name in row) for name in {name for row in rows for name in row}}


def _over_seeds(rows: list[Row], values: list[list[float | None]]) -> list[list[str]]:
    """A row of cells for each settings that several seeds were tested of: mean and standard deviation.

    Of two runs with the same seed the newer counts, as in the other tables: they are no independent draws.
    """
    alike: dict[str, dict[Any, list[float | None]]] = defaultdict(dict)
    of_runs = [(row, line) for row, line in zip(rows, values, strict=True) if row.run]
    for row, line in sorted(of_runs, key=lambda pair: pair[0].run.time):
        alike[row.settings][row.run.config.get("seed")] = line
    cells = []
    for settings, lines in alike.items():
        if len(lines) > 1:
            said = [_mean_and_deviation(column) for column in zip(*lines.values(), strict=True)]
            cells.append([f"{settings}: mean ± standard deviation of {len(lines)}", *said, ""])
    return cells


def _mean_and_deviation(values: tuple[float | None, ...]) -> str:
    """Empty where a test lacks the group."""
    known = [value for value in values if value is not None]
    seeds = over_seeds(known) if len(known) == len(values) else None
    return f"{percent(seeds.mean)} ± {percent(seeds.deviation)}" if seeds else ""
