"""The terminal that a command's result is printed on."""

import sys

from rich.console import Console


def result_console() -> Console:
    """Prints text as it is: as wide as the terminal, or 120 columns into a file, long lines unbroken."""
    return Console(highlight=False, markup=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)
