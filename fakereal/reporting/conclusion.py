"""The first thing a reader sees: the winner, how sure that is, and what to type next."""

from math import inf

from fakereal.config.monitor import mode_of
from fakereal.presentation.content import Block, Command, Text, four, p_value, percent, with_interval
from fakereal.reporting.figures import auroc_of, figure_of, over_seeds, validation_accuracy, validation_images
from fakereal.reporting.gather import ReportFindings
from fakereal.runs.commands import testing_command
from fakereal.runs.ledger import members_of
from fakereal.runs.trained import Run

# Runs that differ in these were validated on different images.
SPLIT_KEYS = (
    *("data.split_seed", "data.val_fraction", "data.test_fraction", "data.drop_duplicates"),
    "trainer.limit_val_batches",
)


def headline(found: ReportFindings) -> str:
    best = found.runs[0]
    name = found.label(best)
    if len(found.runs) == 1:
        return f"{name}: {monitored(found, best)}"
    return f"Winner: {name}, {monitored(found, best)}"


def monitored(found: ReportFindings, run: Run) -> str:
    """The figure that selects, with its interval where it is an accuracy."""
    if found.monitor == "val/accuracy":
        return f"{with_interval(validation_accuracy(run))} validation accuracy"
    return f"{found.monitor} {four(run.metrics[found.monitor])}"


def conclusion(found: ReportFindings) -> list[Block]:
    """Paragraphs and the test command."""
    best = found.runs[0]
    count = "The only run" if len(found.runs) == 1 else f"The best of {len(found.runs)} runs"
    how = "highest" if mode_of(found.monitor) == "max" else "lowest"
    first = f"{count} ({best.name})" + (f": the {how} {found.monitor}" if len(found.runs) > 1 else "")
    blocks: list[Block] = [Text(f"{first}, on {validation_images(best):,} validation images.")]
    blocks += [*_others(found), *_tested(found, best), *_trained_before(best), *_cheaper(found, best)]
    blocks += [*_runner_up(found), *_seeds(found)]
    for key in SPLIT_KEYS:
        if len({str(run.config.get(key)) for run in found.runs}) > 1:
            text = f"Caution: {key} differs between the runs, so they were validated on different images."
            blocks.append(Text(text))
    return blocks


def _others(found: ReportFindings) -> list[Block]:
    """A word on runs that are not ranked, but whose tests are shown."""
    others = {run for run, _ in found.tests.of_others}
    if not others:
        return []
    text = f"{len(others)} other runs were trained on other data and are not ranked here; balanced accuracy by group "
    return [Text(text + "(below) compares their tests with these.")]


def _tested(found: ReportFindings, best: Run) -> list[Block]:
    blocks: list[Block] = []
    test = found.tests.of_run.get(best)
    if test:
        accuracy = figure_of(test, "accuracy")
        looks = f", {test.looks} looks with this checkpoint, of which this is the newest" if test.looks > 1 else ""
        blocks.append(
            Text(
                f"On the test split: accuracy {with_interval(accuracy)}, AUROC {auroc_of(test)}, "
                f"{test.metrics['test/images']:,} images{looks}. The winner was picked by validation; "
                "test figures played no part."
            )
        )
    if best.checkpoint is None:
        return [*blocks, Text(f"Its checkpoint is gone: {best.metrics['checkpoint']} does not exist here.")]
    looks = sum(members_of(look) == (best.metrics["checkpoint_digest"],) for look in found.looks)
    elsewhere = f"It was tested ({looks} in the ledger), but there is no result where this report looks (tests=)."
    others = any(run is best for run, *_ in found.tests.elsewhere)
    never = "It has not been tested on its own test split, but on other images (see below)" if others else ""
    untested = f"{elsewhere} To test it again:" if looks else f"{never or 'It has not been tested yet'}. Test it:"
    blocks.append(Text("To look at the test split once more:" if test else untested))
    return [*blocks, Command(testing_command(best.checkpoint, best.folder))]


def _trained_before(best: Run) -> list[Block]:
    """A caution where init_from= brought weights that know images of validation."""
    if not (known := int(best.metrics.get("val/trained_on_before", 0))):
        return []
    text = f"Caution: the checkpoint of init_from= was trained or validated on {known:,} of its validation images"
    return [Text(f"{text}: its validation figures, and a choice by them, are too good.")]


def _cheaper(found: ReportFindings, best: Run) -> list[Block]:
    """A caution where the data can be told apart without a network."""
    for figures in list(found.baselines.figures.values())[:1]:
        accuracy = figures["val/accuracy"]
        if accuracy >= best.metrics["val/accuracy"]:
            right = f"is right on {percent(accuracy)} of validation"
            text = f"Caution: the baseline '{figures['title']}' {right}; this network is no better than that."
            return [Text(text)]
    return []


def _runner_up(found: ReportFindings) -> list[Block]:
    if len(found.runs) < 2:
        return []
    best, second = found.runs[:2]
    again = ""
    if found.group_of(best) is found.group_of(second):
        seeds = "the same" if best.config.get("seed") == second.config.get("seed") else "another"
        again = f" (the same settings, {seeds} seed)"
    text = f"Second: {found.label(second)}{again}, {monitored(found, second)}. "
    pair = found.pairs.of(best, second)
    if pair:
        alone = pair.only_first + pair.only_second
        better = pair.first if pair.only_first > pair.only_second else pair.second
        firm = f"more than noise, and {found.ref(better)} is better"
        said = firm if pair.adjusted < 0.05 else "indistinguishable from noise"
        p = p_value(pair.adjusted)
        text += (
            f"Of the {pair.images:,} test images, {alone:,} were classified correctly by only one of the two "
            f"({pair.only_first:,} by {found.ref(pair.first)}, {pair.only_second:,} by {found.ref(pair.second)}): "
            f"the difference is {said} (McNemar's exact test, p {p if p.startswith('<') else f'= {p}'} after "
            "Holm's correction over all pairs)."
        )
        return [Text(text)]
    one, other = validation_accuracy(best), validation_accuracy(second)
    overlap = one.low <= other.high and other.low <= one.high
    text += (
        "Their intervals of validation accuracy "
        + ("overlap: the difference may be noise. " if overlap else "do not overlap. ")
        + "Test both on the same images, and this report will compare them image by image."
    )
    return [Text(text)]


def _seeds(found: ReportFindings) -> list[Block]:
    group = found.group_of(found.runs[0])
    metric = found.monitor
    form = percent if metric == "val/accuracy" else four
    most = inf if metric == "val/loss" else 1.0
    if not (seeds := over_seeds(group.values(metric), most)):
        several = any(len(other.runs) > 1 for other in found.groups)
        alone = "The winner's settings were trained with one seed only."
        return [Text(alone)] if several else []
    text = (
        f"The winner's settings over {seeds.n} seeds: {metric} {form(seeds.mean)}, standard deviation "
        f"{form(seeds.deviation)}, 95% t-interval {form(seeds.low)} to {form(seeds.high)}."
    )
    top = found.groups[0]
    if top is not group and (other := over_seeds(top.values(metric), most)):
        text += f" On average {found.settings(top)} is better: {form(other.mean)} over {other.n} seeds."
    return [Text(text)]
