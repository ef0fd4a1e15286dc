"""What the report says below its conclusion, in order."""

from collections.abc import Callable

from fakereal.reporting.charts import (
    COLOURS,
    Line,
    Point,
    cost_chart,
    curves_chart,
    pareto_front,
    setting_chart,
)
from fakereal.reporting.comparisons import COMPARED
from fakereal.reporting.content import Block, Chart, Confusions, Section, Table, Text
from fakereal.reporting.curves import mean_curve
from fakereal.reporting.figures import validation_accuracy
from fakereal.reporting.gather import Findings
from fakereal.reporting.settings import value_of
from fakereal.reporting.tables import (
    amount,
    confusion,
    elsewhere_table,
    ensembles_table,
    pairs_table,
    published_table,
    runs_table,
    seeds_table,
)

SETTINGS_SHOWN = 8
CONFUSIONS_SHOWN = 6
INTERVALS = (
    "All intervals are 95%. Accuracy of one run: Wilson's score interval; it tells how much a figure on that many "
    "images can be luck, and not how much another seed would change it.",
    "AUROC of one test, and AUROC differences: percentile bootstrap over the images; for a difference both runs are "
    "scored on the same draws ({resamples:,} of them).",
    "Over seeds: Student's t-interval of the mean; it tells how much the seed matters. With two or three seeds it is "
    "wide, and it may pass 100%.",
    "McNemar's exact test asks whether two runs are right equally often, from the images that only one gets right. "
    "Holm's correction keeps the chance of a single false alarm among all pairs below 5%.",
    "The winner is the best of several on validation, so its validation figure is a little too good; a figure on the "
    "test split, looked at once, is not.",
)


def sections(found: Findings) -> list[Section]:
    """Those that have something to say."""
    parts: list[tuple[str, str, Callable[[Findings], list[Block]]]] = [
        ("published", "Against the published figures", lambda found: _table(published_table(found))),
        ("runs", "Runs", _runs),
        ("ensembles", "Ensembles", lambda found: _table(ensembles_table(found))),
        ("seeds", "Over seeds", _seeds),
        ("curves", "Learning curves", _curves),
        ("cost", "Accuracy against training time", _cost),
        ("settings", "Accuracy against what was varied", _settings),
        ("confusion", "Confusion matrices", _confusions),
        ("pairs", "Pairs of tests", _pairs),
        ("elsewhere", "On other images", lambda found: _table(elsewhere_table(found))),
        ("left-out", "Left out", lambda found: _table(Table(("what", "why"), [list(row) for row in found.left_out]))),
    ]
    made = [Section(slug, title, blocks) for slug, title, write in parts if (blocks := write(found))]
    texts = [Text(text.format(resamples=found.resamples)) for text in INTERVALS]
    return [*made, Section("intervals", "How to read the intervals", texts)]


def _table(table: Table) -> list[Block]:
    return [table] if table.rows else []


def _runs(found: Findings) -> list[Block]:
    text = f"Sorted by {found.monitor}. Columns that are the same for all runs stand in results.csv."
    untested = len(found.runs) - len(found.tests.of_run)
    if found.tests.of_run and untested:
        text += f" {untested} of {len(found.runs)} runs are not tested."
    elif untested:
        text += " No run is tested."
    return [Text(text), runs_table(found)]


def _seeds(found: Findings) -> list[Block]:
    table = seeds_table(found)
    repeated = sum(len(group.members) - len(group.runs) for group in found.groups)
    again = f" {repeated} run(s) repeat a seed: of those the newest counts." if repeated and table.rows else ""
    return [Text(f"Runs that differ in the seed alone.{again}"), table] if table.rows else []


def _curves(found: Findings) -> list[Block]:
    lines = []
    for group in found.groups:
        held = [found.curves[run] for run in group.runs if found.curves[run]]
        if held:
            lines.append({split: [curves.get(split, {}) for curves in held] for split in held[0]} | {"": group})
    missing = [found.ref(run) for run in found.runs if not found.curves[run]]
    none = f"No curves of {', '.join(missing[:12])}{', ...' if len(missing) > 12 else ''}: " if missing else ""
    note = f"{none}they wrote no CSV log (logger=csv)." if missing else ""
    if not lines:
        return [Text(note)]
    shown = lines[: len(COLOURS)]
    limit = f" The best {len(shown)} of {len(lines)} settings by {found.monitor} are shown." if shown != lines else ""
    text = (
        "Where validation (dashed) turns away from training (solid), the network overfits; where both stay poor, it "
        "underfits. Training figures are means over the epoch, of augmented images. Of settings with several seeds "
        f"the mean is drawn, and each seed thin.{limit} {note}"
    )
    return [Text(text.strip()), *(_curves_of(found, shown, name) for name in ("loss", "accuracy"))]


def _curves_of(found: Findings, shown: list[dict], name: str) -> Chart:
    lines = []
    for held in shown:
        train, val = held.get(f"train/{name}", []), held.get(f"val/{name}", [])
        single = list(zip(train, val, strict=False)) if len(train) > 1 else []
        lines.append(Line(found.settings(held[""]), mean_curve(train), mean_curve(val), single))
    ends = [f"{line.label}: validation ends at {list(line.val.values())[-1]:.4f}" for line in lines if line.val]
    return Chart(f"curves_{name}", f"{name.capitalize()} by epoch", "; ".join(ends), curves_chart(lines, name))


def _cost(found: Findings) -> list[Block]:
    runs = [run for run in found.runs if run.metrics.get("train_seconds", 0) > 0]
    if len(runs) < 2:
        return []
    seconds = [run.metrics["train_seconds"] for run in runs]
    front = pareto_front(seconds, [run.metrics["val/accuracy"] for run in runs])
    points = [Point(s, validation_accuracy(run), found.ref(run)) for s, run in zip(seconds, runs, strict=True)]
    named = "; ".join(f"{points[i].ref} {points[i].y[0]:.2%} after {amount(seconds[i])} s" for i in front)
    text = f"Pareto front (no other run is both faster and more accurate): {named}."
    machines = {str((run.provenance.get("hardware"), run.provenance.get("device"))) for run in runs}
    if len(machines) > 1:
        text += f" Caution: the runs come from {len(machines)} kinds of hardware; their seconds do not compare."
    return [
        Text(text),
        Chart("cost", "Validation accuracy against seconds of training", named, cost_chart(points, front)),
    ]


def _settings(found: Findings) -> list[Block]:
    keys = [key for key in found.keys if key != "seed"]
    charts: list[Block] = []
    for number, key in enumerate(keys[:SETTINGS_SHOWN]):
        points = [Point(value_of(run, key), validation_accuracy(run), found.ref(run)) for run in found.runs]
        numbers = all(isinstance(p.x, int | float) and not isinstance(p.x, bool) for p in points)
        points = points if numbers else [Point(str(p.x), p.y, p.ref) for p in points]
        best = f"Best: {value_of(found.runs[0], key)} with {points[0].y[0]:.2%}"
        charts.append(Chart(f"setting_{number}", f"Validation accuracy by {key}", best, setting_chart(points, key)))
    if len(keys) > SETTINGS_SHOWN:
        charts.insert(0, Text(f"The first {SETTINGS_SHOWN} of {len(keys)} varied keys are shown."))
    return charts


def _confusions(found: Findings) -> list[Block]:
    every = [(run, confusion(found, run)) for run in found.runs]
    matrices = [matrix for _, matrix in every if matrix]
    if not matrices:
        return [Text("No run has counts: test one, or train with this version of fakereal.")]
    text = "Rows are the true classes, columns the predicted ones; FAKE is the positive class."
    if len(matrices) > CONFUSIONS_SHOWN:
        text += f" The best {CONFUSIONS_SHOWN} of {len(matrices)} are shown."
    return [Text(text), Confusions(matrices[:CONFUSIONS_SHOWN])]


def _pairs(found: Findings) -> list[Block]:
    table = pairs_table(found)
    blocks: list[Block] = []
    if table.rows:
        limit = (
            f" The best {COMPARED} of {found.pairs.tested} tests are compared." if found.pairs.tested > COMPARED else ""
        )
        text = "Every two tests on the same images. AUROC difference: the first minus the second."
        blocks += [Text(text + limit), table]
    if found.pairs.refused:
        refused = [[f"{found.ref(a)} and {found.ref(b)}", why] for a, b, why in found.pairs.refused]
        blocks += [Text("Refused:"), Table(("pair", "why"), refused)]
    return blocks
