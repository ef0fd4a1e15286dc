"""What lies in the directories that commands leave. Imported at each start of a sweep: light."""

import glob
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fakereal.config.words import values_of
from fakereal.runtime.errors import first_line

JOURNAL = "study.journal"  # of a search, in the directory of its jobs
TRAINS = {"train", "tune"}  # commands that leave trainings, and go on with each other's
INNER = {".hydra", "checkpoints", "csv", "figures"}  # of a run: its own output never holds another run


class Unusable(Exception):
    """A directory that cannot be reported; the message is the reason."""


def expand(patterns: str | list[str]) -> tuple[list[Path], list[str]]:
    """The directories that paths and globs (`*`, `**`) name, each once, and the patterns that name none."""
    found, empty = [], []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        pattern = os.path.expanduser(pattern)
        paths = [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern, recursive=True))
        folders = [Path(path) for path in paths if os.path.isdir(path)]
        found += folders
        if not folders:
            empty.append(pattern)
    return found, empty


def results_below(roots: list[Path]) -> Iterator[Path]:
    """Every directory with a `.hydra` or a `metrics.json`, in order of job number or name, each once."""
    seen = set()
    for root in roots:
        for name, folders, files in os.walk(root, followlinks=True):  # a sweep may lie on another disk
            if (real := os.path.realpath(name)) in seen:
                folders.clear()  # a link in a circle would never end
                continue
            seen.add(real)
            holds = ".hydra" in folders or "metrics.json" in files
            folders[:] = sorted((f for f in folders if not (holds and f in INNER)), key=number_of)
            if holds:
                yield Path(name)


def number_of(name: str) -> tuple[int, str]:
    """Sorts job numbers as numbers, before all other names."""
    return (int(name) if name.isdecimal() else sys.maxsize, name)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; Unusable where the file is missing, cut short or something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Unusable(f"it has no {path.name}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise Unusable(f"{path.name} cannot be read, perhaps half-written ({error})") from None
    if not isinstance(value, dict):
        raise Unusable(f"{path.name} is not a JSON object (its type is {type(value).__name__})")
    return value


def require(
    metrics: dict[str, Any],
    figures: Iterable[str],
    texts: Iterable[str],
    optional: Iterable[str] = (),
    of: str = "metrics.json",
) -> None:
    """Unusable where a figure is missing or no finite number, an accuracy or AUROC no share, or a text missing.

    `of`: the file that these were read from.
    """
    for key in (*texts, *figures):
        if key not in metrics:
            raise Unusable(f"{of} has no {key}: it was written by another version of fakereal")
    for key in texts:
        parts = metrics[key] if isinstance(metrics[key], list) and metrics[key] else [metrics[key]]
        if not all(isinstance(part, str) for part in parts):
            raise Unusable(f"{of} says {key}={metrics[key]!r}, which is not text")
    for key in (*figures, *(key for key in optional if key in metrics)):
        value = metrics[key]
        number = isinstance(value, int | float) and math.isfinite(value)
        share = any(name in key for name in ("accuracy", "auroc"))
        if not number or (share and not 0 <= value <= 1):
            raise Unusable(f"{of} says {key}={value!r}, which is not a valid figure")


def read_yaml(path: Path) -> Any:
    """Plain values of a YAML file, interpolations as text; Unusable where it cannot be read."""
    import yaml

    # OmegaConf.load takes 50 ms a config, libyaml 4 ms: a report may read hundreds
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(path.read_text(encoding="utf-8"), loader)
    except FileNotFoundError:
        raise Unusable(f"it has no {path.parent.name}/{path.name}") from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise Unusable(f"{path.name} cannot be read ({first_line(error)})") from None


def read_overrides(folder: Path) -> dict[str, str]:
    """What the command line gave, key to text; `~key` deletions are left out."""
    return values_of(words_of(folder))


def words_of(folder: Path) -> list[str]:
    """The overrides of a run, as they were typed."""
    words = read_yaml(folder / ".hydra" / "overrides.yaml") or []
    if not isinstance(words, list):
        raise Unusable("overrides.yaml holds no list")
    return list(map(str, words))


def read_hydra(folder: Path) -> dict[str, Any]:
    """What Hydra says of a job; empty where its file cannot be read."""
    try:
        said = read_yaml(folder / ".hydra" / "hydra.yaml")["hydra"]
    except (Unusable, KeyError, TypeError):
        return {}
    return said if isinstance(said, dict) else {}


def command_of(folder: Path) -> str:
    """Which command (`train`, `test`, ...) left a directory."""
    try:
        return str(read_hydra(folder)["job"]["config_name"])
    except (KeyError, TypeError):
        return "test" if (folder / "look.json").exists() else "train"


def in_placed_sweep(folder: Path) -> bool:
    """Whether a run is a job of a sweep with a name or a directory, with which the same command goes on."""
    said = read_hydra(folder)
    words = [*words_of(folder), *said.get("overrides", {}).get("hydra", [])]
    return said.get("mode") == "MULTIRUN" and not {"sweep", "hydra.sweep.dir"}.isdisjoint(values_of(words))
