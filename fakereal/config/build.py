"""From a config node to the object it describes."""

from collections.abc import Callable
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig

from fakereal.runtime.errors import UserError, first_line

TRAINERS = ("lightning.Trainer", "lightning.Fabric")


def build(node: DictConfig | None, **extra: Any) -> Any:
    """Hydra's `instantiate`; plain lists and dicts go in, and a UserError raised inside comes out as it is."""
    try:
        return instantiate(node, _convert_="all", **extra)
    except InstantiationException as error:
        cause = error.__cause__
        while cause is not None:
            if isinstance(cause, UserError):
                raise cause from None
            cause = cause.__cause__
        if node is not None and node.get("_target_") in TRAINERS and error.__cause__:
            said = first_line(error.__cause__).rstrip(".")
            raise UserError(
                f"This trainer cannot be built: {said}. Check trainer.*, callbacks and logger; "
                "trainer.accelerator=cpu runs anywhere."
            ) from None
        raise


def build_all(nodes: DictConfig | None, extra: Callable[[DictConfig], dict[str, Any]] = lambda _: {}) -> list[Any]:
    """The objects of a dict of nodes, in order, each with its `extra`; entries set to null are left out."""
    return [build(node, **extra(node)) for node in (nodes or {}).values() if node is not None]
