"""What has arrived of a file."""

import os
from contextlib import suppress
from email.message import Message
from pathlib import Path


class Part:
    """The part of a file that has arrived and, beside it, of which version of which URL it is a part."""

    def __init__(self, url: str, target: Path):
        self.url = url
        self.path = target.with_name(target.name + ".part")
        self._version = target.with_name(target.name + ".part.version")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def range_headers(self) -> dict[str, str]:
        """Headers that ask for the rest; empty where there is nothing that can be continued."""
        with suppress(FileNotFoundError, ValueError):
            url, validator = self._version.read_text(encoding="utf-8").splitlines()
            if url == self.url and self.size():
                return {"Range": f"bytes={self.size()}-", "If-Range": validator}
        return {}

    def restart(self, headers: Message) -> None:
        self.discard()
        validator = headers.get("ETag")
        if not validator or validator.startswith("W/"):  # If-Range takes no weak ETag (RFC 9110, 13.1.5)
            validator = headers.get("Last-Modified")
        if validator:
            self._version.write_text(f"{self.url}\n{validator}\n", encoding="utf-8")

    def discard(self) -> None:
        self._version.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        os.replace(self.path, target)
        self._version.unlink(missing_ok=True)
