"""Experiment trackers beside TensorBoard: their runs go on with a resumed training, and never stop one."""

import logging
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.loggers import Logger, MLFlowLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from fakereal.runtime.errors import UserError, installing
from fakereal.sweeps.jobs import in_sweep

log = logging.getLogger(__name__)
SQLITE = "sqlite:///"


class Careful(Logger):
    """Another logger, of which the first failure is a warning and the last thing that it is asked for.

    `end` is called when a training ends, for what the other logger leaves open.
    """

    def __init__(self, kind: str, make: Callable[[], Logger], end: Callable[[], None] = lambda: None):
        super().__init__()
        self.kind, self.make, self.end = kind, make, end
        self.logger: Logger | None = None
        self.broken = False

    def _ask(self, method: str, *args: Any) -> None:
        if self.logger is None:
            self._try(self._begin)
        if self.logger is not None:
            self._try(getattr(self.logger, method), *args)

    def _begin(self) -> None:
        self.logger = self.make()

    def _try(self, call: Callable[..., Any], *args: Any) -> None:
        if self.broken:
            return
        try:
            call(*args)
        except Exception as error:  # a server that is down, an account that has expired, a full disk
            self.broken = True
            log.warning("%s failed and is not used from here on; training continues. %s", self.kind, error)

    @property
    def name(self) -> str:
        return self.kind

    @property
    def version(self) -> None:
        return None

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self._ask("log_metrics", metrics, step)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self._ask("log_hyperparams", params)

    @rank_zero_only
    def save(self) -> None:
        self._ask("save")

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self.logger is not None:
            self._ask("finalize", status)
            self.logger, self.broken = None, False  # what is left open is closed even so
            self._try(self.end)


def wandb(
    project: str = "fakereal", name: str | None = None, group: str | None = None, offline: bool = False
) -> Careful:
    """Weights & Biases. `name` is by default that of the run's directory, `group` that of the sweep's.

    `offline` writes below the run's directory, for `wandb sync`.
    """
    out = _installed("wandb")
    words = {"project": project, "name": name or out.name, "group": group or sweep_name(), "offline": offline}
    identity = sha256(str(out).encode()).hexdigest()[:16]  # a resumed training goes on in its run

    def end() -> None:
        import wandb

        wandb.finish()  # else the next job of a sweep goes on in this one's run

    return Careful("wandb", lambda: WandbLogger(save_dir=out, id=identity, resume="allow", **words), end)


def mlflow(
    tracking_uri: str = "sqlite:///outputs/mlflow.db",
    experiment: str = "fakereal",
    name: str | None = None,
    group: str | None = None,
) -> Careful:
    """MLflow, by default in a file of its own. `group` is its runs' tag `sweep`, by default the sweep's directory."""
    out = _installed("mlflow")
    tags = {"sweep": group or sweep_name() or ""}

    def make() -> MLFlowLogger:
        known = out / "mlflow_run_id"  # a resumed training goes on in its run
        run_id = known.read_text() if known.exists() else None
        place = tracking_uri
        if place.startswith(SQLITE):
            file = Path(place.removeprefix(SQLITE)).absolute()
            file.parent.mkdir(parents=True, exist_ok=True)
            place = f"{SQLITE}{file}"
        words = {"run_name": name or out.name, "tags": tags, "run_id": run_id}
        logger = MLFlowLogger(experiment, tracking_uri=place, **words)
        known.write_text(logger.run_id)
        return logger

    return Careful("mlflow", make)


def sweep_name() -> str | None:
    """That of the directory of the sweep, in a job of one."""
    return Path(HydraConfig.get().sweep.dir).name if in_sweep() else None


def _installed(package: str) -> Path:
    """The run's directory; UserError where the package is missing."""
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise UserError(f"logger={package}: it is not installed; {installing(package)}.")
    return Path(HydraConfig.get().runtime.output_dir)
