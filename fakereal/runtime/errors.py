"""The one exception that stands for something the user can mend."""

from pathlib import Path

from hydra.errors import CompactHydraException


class UserError(CompactHydraException):
    """A mistake in what the user gave; the message names the key, its value and the remedy.

    Hydra prints exceptions of this family as their message alone, without a traceback (unless
    HYDRA_FULL_ERROR=1), and exits with status 1: no handler of our own is needed around a command.
    """


def installing(extra: str) -> str:
    """The command that installs the packages of an extra: from the checkout, where this is one."""
    checkout = Path(__file__).parents[2]
    here = (checkout / "pyproject.toml").exists() and (checkout / "constraints.txt").exists()
    return f'pip install -c constraints.txt -e ".[{extra}]"' if here else f'pip install "fakereal[{extra}]"'


def first_line(error: BaseException) -> str:
    """What an exception says, in a line; its name where it says nothing, as a plain MemoryError."""
    return (str(error).splitlines() or [type(error).__name__])[0]
