"""The sections of the report that are figures."""

from fakereal.presentation.content import Block, Chart, Text
from fakereal.reporting.charts import Point, cost_chart, pareto_front, setting_chart
from fakereal.reporting.curve_chart import COLOURS, Line, curves_chart
from fakereal.reporting.figures import validation_accuracy
from fakereal.reporting.gather import ReportFindings
from fakereal.reporting.tables import amount
from fakereal.runs.curves import Curve, mean_curve
from fakereal.runs.settings import Group, shown, value_of
from fakereal.runs.trained import Run

SETTINGS_SHOWN = 8
VALUES_SHOWN = 30


def curves_blocks(found: ReportFindings) -> list[Block]:
    """Loss and accuracy by epoch, of the best settings."""
    lines = [(group, [found.curves[run] for run in group.runs if found.curves[run]]) for group in found.groups]
    lines = [(group, held) for group, held in lines if held]
    missing = [found.ref(run) for run in found.runs if not found.curves[run]]
    none = f"No curves of {', '.join(missing[:12])}{', ...' if len(missing) > 12 else ''}: " if missing else ""
    note = f"{none}they wrote no CSV log (logger=csv)." if missing else ""
    if not lines:
        return [Text(note)]
    shown = lines[: len(COLOURS)]
    limit = f" The best {len(shown)} of {len(lines)} settings by {found.monitor} are shown." if shown != lines else ""
    text = (
        "Where validation (dashed) diverges from training (solid), the network overfits; where both stay poor, it "
        "underfits. Training figures are means over the epoch, on augmented images. For settings with several seeds "
        f"the mean is drawn, and each seed as a thin line.{limit} {note}"
    )
    return [Text(text.strip()), *(_curves_of(found, shown, name) for name in ("loss", "accuracy"))]


def _curves_of(found: ReportFindings, shown: list[tuple[Group, list[dict[str, Curve]]]], name: str) -> Chart:
    lines = []
    for group, held in shown:
        train, val = ([curves.get(f"{split}/{name}", {}) for curves in held] for split in ("train", "val"))
        single = list(zip(train, val, strict=True)) if len(held) > 1 else []
        lines.append(Line(found.settings(group), mean_curve(train), mean_curve(val), single))
    ends = [f"{line.label}: validation ends at {list(line.val.values())[-1]:.4f}" for line in lines if line.val]
    return Chart(f"curves_{name}", f"{name.capitalize()} by epoch", "; ".join(ends), curves_chart(lines, name))


def cost_blocks(found: ReportFindings) -> list[Block]:
    """Accuracy against seconds; nothing of fewer than two runs that know theirs."""
    runs = [run for run in found.runs if run.metrics.get("train_seconds", 0) > 0]
    if len(runs) < 2:
        return []
    seconds = [run.metrics["train_seconds"] for run in runs]
    front = pareto_front(seconds, [run.metrics["val/accuracy"] for run in runs])
    points = [Point(s, validation_accuracy(run), found.ref(run)) for s, run in zip(seconds, runs, strict=True)]
    named = "; ".join(f"{points[i].ref} {points[i].y[0]:.2%} after {amount(seconds[i])} s" for i in front)
    text = f"Pareto front (no other run is both faster and more accurate): {named}."
    return [
        Text(text + _caution(runs)),
        Chart("cost", "Validation accuracy against seconds of training", named, cost_chart(points, front)),
    ]


def _caution(runs: list[Run]) -> str:
    """A sentence where seconds do not compare."""
    kinds, threads = set(), set()
    for run in runs:
        hardware = run.provenance.get("hardware")
        machine = dict(hardware) if isinstance(hardware, dict) else {}
        threads.add(str(machine.pop("threads", None)))
        kinds.add(str((machine, run.provenance.get("device"))))
    if len(kinds) > 1:
        return f" Caution: the runs come from {len(kinds)} kinds of hardware; their seconds are not comparable."
    if len(threads) > 1:
        return " Caution: the runs had different numbers of threads; their seconds are not comparable."
    return ""


def settings_blocks(found: ReportFindings) -> list[Block]:
    """Accuracy against each varied key but the seed."""
    keys = [key for key in found.keys if key != "seed"]
    charts: list[Block] = []
    for number, key in enumerate(keys[:SETTINGS_SHOWN]):
        points = [Point(value_of(run, key), validation_accuracy(run), found.ref(run)) for run in found.runs]
        best, title = f"The winner has {points[0].x}: {points[0].y[0]:.2%}", f"Validation accuracy by {key}"
        if not all(isinstance(p.x, int | float) and not isinstance(p.x, bool) for p in points):
            values = list(dict.fromkeys(shown(p.x) for p in points))
            points = [Point(shown(p.x), p.y, p.ref) for p in points if shown(p.x) in values[:VALUES_SHOWN]]
            title += f", the best {VALUES_SHOWN} of {len(values)} values" if len(values) > VALUES_SHOWN else ""
        charts.append(Chart(f"setting_{number}", title, best, setting_chart(points, key)))
    if len(keys) > SETTINGS_SHOWN:
        charts.insert(0, Text(f"The first {SETTINGS_SHOWN} of {len(keys)} varied keys are shown."))
    return charts
