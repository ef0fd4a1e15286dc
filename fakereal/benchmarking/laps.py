"""Laps of contenders that live side by side, each in a process of its own, and run in turn.

So each has its own threads and memory, is warm when it is timed, and shares with the others whatever else
the machine does meanwhile. A contender says `READY` and waits for a line on its standard input before each lap, and
answers with `LAP images seconds`. Nobody else runs before it is ready again: after its lap an epoch may be validated.

This module must not import torch: a contender that decodes starts processes, which import what it imports.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fakereal.runtime.errors import UserError

READY, WORD = "READY", "LAP"


class Lap:
    """The contender's side: `wait`, work, `done`."""

    def __init__(self) -> None:
        self.began = 0.0

    def wait(self) -> None:
        """Until it is our turn; ends the process when nobody asks any more."""
        print(READY, flush=True)
        if not sys.stdin.readline():
            raise SystemExit(0)
        self.began = time.perf_counter()

    def done(self, images: int, device: Any = None) -> None:
        """The images that were worked through since `wait`, by a torch.device that may still be at it."""
        if device is not None and device.type != "cpu":
            import torch

            torch.get_device_module(device).synchronize()
        print(WORD, images, time.perf_counter() - self.began, flush=True)


class Contender:
    """A process that runs laps when it is asked to."""

    def __init__(self, name: str, command: Sequence[str], log: Path, limit: float, env: dict[str, str]):
        self.name, self.log, self.limit, self.ready = name, log, limit, False
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env={**os.environ, **env},
            )

    def wait(self) -> None:
        """Until it is ready for its first lap, or has ended."""
        with self._limited():
            self.ready = bool(self._until(READY))

    def lap(self) -> float:
        """Images per second of one lap; returns when the contender is ready for the next, or has ended."""
        rate = self.first_lap()
        self.wait()
        return rate

    def first_lap(self) -> float:
        """Images per second of one lap, as soon as it is over: the contender may still be at work."""
        with self._limited():
            if not self.ready:
                self._until(READY)
            try:
                self.process.stdin.write("\n")
                self.process.stdin.flush()
                answer = self._until(WORD)
            except BrokenPipeError:
                answer = []
        self.ready = False
        if answer:
            return int(answer[1]) / float(answer[2])
        last = "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])
        raise UserError(f"{self.name} exited, or took longer than {self.limit:.0f} s for a lap:\n{last}")

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """Ends the process, and with it the waiting for it, when it takes too long."""
        timer = threading.Timer(self.limit, self.process.kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _until(self, word: str) -> list[str]:
        """The words of the next line that begins with `word`; none where the process ends before."""
        for line in self.process.stdout:
            if (words := line.split()) and words[0] == word:
                return words
        return []

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
