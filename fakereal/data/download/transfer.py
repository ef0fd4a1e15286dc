"""One file over HTTP: resumed where it broke off, and either complete or not there."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse, InvalidURL
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from fakereal import __version__
from fakereal.data.download.part import Part
from fakereal.runtime.errors import UserError
from fakereal.runtime.progress import progress
from fakereal.runtime.tls import tls

log = logging.getLogger(__name__)

CHUNK = 2**18  # bytes read at most at once
PAUSE = 0.5  # seconds before the second attempt; doubled before each further one
BUSY = (408, 425, 429)  # with 5xx, the statuses that may be others a second later
CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


class SourceError(UserError):
    """This source did not deliver; another one may. The message names the source and the reason."""


class _Refused(Exception):
    """The transfer failed as it would fail again."""


class _Broken(Exception):
    """The transfer failed as it may not fail again."""


def fetch(
    url: str,
    target: Path,
    *,
    timeout: float = 15.0,
    attempts: int = 4,
    check: Callable[[Path], bool] | None = None,
) -> Path:
    """Downloads `url` to `target`, which appears complete or not at all, and returns `target`.

    What has arrived lies in `target` + ".part"; a later call, also of another process, asks for the rest of
    it, if the server can (Range) and still has the same file (If-Range), and else starts again. A `target`
    that exists is returned as it is. Two calls at once for one target need a lock (`fetch_first` has it).

    Args:
        url: http or https; redirects are followed, proxies are taken from the environment.
        timeout: seconds without a byte after which a connection counts as broken.
        attempts: failures in a row, none of them getting further than before, after which it gives up.
        check: whether what has arrived is an archive of the kind that is wanted; if not, it is deleted.

    Raises:
        SourceError: the server cannot be reached, refuses, keeps breaking off or sends something else.
        UserError: the URL is of another scheme, or the disk cannot be written.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise UserError(
            f"Cannot download {url!r}: data.mirror takes an http:// or https:// URL. "
            "Give a folder or an archive on this machine as data.root=PATH."
        )
    if target.exists():
        return target
    part = Part(url, target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _persist(part, timeout, attempts)
        if check and not check(part.path):
            size = part.size()
            part.discard()
            raise SourceError(f"{url}: the {size:,} bytes it sent are not a complete archive")
        part.finish(target)
    except OSError as error:  # of the disk: those of the network have become _Refused or _Broken
        raise cannot_write(target.parent, error) from error
    return target


def cannot_write(folder: Path, error: OSError) -> UserError:
    """The message for a full, read-only or forbidden disk."""
    return UserError(
        f"Cannot write the download to {folder}: {error.strerror or error}. "
        "Free some space there, or choose another folder with data.cache_dir=FOLDER."
    )


def _persist(part: Part, timeout: float, attempts: int) -> None:
    failures, furthest = 0, 0
    while True:
        try:
            return _attempt(part, timeout)
        except _Refused as error:
            raise SourceError(f"{part.url}: {error}") from error
        except _Broken as error:
            failures = 1 if part.size() > furthest else failures + 1
            furthest = max(furthest, part.size())
            if failures >= attempts:
                raise SourceError(f"{part.url}: {error}, gave up after {attempts} attempts") from error
            pause = PAUSE * 2 ** (failures - 1)
            log.info("%s: %s; next attempt in %g s", part.url, error, pause)
        time.sleep(pause)


def _attempt(part: Part, timeout: float) -> None:
    with _open(part, timeout) as response:
        if response.status == 206:
            found = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if not found or int(found[1]) != part.size():
                part.discard()
                raise _Broken("sent a different range from the one requested")
            total = int(found[2])
        elif response.status == 200:
            part.restart(response.headers)
            total = response.length  # None where the server does not tell, as GitHub's for archives
        else:
            raise _Refused(f"answered with status {response.status}")
        name = part.path.name.removesuffix(".part")
        with part.path.open("ab") as file, progress(name, part.size(), total) as advance:
            for chunk in _body(response):
                file.write(chunk)
                advance(len(chunk))
    if total is not None and part.size() != total:
        raise _Broken(f"broke off after {part.size():,} of {total:,} bytes")


def _open(part: Part, timeout: float) -> HTTPResponse:
    """The response, of a status below 400, to a request for the file or for its rest."""
    headers = {"User-Agent": f"fakereal/{__version__}"} | part.range_headers()
    try:
        return urlopen(Request(part.url, headers=headers), timeout=timeout, context=tls())
    except HTTPError as error:
        error.close()
        message = f"answered {error.code} {error.reason}"
        if error.code == 416:  # the part is longer than the file
            part.discard()
            raise _Broken(message) from error
        raise (_Broken if error.code >= 500 or error.code in BUSY else _Refused)(message) from error
    except (URLError, InvalidURL, ValueError) as error:  # URLError: not even a connection
        raise _Refused(f"cannot be reached ({getattr(error, 'reason', error)})") from error
    except (OSError, HTTPException) as error:
        raise _Broken(f"broke off ({error!r})") from error


def _body(response: HTTPResponse) -> Iterator[bytes]:
    try:
        while chunk := response.read1(CHUNK):
            yield chunk
    except (OSError, HTTPException) as error:
        raise _Broken(f"broke off ({error!r})") from error
