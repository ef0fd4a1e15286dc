"""The one exception that stands for something the user can mend."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.errors import CompactHydraException


class UserError(CompactHydraException, ValueError):
    """A mistake in what the user gave; the message names the key, its value and the remedy.

    To Python it is a ValueError.

    A command ends with the message alone and status 1 (`fakereal.config.command.told`); of a sweep Hydra prints it
    after all jobs, as of any exception of this family. HYDRA_FULL_ERROR=1 adds the traceback.
    """


@contextmanager
def ending() -> Iterator[None]:
    """A UserError within it ends the process with its message: nobody on the way makes a traceback of that."""
    try:
        yield
    except UserError as error:
        raise SystemExit(str(error)) from None


def installing(extra: str) -> str:
    """The command that installs the packages of an extra: from the checkout, where this is one."""
    checkout = Path(__file__).parents[2]
    here = (checkout / "pyproject.toml").exists() and (checkout / "constraints.txt").exists()
    return f'pip install -c constraints.txt -e ".[{extra}]"' if here else f'pip install "fakereal[{extra}]"'


def first_line(error: BaseException) -> str:
    """What an exception says, in a line; its name where it says nothing, as a plain MemoryError."""
    return (str(error).splitlines() or [type(error).__name__])[0]
