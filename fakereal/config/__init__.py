"""How commands find and check their configuration."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

_PACKAGE = Path(__file__).parent.parent
# conf/ travels inside the wheel; in a checkout it stands beside the package.
CONF = str(_PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf")


def _native_precision(accelerator: str) -> str:
    from fakereal.training.hardware import native_precision  # imports torch: only when the value is asked for

    return native_precision(accelerator)


def _job_number(proposed: int, *, _root_: DictConfig) -> str:
    from fakereal.sweeps.jobs import job_number

    return job_number(proposed, _root_=_root_)


def _either(first: Any, second: Any) -> Any:
    return second if first is None else first


def _unless(value: Any) -> bool:
    return not value


OmegaConf.register_new_resolver("native_precision", _native_precision, replace=True)
OmegaConf.register_new_resolver("job_number", _job_number, replace=True)
OmegaConf.register_new_resolver("either", _either, replace=True)
OmegaConf.register_new_resolver("unless", _unless, replace=True)
