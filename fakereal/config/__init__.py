"""How commands find and check their configuration."""

from pathlib import Path

from omegaconf import OmegaConf

_PACKAGE = Path(__file__).parent.parent
# conf/ travels inside the wheel; in a checkout it stands beside the package.
CONF = str(_PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf")


def _native_precision(accelerator: str) -> str:
    from fakereal.training.hardware import native_precision  # imports torch: only when the value is asked for

    return native_precision(accelerator)


OmegaConf.register_new_resolver("native_precision", _native_precision, replace=True)
