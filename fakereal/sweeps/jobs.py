"""A sweep that is begun again in its directory: each job finds its own, by its configuration and not by its number.

Imported before torch: a finished job is passed over in a moment.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from fakereal.config.elsewhere import ELSEWHERE, ELSEWHERE_WITHIN
from fakereal.config.ranks import from_outside, rank
from fakereal.config.words import key_of
from fakereal.runs.folders import Unusable, read_json, read_yaml
from fakereal.runs.outcome import final_metrics
from fakereal.runtime.errors import UserError
from fakereal.runtime.files import write_json

log = logging.getLogger(__name__)


def job_number(proposed: int, *, _root_: DictConfig) -> str:
    """The directory's name of a sweep's job: that of an equal one before, else `proposed`, or the next that is free.

    A resolver for `hydra.sweep.subdir`. Launchers that start at once take turns.
    """
    sweep, identity = Path(_root_.hydra.sweep.dir), identity_of(OmegaConf.to_container(_root_))
    sweep.mkdir(parents=True, exist_ok=True)
    with FileLock(sweep / ".jobs.lock"):
        known = known_jobs(sweep)
        if identity not in known:
            taken = {int(path.name) for path in sweep.iterdir() if path.name.isdecimal()} | set(known.values())
            known[identity] = max(taken) + 1 if int(proposed) in taken else int(proposed)
            write_json(sweep / ".jobs.json", known)
    return str(known[identity])


def identity_of(config: dict[str, Any]) -> str:
    """A digest of what a job trains, of its configuration without what is resolved or chosen for the machine."""
    what = {key: value for key, value in config.items() if key not in ELSEWHERE}
    if isinstance(data := what.get("data"), dict):
        what["data"] = {key: None if key in ELSEWHERE_WITHIN["data"] else value for key, value in data.items()}
    if isinstance(trainer := what.get("trainer"), dict):
        what["trainer"] = {key: value for key, value in trainer.items() if key not in ELSEWHERE_WITHIN["trainer"]}
    return sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()


def refuse_equal_jobs(words: list[str]) -> None:
    """UserError where a sweep is over a key that says how or where: its jobs would count as one."""
    for override in OverridesParser.create().parse_overrides(words):
        key = key_of(override.get_key_element())
        group, _, name = key.partition(".")
        if (group in ELSEWHERE or name in ELSEWHERE_WITHIN.get(group, ())) and override.is_sweep_override():
            raise UserError(
                f"{override.input_line}: jobs that differ only in {key} train the same, and only the first would be "
                "trained. Run one command for each value, each with its own sweep=NAME or hydra.run.dir=DIR."
            )


def known_jobs(sweep: Path) -> dict[str, int]:
    """Numbers by identity; from the jobs' own directories where the index is missing or damaged."""
    try:
        return {str(key): int(value) for key, value in read_json(sweep / ".jobs.json").items()}
    except (Unusable, TypeError, ValueError):
        pass
    found = {}
    for path in sweep.glob("*/.hydra/config.yaml"):
        job = path.parent.parent.name
        try:
            if job.isdecimal():
                found[identity_of(read_yaml(path))] = int(job)
        except (Unusable, AttributeError):
            log.warning("%s cannot be read: its job is not recognised", path)
    return found


def unfinished(jobs: list[list[str]], cfg: DictConfig, loader: ConfigLoader) -> list[list[str]]:
    """Of jobs, each a list of overrides, those that are not finished in the directory of the sweep."""
    sweep = Path(cfg.hydra.sweep.dir)
    known = known_jobs(sweep) if sweep.is_dir() else {}

    def is_finished(job: list[str]) -> bool:
        config = loader.load_sweep_config(cfg, job)
        number = known.get(identity_of(OmegaConf.to_container(config)))
        return number is not None and finished(sweep / str(number), str(config.monitor)) is not None

    return [job for job in jobs if not is_finished(job)] if known else jobs


def in_sweep() -> bool:
    """Whether this is a job of a sweep."""
    return HydraConfig.get().mode == RunMode.MULTIRUN


def is_trial() -> bool:
    """Whether this job belongs to a search."""
    return HydraConfig.get().sweeper.get("trial") is not None


@contextmanager
def claimed(monitor: str) -> Iterator[dict[str, Any] | None]:
    """The metrics of this job where it is finished, else None: its directory is then this process's for the while.

    Where another process trains it just now, the trial of a search waits; for others `monitor` is not a number. A
    single run is never finished before, and UserError where another process trains in its directory.
    """
    out, single = Path(HydraConfig.get().runtime.output_dir), not in_sweep()

    def before() -> dict[str, Any] | None:
        return None if single else finished(out, monitor)

    # The first claims it for all, also for the ranks that Lightning starts for a single run.
    if rank() or int(os.environ.get("LOCAL_RANK", 0)):
        yield before()
        return
    lock = FileLock(out / ".training.lock")
    try:
        lock.acquire(timeout=-1 if is_trial() else 0)  # a trial with the values of another has its result
    except Timeout:
        if single:
            raise UserError(
                f"hydra.run.dir={out}: another process is training in this directory. Wait for it, or give another "
                "directory."
            ) from None
        log.warning("Job %s is being trained by another process, and left to it: %s", out.name, out)
        if from_outside():  # the other ranks would train it nevertheless; torchrun and Slurm end them
            raise SystemExit(f"Job {out.name} already has ranks: {out}") from None
        yield {monitor: float("nan")}
        return
    try:
        yield before()
    finally:
        lock.release()


def finished(out: Path, monitor: str) -> dict[str, Any] | None:
    """The metrics of a job that is complete, and after which nothing failed."""
    try:
        metrics = final_metrics(out)
        value = float(metrics[monitor])
    except (Unusable, KeyError, TypeError, ValueError):
        return None
    log.info("Job %s is already finished, %s %.4f: %s", out.name, monitor, value, out)
    return metrics
