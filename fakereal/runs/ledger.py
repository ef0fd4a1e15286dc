"""The ledger of looks at test splits: a figure chosen after many looks is worth less, so they are counted."""

import json
import os
import time
from pathlib import Path
from typing import Any

from filelock import FileLock

from fakereal.runs.image_digests import ImageDigests
from fakereal.runtime.errors import UserError
from fakereal.runtime.files import write_json

FIGURES = (
    *(f"test/{name}{end}" for name in ("accuracy", "auroc", "loss") for end in ("", "_low", "_high")),
    "test/images",
)


def check_ledger(ledger: str) -> None:
    """UserError where no look could be recorded there: told before the test, not after it."""
    path = _expanded(ledger)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        raise UserError(f"ledger={ledger} cannot be written ({error.strerror}). Give another file.") from error


def _expanded(ledger: str | Path) -> Path:
    return Path(os.path.expanduser(ledger))  # unlike Path.expanduser, it leaves the home of nobody as it is


def record_look(ledger: Path, metrics: dict[str, Any], out: Path) -> tuple[dict[str, Any], int]:
    """Appends this test to the ledger, and a copy of the entry to `out`; returns it and which look it was.

    It is counted how often any checkpoint was tested on these images, at whatever size they are stored.
    """
    entry = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "checkpoint": metrics["checkpoint"],
        "checkpoint_digest": metrics["checkpoint_digest"],
        **ImageDigests.of(metrics).named(),
        **{name: metrics[name] for name in FIGURES if name in metrics},  # of one class there is no AUROC
    }
    ledger = _expanded(ledger)
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{ledger}.lock"):
        look = 1 + sum(_about(ImageDigests.of(entry), old) for old in read_ledger(ledger))
        cut = ledger.exists() and ledger.read_bytes()[-1:] not in (b"", b"\n")  # by a crash while it was written
        with ledger.open("a") as file:
            file.write(("\n" if cut else "") + json.dumps(entry) + "\n")
    write_json(out / "look.json", entry | {"look": look})
    return entry, look


def read_ledger(ledger: Path) -> list[dict[str, Any]]:
    """All entries that can be read; a line cut short by a crash is passed over."""
    try:
        lines = ledger.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"ledger={ledger} cannot be read ({error.strerror}). Give another file.") from error
    entries = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            entries.append(entry)
    return entries


def looks_at(images: ImageDigests, ledger: Path) -> list[dict[str, Any]]:
    """The entries about these images, the oldest first; none where there is no ledger."""
    entries = read_ledger(_expanded(ledger))
    return [entry for entry in entries if _about(images, entry) and members_of(entry)]


def _about(images: ImageDigests, entry: dict[str, Any]) -> bool:
    return "data_digest" in entry and ImageDigests.of(entry).same_as(images)


def members_of(entry: dict[str, Any]) -> tuple[str, ...]:
    """The digest of the tested checkpoint, or of each one of an ensemble, whose order means nothing."""
    said = entry.get("checkpoint_digest") or ()
    return (said,) if isinstance(said, str) else tuple(sorted(said))
