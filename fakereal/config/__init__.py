"""How commands find and check their configuration."""

from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from omegaconf import DictConfig, OmegaConf

from fakereal.runtime.errors import ending

_PACKAGE = Path(__file__).parent.parent
# conf/ travels inside the wheel; in a checkout it stands beside the package.
CONF = str(_PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf")


def _native_precision(accelerator: str) -> str:
    from fakereal.runtime.hardware import native_precision  # imports torch: only when the value is asked for

    return native_precision(accelerator)


def _job_number(proposed: int, *, _root_: DictConfig) -> str:
    from fakereal.sweeps.jobs import job_number

    return job_number(proposed, _root_=_root_)


def _gpu_count() -> int:
    from fakereal.runtime.gpus import gpus

    with ending():  # OmegaConf makes a traceback of a resolver's errors
        return len(gpus())


def _own_gpu(number: int) -> str:
    from fakereal.runtime.gpus import own_gpu

    return own_gpu(number)


def _started(form: str, name: str | None = None) -> str:
    from fakereal.config.ranks import started

    with ending():
        return started(form, name)


def _unless(value: Any) -> bool:
    return not value


def _choices(*groups: str) -> str:
    """For a help text, as Hydra's own list of all groups: these, and the groups within them, with their options."""
    loader, lines, waiting = GlobalHydra.instance().config_loader(), [], sorted(groups, reverse=True)
    while waiting:
        group = waiting.pop()
        lines.append(f"{group}: {', '.join(sorted(loader.get_group_options(group)))}\n")
        within = loader.get_group_options(group, ObjectType.GROUP)
        waiting += [f"{group}/{name}" for name in sorted(within, reverse=True)]
    return "".join(lines)


RESOLVERS = {
    "choices": _choices,
    "native_precision": _native_precision,
    "job_number": _job_number,
    "gpu_count": _gpu_count,
    "own_gpu": _own_gpu,
    "unless": _unless,
}
for _name, _resolver in RESOLVERS.items():
    OmegaConf.register_new_resolver(_name, _resolver, replace=True)
# One time for a command, however often it is asked: what belongs together lies together.
OmegaConf.register_new_resolver("started", _started, replace=True, use_cache=True)
