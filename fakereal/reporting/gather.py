"""Everything that a report tells, before it is put into words."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fakereal.config.schema import resolved
from fakereal.reporting.baselines import Baselines, read_baselines
from fakereal.reporting.comparisons import COMPARED, Pairs, compare
from fakereal.runs.curves import Curve, read_curves
from fakereal.runs.folders import TRAINS, command_of, expand, results_below
from fakereal.runs.ledger import looks_at, members_of
from fakereal.runs.settings import Group, by_settings, ranked, readable, varied_keys
from fakereal.runs.tested import Joined, Tested, data_of, join, read_tests
from fakereal.runs.trained import LeftOut, Run, left_out_for, name_runs, of_one_dataset, read_runs
from fakereal.runtime.errors import UserError
from fakereal.runtime.progress import bar

STRANGER = "a test result of a checkpoint that belongs to no run in this report"


@dataclass
class ReportFindings:
    """Runs with the best first, and all that was read and computed of them."""

    monitor: str
    resamples: int
    runs: list[Run]
    keys: list[str]
    groups: list[Group]
    tests: Joined
    pairs: Pairs
    curves: dict[Run, dict[str, Curve]]
    looks: list[dict[str, Any]]  # the ledger's entries about the test split of these runs
    left_out: list[LeftOut]
    baselines: Baselines

    def ref(self, item: Run | Tested) -> str:
        """`#1` for the best run, `E1` for the first ensemble, `#1 on data=folder` for its test on other images."""
        if isinstance(item, Tested) and item in self.tests.ensembles:
            return f"E{self.tests.ensembles.index(item) + 1}"
        if isinstance(item, Tested):
            run = next(run for run, test, _ in self.tests.elsewhere if test is item)
            return f"{self.ref(run) if run else 'ensemble'} on {data_of(item)}"
        return f"#{self._places[item]}"

    def named(self, item: Run | Tested) -> str:
        """`#1 (sweep/3)`: the reference with where it lies."""
        return f"{self.ref(item)} ({item.folder if isinstance(item, Tested) else item.name})"

    def label(self, run: Run) -> str:
        """What sets a run apart: its varied settings, and its name where they do not, or are many."""
        text = readable(run, self.keys)
        return f"{text} ({run.name})" if self._labels[text] > 1 else text

    # Of a thousand runs each is looked up a thousand times.
    @cached_property
    def _places(self) -> dict[Run, int]:
        return {run: place for place, run in enumerate(self.runs, start=1)}

    @cached_property
    def _labels(self) -> Counter[str]:
        return Counter(readable(run, self.keys) for run in self.runs)

    @cached_property
    def _group_of(self) -> dict[Run, Group]:
        return {run: group for group in self.groups for run in group.members}

    def group_of(self, run: Run) -> Group:
        return self._group_of[run]

    def settings(self, group: Group) -> str:
        """What sets a group apart from other groups: its varied settings without the seed."""
        run, keys = group.runs[0], [key for key in self.keys if key != "seed"]
        if keys:
            text = readable(run, keys)
            alike = sum(readable(other.runs[0], keys) == text for other in self.groups) > 1
            return f"{text} ({run.name})" if alike else text
        said = {key: run.choices.get(key) or run.overrides.get(key) for key in ("experiment", "model")}
        return next((f"{key}={value}" for key, value in said.items() if value), run.name)


def gather(cfg: DictConfig) -> ReportFindings:
    """Reads and compares; UserError where there is no run that can be reported."""
    roots, empty = expand(resolved(cfg.runs))
    left_out = [LeftOut(pattern, "runs= names no directory there") for pattern in empty]
    folders = list(results_below(roots))
    left_out += [LeftOut(str(root), "nothing below it was written by fakereal") for root in _barren(roots, folders)]
    commands = {folder: command_of(folder) for folder in folders}
    runs, problems = read_runs([folder for folder in folders if commands[folder] in TRAINS], cfg.monitor)
    runs, others = of_one_dataset(runs)
    left_out += problems + [left_out_for(run, runs[0]) for run in others]
    if not runs:
        raise UserError(_nothing(cfg, left_out))
    name_runs(runs)
    runs = ranked(runs, cfg.monitor)

    tests, problems = _tests(cfg, [folder for folder in folders if commands[folder] == "test"], runs, others)
    baselines, unread = read_baselines(resolved(cfg.audits), runs)
    left_out += problems + unread
    looks = looks_at(runs[0].images, Path(cfg.ledger))
    counts = Counter(map(members_of, looks))
    for test in (*tests.of_run.values(), *tests.ensembles):
        test.looks = max(test.looks, counts[test.digests])
    pairs = _compare(cfg, runs, tests)
    return ReportFindings(
        monitor=cfg.monitor,
        resamples=cfg.resamples,
        runs=runs,
        keys=varied_keys(runs),
        groups=by_settings(runs, cfg.monitor),
        tests=tests,
        pairs=pairs,
        curves={run: read_curves(run.folder) for run in runs},
        looks=looks,
        left_out=left_out + pairs.left_out,
        baselines=baselines,
    )


def _barren(roots: list[Path], folders: list[Path]) -> list[Path]:
    """The roots below which none of the folders lies, by the path that it was found by or by another."""
    paths = [path for folder in folders for path in (folder, folder.resolve())]
    above = {parent for path in paths for parent in (path, *path.parents)}
    return [root for root in roots if above.isdisjoint((root, root.resolve()))]


def _tests(cfg: DictConfig, below: list[Path], runs: list[Run], others: list[Run]) -> tuple[Joined, list[LeftOut]]:
    """The tests in `below` (found below `runs=`) and below `tests=`, joined to the runs; and what is left out."""
    roots, empty = expand(resolved(cfg.tests) or [])
    left_out = []
    if any(word.startswith("tests=") for word in HydraConfig.get().overrides.task):  # the default may be missing
        left_out += [LeftOut(pattern, "tests= names no directory there") for pattern in empty]
    beside = [folder for folder in results_below(roots) if command_of(folder) == "test"]
    results, problems = read_tests({folder.resolve(): folder for folder in (*beside, *below)}.values())
    tests = join(results, runs, others)
    unseen = [test for _, test in tests.of_others if not (test.folder / "groups.csv").exists()]
    strangers = [test.folder for test in (*tests.strangers, *unseen) if test.folder in below]  # of tests=, are expected
    return tests, left_out + problems + [LeftOut(str(folder), STRANGER) for folder in strangers]


def _compare(cfg: DictConfig, runs: list[Run], tests: Joined) -> Pairs:
    """The newest ensembles and the best runs; and whatever was tested on the same other images."""
    ensembles = tests.ensembles[::-1]
    own: dict[Any, Tested] = {test: test for test in ensembles[: COMPARED // 2]}
    own |= {run: tests.of_run[run] for run in runs if run in tests.of_run}
    own |= {test: test for test in ensembles}
    others: dict[Any, dict[Any, Tested]] = defaultdict(dict)
    for _, test, _ in tests.elsewhere:
        others[test.images.files or test.images.stored, test.metrics["test/images"]][test] = test
    with bar("Resampling the tests", 1.0) as advance:
        return compare([own, *others.values()], cfg.resamples, cfg.seed, advance)


def _nothing(cfg: DictConfig, left_out: list[LeftOut]) -> str:
    lines = [f"runs={resolved(cfg.runs)}: there is no finished run to report."]
    lines += [f"- {what}: {reason}" for what, reason in left_out[:10]]
    if len(left_out) > 10:
        lines.append(f"- and {len(left_out) - 10} more")
    lines.append("Give runs=DIR, a run, a sweep or a folder above them; train one with python -m fakereal.train.")
    return "\n".join(lines)
