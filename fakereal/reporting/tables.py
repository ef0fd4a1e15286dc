"""The report's tables of figures."""

from math import inf
from typing import Any

from fakereal.presentation.content import Confusion, Table, four, known_interval, p_value, percent, with_interval
from fakereal.reporting.figures import accuracies, auroc_of, figure_of, over_seeds, published, validation_accuracy
from fakereal.reporting.gather import ReportFindings
from fakereal.runs.settings import short, shown, value_of
from fakereal.runs.tested import LEAKED, Tested, data_of, given
from fakereal.runs.trained import Run

TESTED = ("test accuracy", "test, without leaked", "test AUROC", "looks", "tested with")


def runs_table(found: ReportFindings) -> Table:
    """A row a run, the winner first; then a row a baseline."""
    extra = found.monitor not in ("val/accuracy", "val/auroc", "val/loss")
    header = [
        *("#", *(short(key, found.keys) for key in found.keys), "val accuracy", "val AUROC", "val loss"),
        *(found.monitor, *TESTED, "epochs (best)"),
        *("seconds", "images/s", "parameters", "device", "published", "published lies", "run"),
    ]
    devices = {run: str(run.provenance.get("device", "")) for run in found.runs}
    rows = []
    for run in found.runs:
        said, test = run.metrics, found.tests.of_run.get(run)
        row = [found.ref(run), *(shown(value_of(run, key)) for key in found.keys)]
        row += [with_interval(validation_accuracy(run)), known_interval(said, "val/auroc", four)]
        row += [known_interval(said, "val/loss", four)]
        row += [four(said[found.monitor]) if extra else "", *_test_cells(test)]
        row += [f"{said['epochs']:g} ({said['best_epoch']})" if "best_epoch" in said else f"{said['epochs']:g}"]
        row += [amount(said[key]) if key in said else "" for key in ("train_seconds", "images_per_second")]
        row += [f"{said['parameters']:,}", devices[run] if len(set(devices.values())) > 1 else ""]
        figure = published([run], found.tests.of_run)
        row += [f"{percent(figure.accuracy)} ({figure.split})", figure.verdict] if figure else ["", ""]
        rows.append([*row, run.name])
    for figures in found.baselines.figures.values():
        cells = baseline_cells(figures)
        rows.append([cells.get(column, "") for column in header])
    return Table(header, rows, marked=0)


def baseline_cells(figures: dict[str, Any]) -> dict[str, str]:
    """What a baseline has to say in the columns of the runs."""

    return {
        "#": f"baseline: {figures['title']}",
        "val accuracy": known_interval(figures, "val/accuracy"),
        "val AUROC": known_interval(figures, "val/auroc", four),
        "val loss": known_interval(figures, "val/loss", four),
        "test accuracy": known_interval(figures, "test/accuracy"),
        "test AUROC": known_interval(figures, "test/auroc", four),
        "parameters": f"{figures['parameters']:,}" if "parameters" in figures else "",
    }


def amount(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def _test_cells(test: Tested | None) -> list[str]:
    if test is None:
        return [""] * len(TESTED)
    leaked = all(name in test.metrics for name in LEAKED)
    return [
        with_interval(figure_of(test, "accuracy")),
        with_interval(figure_of(test, "without_leaked/accuracy")) if leaked else "",
        auroc_of(test),
        str(test.looks),
        " ".join((*(f"tta={way}" for way in sorted(test.tta - {"none"})), given(test, "threshold="))).strip(),
    ]


def published_table(found: ReportFindings) -> Table:
    """A row for each setting whose configuration names a figure."""
    rows = []
    for group in found.groups:
        figure = published(group.runs, found.tests.of_run)
        if figure:
            ours = f"{with_interval(figure.ours)}; {figure.kind}" if figure.ours else ""
            said = f"{percent(figure.accuracy)} ({figure.split})"
            rows.append([found.settings(group), said, ours, figure.verdict, figure.source])
    rows.sort(key=lambda row: not row[2])  # what we have a figure of comes first
    return Table(("settings", "published", "ours", "published lies", "source"), rows)


def seeds_table(found: ReportFindings) -> Table:
    """Mean, standard deviation and t-interval of each figure of the settings that have several seeds."""
    rows = []
    for group in found.groups:
        if len(group.runs) < 2:
            continue
        tests = [found.tests.of_run[run] for run in group.runs if run in found.tests.of_run]
        figures = {
            "val accuracy": ([figure.value for figure in accuracies(group.runs, "val", {})], percent),
            "val AUROC": (group.values("val/auroc"), four),
            "val loss": (group.values("val/loss"), four),
            "test accuracy": ([test.metrics["test/accuracy"] for test in tests], percent),
            "test, without leaked": ([test.metrics[LEAKED[0]] for test in tests if LEAKED[0] in test.metrics], percent),
            "test AUROC": ([a for test in tests if (a := test.metrics["test/auroc"]) is not None], four),
        }
        for name, (values, form) in figures.items():
            if seeds := over_seeds(values, inf if name == "val loss" else 1.0):
                spread = f"{form(min(values))} to {form(max(values))}"
                interval = f"{form(seeds.low)} to {form(seeds.high)}"
                cells = [form(seeds.mean), form(seeds.deviation), interval, spread]
                rows.append([found.settings(group), name, str(seeds.n), *cells])
    header = ("settings", "figure", "seeds", "mean", "standard deviation", "95% t-interval of the mean", "range")
    return Table(header, rows)


def pairs_table(found: ReportFindings) -> Table:
    """A row for each pair of tests on the same images."""
    rows = []
    for pair in found.pairs.compared:
        first, second = found.ref(pair.first), found.ref(pair.second)
        difference = with_interval(pair.auroc_difference, "{:+.5f}".format) if pair.auroc_difference else "-"
        better = first if pair.only_first > pair.only_second else second
        said = f"{better} is better" if pair.adjusted < 0.05 else "indistinguishable"
        counts = [f"{n:,}" for n in (pair.images, pair.only_first, pair.only_second)]
        rows.append([f"{first} and {second}", *counts, *map(p_value, (pair.p_value, pair.adjusted)), said, difference])
    header = (
        *("pair", "images", "only the first right", "only the second right", "McNemar p", "p after Holm"),
        *("accuracy", "AUROC difference (95% interval)"),
    )
    return Table(header, rows)


def ensembles_table(found: ReportFindings) -> Table:
    """A row for each tested ensemble; members that are runs of this report by their number."""
    runs = {run.metrics["checkpoint_digest"]: found.ref(run) for run in found.runs}
    rows = []
    for test in found.tests.ensembles:
        members = ", ".join(sorted(runs.get(digest, digest[:12]) for digest in test.digests))
        images = f"{test.metrics['test/images']:,}"
        rows.append([found.ref(test), members, *_test_cells(test), images, str(test.folder)])
    return Table(("#", "members", *TESTED, "images", "test"), rows)


def elsewhere_table(found: ReportFindings) -> Table:
    """A row for each test on images that are not the test split of the runs' data."""
    rows = []
    for run, test, why in found.tests.elsewhere:
        images = f"{test.metrics['test/images']:,}"
        far = with_interval(figure_of(test, "far/share")) if "test/far/share_high" in test.metrics else ""
        cells = [data_of(test), why, images, far, *_test_cells(test)]
        rows.append([found.ref(run) if run else "ensemble", *cells])
    return Table(("run", "data", "what they are", "images", "far from training", *TESTED), rows)


def confusion(found: ReportFindings, run: Run) -> Confusion:
    """On the test split where the run is tested, else on validation."""
    test = found.tests.of_run.get(run)
    split, metrics = ("test", test.metrics) if test else ("val", run.metrics)
    tn, fp, fn, tp = (int(metrics[f"{split}/{name}"]) for name in ("tn", "fp", "fn", "tp"))
    name = "test" if test else "validation"
    return Confusion(f"{found.ref(run)} {found.label(run)}: {name}", ((tn, fp), (fn, tp)))
