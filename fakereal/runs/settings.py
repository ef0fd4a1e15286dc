"""In what the runs differ: the varied keys, labels by them, and groups that differ in the seed alone."""

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from fakereal.config.elsewhere import ELSEWHERE, ELSEWHERE_WITHIN
from fakereal.config.monitor import mode_of
from fakereal.runs.trained import Run

# What does not make another job of a sweep; nor do names, and where the same images and the outputs lie.
IGNORED = (
    *("title", "data.root", "trainer.default_root_dir"),
    *(f"{group}.{key}" for group, keys in ELSEWHERE_WITHIN.items() for key in keys),
)
OUTPUTS = (".dirpath", ".save_dir")
READABLE = 6  # settings in the name of a run
DEFAULT = "(default)"


@dataclass(eq=False)
class Group:
    """Runs of the same settings: `runs` with distinct seeds, the best first; `members` with repeated seeds too."""

    runs: list[Run]
    members: list[Run]

    def values(self, metric: str) -> list[float]:
        return [run.metrics[metric] for run in self.runs if metric in run.metrics]


def ignored(key: str) -> bool:
    return key in IGNORED or key.split(".")[0] in ELSEWHERE or key.endswith(OUTPUTS)


def ranked(runs: list[Run], monitor: str) -> list[Run]:
    """The best by the monitored metric first; of equals the one of lower loss, then of fewer parameters."""
    sign = 1 if mode_of(monitor) == "min" else -1
    return sorted(
        runs,
        key=lambda run: (
            sign * run.metrics[monitor],
            run.metrics["val/loss"],
            run.metrics["parameters"],
            run.name,
        ),
    )


def value_of(run: Run, key: str) -> Any:
    """What a key was in a run: the choice of a group, a value, or for a node what the command line said."""
    if key in run.choices:
        return run.choices[key]
    value = run.config.get(key, run.overrides.get(key, DEFAULT))
    if isinstance(value, str) and value.startswith("${") and key not in run.overrides:
        return DEFAULT  # it follows another key, or the machine
    return json.dumps(value) if isinstance(value, dict | list) else value


def varied_keys(runs: list[Run]) -> list[str]:
    """The keys that somebody set for some of the runs, and that differ between them; the seed last."""
    keys = dict.fromkeys(key for run in runs for key in run.overrides if not ignored(key)) | {"seed": None}
    varied = [key for key in keys if len({_content(run, key, list(keys)) for run in runs}) > 1]
    return sorted(varied, key=lambda key: key == "seed")


def _content(run: Run, key: str, keys: list[str]) -> str:
    """Told apart by what a node holds: `[default]` and nothing on the command line are the same.

    What others of the keys say of a part of the node, `optimizer.lr` of `optimizer`, is theirs to tell.
    """
    others = [node for other in keys if _within(node := other.replace("/", "."), key) and other != key]
    node = {
        name: value
        for name, value in run.config.items()
        if _within(name, key) and not any(_within(name, other) for other in others)
    }
    return json.dumps([run.choices.get(key), node], default=str)


def _within(name: str, key: str) -> bool:
    return name == key or name.startswith(f"{key}.")


def short(key: str, keys: list[str]) -> str:
    """`optimizer.lr` as `lr`, unless another of the keys ends so too."""
    last = key.replace("/", ".").rsplit(".", 1)[-1]
    alike = [other for other in keys if other.replace("/", ".").rsplit(".", 1)[-1] == last]
    return last if len(alike) == 1 else key


def label(run: Run, keys: list[str]) -> str:
    """`lr=0.003, seed=1`; the run's name where nothing varies."""
    return ", ".join(f"{short(key, keys)}={shown(value_of(run, key))}" for key in keys) or run.name


def readable(run: Run, keys: list[str]) -> str:
    """Its `label`, or its name where more varies than a person reads: tables have all of it."""
    return label(run, keys) if len(keys) <= READABLE else run.name or str(run.folder)


def shown(value: Any) -> str:
    """A setting as a person writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def by_settings(runs: list[Run], monitor: str) -> list[Group]:
    """Groups of runs that differ in `seed` alone, the best mean first; most hold a single run.

    `${seed}` is compared as text, so that what follows the seed is the same. Of two runs with the same seed the
    newer counts: they are no independent draws.
    """
    alike = defaultdict(list)
    for run in runs:
        settings = {key: value for key, value in run.config.items() if key != "seed" and not ignored(key)}
        alike[json.dumps(settings, sort_keys=True, default=str)].append(run)
    groups = []
    for members in alike.values():
        by_seed = {run.config.get("seed"): run for run in sorted(members, key=lambda run: run.time)}
        groups.append(Group(ranked(list(by_seed.values()), monitor), members))
    sign = 1 if mode_of(monitor) == "min" else -1
    groups.sort(key=lambda group: sign * float(np.mean(group.values(monitor))))
    return groups
