"""The handler through which a command's log reaches the terminal."""

import logging
import sys


class ConsoleHandler(logging.StreamHandler):
    """Writes to whatever sys.stderr is now, so that lines come out above a progress bar, not through it."""

    @property
    def stream(self):
        return sys.stderr

    @stream.setter
    def stream(self, value) -> None:
        """Asked for by the base class; there is nothing to keep."""
