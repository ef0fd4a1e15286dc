"""What a job of a sweep costs beyond its training: by launcher, after the first, and when it is finished already."""

import json
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from fakereal.benchmarking.bench import Bench, Row
from fakereal.benchmarking.figures.training import work

JOBS = 4  # of a sweep, beyond the first
IMAGES = 2_048
PLUGINS = {
    "basic": "hydra",
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "submitit_local": "hydra_plugins.hydra_submitit_launcher",
    "slurm": "hydra_plugins.hydra_submitit_launcher",
}
SMALL = ["hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=3", "hydra.launcher.timeout_min=10"]
MORE = {"basic": [], "joblib": ["hydra.launcher.n_jobs=2"], "submitit_local": SMALL, "slurm": SMALL}  # what each needs


def sweeping(bench: Bench, batch_size: int, launchers: Sequence[str]) -> Iterator[Row]:
    """Seconds, less those of the training epochs; of `launchers` (of MORE) those that are installed."""
    words = [*work(bench, "lenet", IMAGES, batch_size), "trainer.max_epochs=1"]
    overheads, passing = [], []
    for number in range(bench.repeats):
        one, many = (_sweep(bench, words, f"{number}_{jobs}", jobs) for jobs in (1, 1 + JOBS))
        overheads.append((many - one) / JOBS)
        one, many = (_sweep(bench, words, f"{number}_{jobs}", jobs, again=True) for jobs in (1, 1 + JOBS))
        passing.append((many - one) / JOBS)
    subject = f"lenet, {JOBS} jobs after the first"
    yield Row.alone("a sweep's job, beyond training", subject, "s", overheads, wanted=1.5, at_most=True)
    yield Row.alone("a finished job, passed over", subject, "s", passing, wanted=1, at_most=True)
    for launcher in (name for name in launchers if find_spec(PLUGINS[name])):
        seconds = [
            _sweep(bench, [*words, f"hydra/launcher={launcher}", *MORE[launcher]], f"{launcher}_{number}", 1)
            for number in range(bench.repeats)
        ]
        yield Row.alone("a sweep of one job, beyond training", f"hydra/launcher={launcher}", "s", seconds)


def _sweep(bench: Bench, words: list[str], name: str, jobs: int, again: bool = False) -> float:
    """Seconds of a sweep of so many jobs, less their training, or of the same command once more."""
    folder = bench.folder / "sweeps" / name
    seeds = ",".join(map(str, range(jobs)))
    seconds = bench.command("train", "--multirun", *words, f"seed={seeds}", f"hydra.sweep.dir={folder}")
    trained = [json.loads(path.read_text())["train_seconds"] for path in folder.glob("*/metrics.json")]
    return seconds if again else seconds - sum(trained)
