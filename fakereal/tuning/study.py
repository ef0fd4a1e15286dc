"""The study that all workers share: where it lies, what belongs to it, and which trials are under way."""

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import CategoricalDistribution
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

from fakereal.config.monitor import mode_of
from fakereal.config.words import key_of
from fakereal.runs.folders import JOURNAL
from fakereal.runs.settings import ignored
from fakereal.runs.trained import flat
from fakereal.runtime.errors import UserError, first_line
from fakereal.runtime.files import replace
from fakereal.runtime.text import printable
from fakereal.tuning.space import Space

log = logging.getLogger(__name__)
FORGIVEN = "forgiven"  # user attribute of a study: numbers of failed trials that do not count
INSTEAD_OF = "instead_of"  # user attribute of a trial that takes the place of an interrupted one, by number


def open_storage(storage: str | None, folder: Path) -> BaseStorage:
    """The journal in `folder`, one at a path, or a database by its URL."""
    if storage is None:
        return _journal(str(folder / JOURNAL))
    try:
        if "://" not in storage:
            return _journal(os.path.expanduser(storage))
        return optuna.storages.get_storage(storage)
    except Exception as error:  # the system's, SQLAlchemy's, its drivers', and missing drivers
        reason = first_line(error)
        raise UserError(
            f"storage={printable(storage)} cannot be opened: {reason}. Give storage=null for a journal in the study's "
            "directory, a path, or a URL such as sqlite:///study.db or postgresql://USER@HOST/NAME."
        ) from None


def _journal(path: str) -> JournalStorage:
    # Optuna's usual lock is a symbolic link, which Windows grants to administrators alone.
    return JournalStorage(JournalFileBackend(path, JournalFileOpenLock(path) if sys.platform == "win32" else None))


def join_study(cfg: DictConfig, space: Space, folder: Path) -> optuna.Study:
    """Creates the study, or joins it where it is of the same settings, metric and choices; else UserError."""
    name = cfg.study or folder.name
    direction = "minimize" if mode_of(cfg.monitor) == "min" else "maximize"
    storage = open_storage(cfg.storage, folder)
    study = optuna.create_study(storage=storage, study_name=name, direction=direction, load_if_exists=True)
    settings = json.loads(json.dumps(_settings(cfg, space), default=str))
    before = study.user_attrs.get("settings")
    if before is None:
        study.set_user_attr("settings", settings)
        return study
    for key in sorted(before.keys() | settings.keys()):
        if before.get(key) != settings.get(key):
            old, new = before.get(key), settings.get(key)
            raise UserError(
                f"study={name} was started with {key}={old}, not {new}: its trials could not be compared. "
                f"Give {key}={old} again, or another study=NAME."
            )
    for trial in study.get_trials(deepcopy=False):
        for key, old in trial.distributions.items():
            new = space.distributions.get(key)
            if isinstance(old, CategoricalDistribution) and new is not None and new != old:
                choices = ",".join(map(str, old.choices))
                raise UserError(
                    f"study={name} was started with {key}={choices}: choices cannot change within a study. "
                    "Give another study=NAME."
                )
    return study


def _settings(cfg: DictConfig, space: Space) -> dict[str, Any]:
    """What all trials have in common, without what the search decides."""
    plain = OmegaConf.to_container(cfg)
    searched = tuple(key_of(key).partition("@")[0].replace("/", ".") for key in space.distributions)
    return {
        key: value
        for key, value in flat(plain).items()
        if not ignored(key) and not any(key == name or key.startswith(f"{name}.") for name in searched)
    }


def keep_copy(study: optuna.Study, storage: str, folder: Path) -> None:
    """The study as a journal in its directory, for a report that needs no database."""
    part = folder / f"{JOURNAL}.{os.getpid()}.part"
    part.unlink(missing_ok=True)
    copy = open_storage(str(part), folder)
    optuna.copy_study(from_study_name=study.study_name, from_storage=open_storage(storage, folder), to_storage=copy)
    replace(part, folder / JOURNAL)


def remaining(study: optuna.Study, n_trials: int) -> int:
    """How many trials are still to be begun; of an interrupted one and what goes on in its place, one counts."""
    trials = study.get_trials(deepcopy=False)
    begun = sum(trial.state != TrialState.WAITING for trial in trials)
    instead = sum(INSTEAD_OF in trial.user_attrs for trial in trials)
    return n_trials - begun + instead + len(study.user_attrs.get(FORGIVEN, ()))


def forgive(study: optuna.Study, again: bool) -> None:
    """Has failed trials not count where none has ever succeeded; asked when a worker begins.

    What failed them was mended since, or fails at once. The study keeps which they are: workers join, and go on.
    `again`: their settings are tried first, as of a grid, which would pass over them.
    """
    trials = study.get_trials(deepcopy=False)
    if trials and all(trial.state in (TrialState.FAIL, TrialState.WAITING) for trial in trials):
        before = study.user_attrs.get(FORGIVEN, ())
        failed = [trial for trial in trials if "error" in trial.user_attrs]
        study.set_user_attr(FORGIVEN, [trial.number for trial in failed])
        for trial in failed:
            if again and trial.number not in before:
                study.enqueue_trial(trial.params)


def lock_of(folder: Path, number: int) -> FileLock:
    """Held by the worker that has a trial under way; the system lets go of it when that process ends, however."""
    (folder / ".trials").mkdir(exist_ok=True)
    return FileLock(folder / ".trials" / f"{number}.lock")


def put_back(study: optuna.Study, number: int) -> None:
    """An interrupted trial: the next that is asked for has its values, and so its job goes on."""
    trial = study.get_trials(deepcopy=False)[number]
    study.tell(number, state=TrialState.FAIL)
    study.enqueue_trial(trial.params, user_attrs={INSTEAD_OF: number})


def recover(study: optuna.Study, folder: Path) -> None:
    """Puts back what workers of this directory left when they were killed."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if not (folder / ".trials" / f"{trial.number}.lock").exists():
            continue  # of a worker that does not share this directory
        try:
            with lock_of(folder, trial.number).acquire(timeout=0):
                log.info("Trial %d was interrupted; it will be resumed", trial.number)
                put_back(study, trial.number)
        except Timeout:
            continue
