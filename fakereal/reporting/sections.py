"""What the report says below its conclusion, in order."""

from collections.abc import Callable

from fakereal.presentation.content import Block, Command, Confusions, Section, Table, Text, percent
from fakereal.reporting.chart_sections import cost_blocks, curves_blocks, settings_blocks
from fakereal.reporting.comparisons import COMPARED
from fakereal.reporting.figures import validation_images
from fakereal.reporting.gallery import gallery_blocks
from fakereal.reporting.gather import ReportFindings
from fakereal.reporting.groups import groups_blocks
from fakereal.reporting.looks import looks_blocks
from fakereal.reporting.study_sections import study_blocks
from fakereal.reporting.tables import (
    confusion,
    elsewhere_table,
    ensembles_table,
    pairs_table,
    published_table,
    runs_table,
    seeds_table,
)

CONFUSIONS_SHOWN = 6


def sections(found: ReportFindings) -> list[Section]:
    """Those that have something to say."""
    parts: list[tuple[str, str, Callable[[ReportFindings], list[Block]]]] = [
        ("published", "Against the published figures", lambda found: _table(published_table(found))),
        ("runs", "Runs", _runs),
        ("ensembles", "Ensembles", lambda found: _table(ensembles_table(found))),
        ("seeds", "Over seeds", _seeds),
        ("curves", "Learning curves", curves_blocks),
        ("cost", "Accuracy against training time", cost_blocks),
        ("settings", "Accuracy against what was varied", settings_blocks),
        ("search", "The search", study_blocks),
        ("confusion", "Confusion matrices", _confusions),
        ("gallery", "Errors, doubtful images and sure hits", gallery_blocks),
        ("groups", "Balanced accuracy by group", groups_blocks),
        ("pairs", "Pairs of tests", _pairs),
        ("looks", "Looks at the test split", looks_blocks),
        ("elsewhere", "On other images", lambda found: _table(elsewhere_table(found))),
        ("left-out", "Left out", lambda found: _table(Table(("what", "why"), [list(row) for row in found.left_out]))),
    ]
    made = [Section(slug, title, blocks) for slug, title, write in parts if (blocks := write(found))]
    return [*made, Section("intervals", "How to read the intervals", _intervals(found))]


def _table(table: Table) -> list[Block]:
    return [table] if table.rows else []


def _runs(found: ReportFindings) -> list[Block]:
    text = f"Sorted by {found.monitor}. Only settings that vary have a column; results.csv has every figure, unrounded."
    untested = len(found.runs) - len(found.tests.of_run)
    if found.tests.of_run and untested:
        text += f" {untested} of {len(found.runs)} runs are not tested."
    elif untested:
        text += " No run is tested."
    return [Text(text), *_baselines(found), runs_table(found)]


def _baselines(found: ReportFindings) -> list[Block]:
    cheap = found.baselines
    if not cheap.figures:
        return [
            Text("What cheap features alone achieve is not known yet; an audit measures it:"),
            Command(cheap.command),
        ]
    best = next(iter(cheap.figures.values()))
    text = (
        "Baselines are logistic regressions on cheap features, fitted on train without any selection (fakereal.audit, "
        f"{cheap.folder}). The best of them, {best['title']}, is right on {percent(best['val/accuracy'])} of "
        f"{cheap.images:,} validation images."
    )
    if cheap.images != (ours := validation_images(found.runs[0])):
        text += f" The runs were validated on other images of the same data ({ours:,})."
    return [Text(text)]


def _seeds(found: ReportFindings) -> list[Block]:
    table = seeds_table(found)
    repeated = sum(len(group.members) - len(group.runs) for group in found.groups)
    again = f" {repeated} run(s) repeat a seed: of those only the newest counts." if repeated and table.rows else ""
    return [Text(f"Runs that differ only in the seed.{again}"), table] if table.rows else []


def _confusions(found: ReportFindings) -> list[Block]:
    text = "Rows are the true classes, columns the predicted ones; FAKE is the positive class."
    if len(found.runs) > CONFUSIONS_SHOWN:
        text += f" The best {CONFUSIONS_SHOWN} of {len(found.runs)} are shown."
    return [Text(text), Confusions([confusion(found, run) for run in found.runs[:CONFUSIONS_SHOWN]])]


def _pairs(found: ReportFindings) -> list[Block]:
    table = pairs_table(found)
    blocks: list[Block] = []
    if table.rows:
        limit = (
            f" {COMPARED} of {found.pairs.tested} tests are compared: the newest ensembles and the best runs."
            if found.pairs.tested > COMPARED
            else ""
        )
        text = "Every pair of tests on the same images. AUROC difference: the first minus the second."
        blocks += [Text(text + limit), table]
    if found.pairs.refused:
        refused = [[f"{found.named(a)} and {found.named(b)}", why] for a, b, why in found.pairs.refused]
        blocks += [Text("Refused:"), Table(("pair", "why"), refused)]
    return blocks


def _intervals(found: ReportFindings) -> list[Block]:
    """What each kind of interval in this report tells, and what it does not."""
    texts = [
        "All intervals are 95%. Accuracy of one run: Wilson's score interval; it shows how much a figure on that many "
        "images can be luck, but not how much another seed would change it. AUROC: score interval "
        "(Newcombe 2006); loss: Student's over the images."
    ]
    if any(len(group.runs) > 1 for group in found.groups):
        texts.append(
            "Over seeds: Student's t-interval of the mean; it shows how much the seed matters. With two or three "
            "seeds it is wide; it is cut at 100%. A published figure is that of one training: it is compared with "
            "where one more seed of ours may lie (95% prediction interval)."
        )
    if found.pairs.compared:
        texts.append(
            "McNemar's exact test asks whether two runs are right equally often, from the images that only one gets "
            "right. Holm's correction keeps the chance of a single false alarm among all pairs below 5%. AUROC "
            f"difference: paired bootstrap; both are scored on the same resamples, {found.resamples:,} of them."
        )
    if len(found.runs) > 1:
        texts.append(
            "The winner is the best of several on validation, so its validation figure is a little too good; a figure "
            "on the test split, looked at once, is not."
        )
    return [Text(text) for text in texts]
