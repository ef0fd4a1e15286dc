"""The loop of one worker: asks the study for settings, has them trained, and tells it what came of them."""

import atexit
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from filelock import FileLock
from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from optuna.samplers import BruteForceSampler
from optuna.trial import Trial, TrialState

from fakereal.config.build import build
from fakereal.config.schema import annotations_of, check, resolved
from fakereal.config.search import SEARCH_KEYS
from fakereal.runtime.errors import UserError
from fakereal.sweeps.results import show_results
from fakereal.tuning.grid import combinations
from fakereal.tuning.space import Space, parse_space
from fakereal.tuning.study import forgive, join_study, keep_copy, lock_of, put_back, recover, remaining

log = logging.getLogger(__name__)
ALIKE = 3  # failed trials, and none else, with the same error: the search ends


def search(cfg: DictConfig, words: list[str], loader: ConfigLoader, launcher: Launcher) -> optuna.Study:
    """Runs trials until the study has `n_trials` or `timeout` is over; a trial that fails is recorded, and no more.

    UserError where the configuration is wrong, and where at the end no trial succeeded.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = Path(cfg.hydra.sweep.dir).absolute()
    with _no_table_of_what_is_refused():
        _check(cfg)
        space = parse_space(words, loader)
        wanted = _wanted(cfg, space)
        loader.load_sweep_config(cfg, space.example())  # a key that is none is told before there is a study
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(cfg, folder / "multirun.yaml")
        with FileLock(folder / ".study.lock"):
            study = join_study(cfg, space, folder)
            recover(study, folder)
            forgive(study, again=_walks_a_grid(cfg))
    left = remaining(study, wanted)
    log.info("Study %s: %d of %d trials left to start", study.study_name, left, wanted)
    ends = time.monotonic() + (cfg.timeout or math.inf)
    while time.monotonic() < ends and _run_batch(cfg, study, space, wanted, folder, launcher):
        _refuse_hopeless(study)
    if cfg.storage:
        keep_copy(study, cfg.storage, folder)
    _conclude(study)
    return study


@contextmanager
def _no_table_of_what_is_refused() -> Iterator[None]:
    """The table of results, printed at the end, would follow the error as if these were results of this command."""
    try:
        yield
    except HydraException:
        atexit.unregister(show_results)
        raise


def _check(cfg: DictConfig) -> None:
    """The keys of the search itself; each job checks its own, which lie below a directory that is not known here."""
    # Resolved: a pruner's figures may be those of the trainer, which is checked with the jobs.
    keys = (key for key in ("seed", "monitor", *SEARCH_KEYS) if key in cfg)
    check(OmegaConf.create({key: resolved(cfg[key]) for key in keys}))


def _walks_a_grid(cfg: DictConfig) -> bool:
    return issubclass(get_object(cfg.sampler._target_), BruteForceSampler)


def _wanted(cfg: DictConfig, space: Space) -> int:
    """How many trials the study is to have: a grid at most all its combinations; UserError where these have no end."""
    if not _walks_a_grid(cfg):
        return cfg.n_trials
    if (count := combinations(space.distributions)) is None:
        endless = next(key for key, kind in space.distributions.items() if getattr(kind, "step", 1) is None)
        raise UserError(
            f"sampler=grid: `{endless}` has no steps (an interval, or a range with the tag log). Give choices, "
            "such as 0.1,0.2, or a range(0.1,1,0.1), or another sampler."
        )
    return min(cfg.n_trials, count)


def _run_batch(
    cfg: DictConfig, study: optuna.Study, space: Space, wanted: int, folder: Path, launcher: Launcher
) -> bool:
    """Whether there was a trial left to run of the `wanted` ones; `n_jobs` at once."""
    with FileLock(folder / ".study.lock"):  # two workers never ask at once, nor take each other for killed
        recover(study, folder)
        trials = []
        for _ in range(min(cfg.n_jobs, remaining(study, wanted))):
            study.sampler = _sampler(cfg, len(study.get_trials(deepcopy=False)))
            trials.append(study.ask(space.distributions))
        locks = [lock_of(folder, trial.number) for trial in trials]
        for lock in locks:
            lock.acquire()
    if not trials:
        return False
    told: set[int] = set()
    try:
        jobs = [[*space.overrides(trial.params), f"hydra.sweeper.trial={trial.number}"] for trial in trials]
        for trial, job in zip(trials, _launch(launcher, jobs, trials[0].number), strict=True):
            _tell(study, trial, job)
            told.add(trial.number)
    except HydraException as error:  # settings that cannot be composed: no trial will do better
        for trial in trials:
            _fail(study, trial, error)
            told.add(trial.number)
        raise
    finally:
        for trial, lock in zip(trials, locks, strict=True):
            if trial.number not in told:
                put_back(study, trial.number)
            lock.release()
    return True


def _sampler(cfg: DictConfig, begun: int) -> optuna.samplers.BaseSampler:
    """Seeded by the trial it is for: workers draw different values, and a study that goes on those it would have."""
    takes = annotations_of(get_object(cfg.sampler._target_))
    if "seed" not in takes or "seed" in cfg.sampler:
        return build(cfg.sampler)
    return build(cfg.sampler, seed=int(np.random.SeedSequence((cfg.seed, begun)).generate_state(1)[0]))


def _launch(launcher: Launcher, jobs: list[list[str]], first: int) -> list[Any]:
    """What each job returned; the error instead where a launcher lost them (a job that was killed)."""
    try:
        return list(launcher.launch(jobs, initial_job_idx=first))
    except HydraException:
        raise
    except Exception as error:
        return [error] * len(jobs)


def _tell(study: optuna.Study, trial: Trial, job: JobReturn | Exception) -> None:
    if isinstance(job, Exception):
        _fail(study, trial, job)
        return
    result = job._return_value
    if job.hydra_cfg is not None:
        trial.set_user_attr("job", Path(job.hydra_cfg.hydra.runtime.output_dir).name)
    if isinstance(result, optuna.TrialPruned):
        study.tell(trial, state=TrialState.PRUNED)
        log.info("Trial %d was pruned: %s", trial.number, result)
    elif job.status == JobStatus.FAILED:
        _fail(study, trial, result)
    elif not isinstance(result, int | float) or not math.isfinite(result):
        _fail(study, trial, ValueError(f"the monitored metric is {result}"))
    else:
        study.tell(trial, float(result))
        best = study.best_trial
        log.info("Trial %d: %.4f; the best is trial %d with %.4f", trial.number, result, best.number, best.value)


def _fail(study: optuna.Study, trial: Trial, error: Exception) -> None:
    text = f"{type(error).__name__}: {error}"
    trial.set_user_attr("error", text[:1000])
    study.tell(trial, state=TrialState.FAIL)
    log.warning("Trial %d failed: %s", trial.number, text)


def _refuse_hopeless(study: optuna.Study) -> None:
    """UserError where all trials so far failed alike: what is wrong is none of what is searched."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    errors = {trial.user_attrs.get("error") for trial in trials}
    if len(trials) >= ALIKE and len(errors) == 1 and None not in errors:
        raise UserError(f"study={study.study_name}: all {len(trials)} trials failed alike. {errors.pop()}")


def _conclude(study: optuna.Study) -> None:
    trials = study.get_trials(deepcopy=False)
    counts = {state: sum(trial.state == state for trial in trials) for state in TrialState}
    log.info(
        "Study %s: %d trials complete, %d pruned, %d failed or interrupted, %d under way elsewhere",
        study.study_name,
        counts[TrialState.COMPLETE],
        counts[TrialState.PRUNED],
        counts[TrialState.FAIL],
        counts[TrialState.RUNNING],
    )
    if trials and not counts[TrialState.COMPLETE] and not counts[TrialState.RUNNING]:
        raise UserError(f"study={study.study_name}: no trial succeeded. Fix the errors they report, and start again.")
