"""The one exception that stands for something the user can mend."""

from hydra.errors import CompactHydraException


class UserError(CompactHydraException):
    """A mistake in what the user gave; the message names the key, its value and the remedy.

    Hydra prints exceptions of this family as their message alone, without a traceback (unless
    HYDRA_FULL_ERROR=1), and exits with status 1: no handler of our own is needed around a command.
    """


def first_line(error: BaseException) -> str:
    """What an exception says, in a line; its name where it says nothing, as a plain MemoryError."""
    return (str(error).splitlines() or [type(error).__name__])[0]
