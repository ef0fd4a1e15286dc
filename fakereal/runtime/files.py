"""Files that take the place of others."""

import json
import os
import sys
import time
from pathlib import Path

PATIENCE = 10.0 if sys.platform == "win32" else 0.0  # seconds
PAUSE = 0.05


def replace(part: str | Path, path: str | Path) -> None:
    """`os.replace`; on Windows, where nothing replaces a file that somebody has open, tried for a while."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return os.replace(part, path)
        except PermissionError:
            if time.monotonic() >= until:
                raise
        time.sleep(PAUSE)


def write_json(path: Path, value: object) -> None:
    """JSON, replaced at once: a reader sees the old file or the new one, never a part."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps(value, indent=1) + "\n")
        replace(part, path)
    finally:
        part.unlink(missing_ok=True)
