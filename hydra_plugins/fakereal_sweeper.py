"""Where Hydra 1.3 looks for sweepers: it takes none from elsewhere. Every Hydra program imports this: light."""

from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class GridSweeper(BasicSweeper):
    """Hydra's grid, of which only what is not finished is launched: no process, no job of a cluster for the rest."""

    def sweep(self, arguments: list[str]) -> Any:
        """As Hydra's, of what makes jobs differ: of others it would train the first alone."""
        from fakereal.sweeps.jobs import refuse_equal_jobs

        refuse_equal_jobs([*self._parse_config(), *arguments])
        return super().sweep(arguments)

    def is_done(self) -> bool:
        """Asked before each batch of jobs, from which those that are finished are taken."""
        from fakereal.config.ranks import from_outside
        from fakereal.sweeps.jobs import unfinished

        if from_outside():  # ranks must all walk through the same jobs
            return super().is_done()
        while not super().is_done():
            left = unfinished(self.overrides[self.batch_index], self.config, self.hydra_context.config_loader)
            if left:
                self.overrides[self.batch_index] = left
                return False
            self.batch_index += 1
        return True


class StudySweeper(Sweeper):
    """Searches with Optuna where Hydra's own sweeper walks a grid; the jobs are launched as any sweep's."""

    def __init__(self, params: dict[str, str] | None = None, trial: int | None = None):
        self.params = params or {}  # of `trial` jobs are told: which one they are

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from hydra.core.plugins import Plugins

        self.context, self.config = hydra_context, config
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        try:
            import optuna  # noqa: F401
        except ModuleNotFoundError as error:
            from fakereal.runtime.errors import installing

            raise HydraException(f"{error}: {installing('sweep')} brings Optuna.") from None
        from fakereal.sweeps.jobs import refuse_equal_jobs
        from fakereal.tuning.search import search

        refuse_equal_jobs(arguments)
        words = [f"{key}={value}" for key, value in self.params.items()] + arguments
        return search(self.config, words, self.context.config_loader, self.launcher)
