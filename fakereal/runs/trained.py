"""Run directories as values: settings, figures and provenance, or the reason why one cannot be reported."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from fakereal.runs.commands import resume_command
from fakereal.runs.folders import (
    Unusable,
    read_hydra,
    read_json,
    read_overrides,
    read_yaml,
    require,
)
from fakereal.runs.image_digests import ImageDigests
from fakereal.runs.outcome import PRUNED, Failed, Unfinished, final_metrics

REQUIRED = (
    "val/accuracy",
    "val/accuracy_low",
    "val/accuracy_high",
    "val/auroc",
    "val/loss",
    *(f"val/{name}" for name in ("images", "tn", "fp", "fn", "tp")),
    "epochs",
    "parameters",
)
CHECKPOINT = ("checkpoint", "checkpoint_digest")
OPTIONAL = ("train_seconds", "images_per_second", "best_epoch", "val/trained_on_before")


class LeftOut(NamedTuple):
    """What is not in the report, and why."""

    what: str
    reason: str


@dataclass(eq=False)
class Run:
    """A finished training.

    Attributes:
        config: its configuration, flattened (`optimizer.lr`), interpolations as text.
        overrides: what the command line gave.
        choices: the options of the config groups (`model`, `data/augment`).
        metrics: metrics.json; figures of best.ckpt.
        provenance: provenance.json.
    """

    folder: Path
    config: dict[str, Any]
    overrides: dict[str, str]
    choices: dict[str, Any]
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    name: str = ""

    @cached_property
    def images(self) -> ImageDigests:
        return ImageDigests.of_provenance(self.provenance["data"])

    @property
    def time(self) -> str:
        return str(self.provenance.get("time", ""))

    @property
    def checkpoint(self) -> Path | None:
        """best.ckpt where it lies now: the directory may have been moved since; None where it is gone."""
        paths = (self.folder / "checkpoints" / "best.ckpt", Path(self.metrics["checkpoint"]))
        return next((path.absolute() for path in paths if os.path.isfile(path)), None)  # False where it may not look


def read_runs(folders: Iterable[Path], monitor: str) -> tuple[list[Run], list[LeftOut]]:
    """All that can be reported of the training directories, and what is left out."""
    runs, left_out, by_digest = [], [], {}
    for folder in folders:
        try:
            run = read_run(folder, monitor)
        except Unusable as reason:
            left_out.append(LeftOut(str(folder), str(reason)))
            continue
        first = by_digest.setdefault(run.metrics["checkpoint_digest"], run)
        if first is run:
            runs.append(run)
        else:
            left_out.append(LeftOut(str(folder), f"a copy of {first.folder}: the same checkpoint"))
    return runs, left_out


def read_run(folder: Path, monitor: str) -> Run:
    """One run directory; Unusable with the reason where something that the report needs is not there."""
    config = read_yaml(folder / ".hydra" / "config.yaml")
    if not isinstance(config, dict):
        raise Unusable("config.yaml holds no settings")
    overrides = read_overrides(folder)
    try:
        metrics = final_metrics(folder)
    except Failed as failure:
        said = " ".join(str(failure).split())
        raise Unusable(said.replace(PRUNED, "pruned", 1) if failure.pruned else f"failed: {said}") from None
    except Unfinished:
        raise Unusable(_how_to_go_on(folder)) from None
    require(metrics, (monitor, *REQUIRED), CHECKPOINT, OPTIONAL)
    provenance = read_json(folder / "provenance.json")
    data = provenance.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("digest"), str):
        raise Unusable("provenance.json has no data.digest: it was written by another version of fakereal")
    choices = {key: value for key, value in _chosen(folder).items() if not str(key).startswith("hydra/")}
    return Run(folder, flat(config), overrides, choices, metrics, provenance)


def _chosen(folder: Path) -> dict[str, Any]:
    runtime = read_hydra(folder).get("runtime")
    chosen = runtime.get("choices") if isinstance(runtime, dict) else None
    return chosen if isinstance(chosen, dict) else {}


def _how_to_go_on(folder: Path) -> str:
    """With a run that is not finished."""
    last = folder / "checkpoints" / "last.ckpt"
    if not last.exists() and not (folder / "csv").exists():
        return "no metrics.json: training never started (see its train.log)"
    return f"not finished; unless it is still running, resume it with: {resume_command(folder)}"


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`; lists and empty dicts are values."""
    result: dict[str, Any] = {}
    for key, value in config.items():
        inner = isinstance(value, dict) and value
        result |= flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return result


def of_one_dataset(runs: list[Run]) -> tuple[list[Run], list[Run]]:
    """The runs on the images of most of them (of the newest run where two have as many), and the others."""
    stored = Counter(run.images for run in runs)
    counts = {one: sum(n for other, n in stored.items() if other.same_as(one)) for one in stored}
    most = max(counts.values(), default=0)
    newest = max((run for run in runs if counts[run.images] == most), key=lambda run: run.time, default=None)
    kept = [run for run in runs if run.images.same_as(newest.images)] if newest else []
    return kept, [run for run in runs if run not in kept]


def left_out_for(run: Run, kept: Run) -> LeftOut:
    """Why a run is not reported beside one on other images."""
    return LeftOut(
        str(run.folder),
        f"trained on other data ({run.provenance['data'].get('class')} {run.images.stored[:12]}; this report: "
        f"{kept.images.stored[:12]}). Report it by itself: runs={run.folder}",
    )


def name_runs(runs: list[Run]) -> None:
    """Names each by its path below the folder that all share; a job's number with its sweep."""
    paths = [run.folder.absolute() for run in runs]
    common = os.path.commonpath([path.parent for path in paths]) if paths else ""
    for run, path in zip(runs, paths, strict=True):
        name = path.relative_to(common).as_posix()
        run.name = f"{path.parent.name}/{name}" if name.isdigit() else name
