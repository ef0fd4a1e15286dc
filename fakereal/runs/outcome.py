"""What became of a training: metrics.json where it ended well, error.txt where it failed, and neither before."""

from pathlib import Path
from typing import Any

from fakereal.runs.folders import Unusable, read_json

PRUNED = "TrialPruned"  # what a search raises in a job that it gives up: no failure
ERROR = "error.txt"


class Unfinished(Unusable):
    """It is under way, or was stopped."""


class Failed(Unusable):
    """Its error's type and message."""

    @property
    def pruned(self) -> bool:
        """Whether a search gave it up."""
        return str(self).startswith(f"{PRUNED}:")


def final_metrics(folder: Path) -> dict[str, Any]:
    """metrics.json of a training that is complete, and after which nothing failed.

    Raises:
        Failed: its message is that of the error.
        Unfinished: it has neither file.
        Unusable: a file cannot be read.
    """
    try:  # first: a job that is run again keeps its old metrics until it trains
        raise Failed((folder / ERROR).read_text(encoding="utf-8", errors="replace").strip())
    except FileNotFoundError:
        pass
    except OSError as error:
        raise Unusable(str(error)) from None
    if not (folder / "metrics.json").exists():
        raise Unfinished("not finished")
    return read_json(folder / "metrics.json")


def record_failure(folder: Path, error: BaseException) -> None:
    """Kept until the job is run again and ends well."""
    (folder / ERROR).write_text(f"{type(error).__name__}: {error}\n", encoding="utf-8", errors="backslashreplace")


def forget_failure(folder: Path) -> None:
    """The job ended well."""
    (folder / ERROR).unlink(missing_ok=True)


def failed_before(folder: Path, time: float) -> bool:
    """Whether it failed before that moment, in seconds since the epoch."""
    try:
        return (folder / ERROR).stat().st_mtime < time
    except OSError:
        return False
