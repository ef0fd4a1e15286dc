"""What one request may ask, and how many at a time."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from anyio import current_time, fail_after, move_on_after
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Of Gradio's own addresses, those that the page uses. Others fetch from the web, serve or store files.
USED = {"app_id", "cancel", "heartbeat", "info", "queue", "reset", "startup-events", "theme.css", "upload"}
USED |= {"upload_progress"}
SILENT_SECONDS = 20.0  # between two parts of a body, at most
SLOWEST = 2**15  # bytes a second, over a whole body
TOO_SLOW = "The request was not completed in time. Send fewer or smaller images."
HELD_REQUESTS = 8  # of the largest size, whose bodies are held at a time; and as many whose uploads are
BUSY = "The server is busy: too many requests are waiting. Try again in a moment."
DROPPED_BYTES, DROPPED_SECONDS = 2**26, 2.0  # of a refused request, at most


@dataclass(frozen=True)
class Limits:
    """As in conf/app.yaml."""

    max_file_mb: float
    max_request_mb: float
    max_pixels: int
    max_images: int
    concurrency: int
    queue: int

    @property
    def request_bytes(self) -> int:
        return int(self.max_request_mb * 2**20)


class Busy(Exception):
    """As many requests wait as may."""


class Room:
    """Counts the requests that are worked on or wait; used by the event loop's thread alone."""

    def __init__(self, limits: Limits):
        self.free = limits.concurrency + limits.queue

    @contextmanager
    def place(self) -> Iterator[None]:
        """Of one request; Busy where none is free."""
        if not self.free:
            raise Busy
        self.free -= 1
        try:
            yield
        finally:
            self.free += 1


class Guard:
    """Refuses what is larger than a request may be, before it is read, and Gradio's addresses that are not USED.

    And who begins a request and does not send it: while it comes, it has one of the places. And bodies that together
    would fill the memory.
    """

    def __init__(self, app: ASGIApp, limits: Limits):
        self.app, self.limits = app, limits
        self.room = HELD_REQUESTS * limits.request_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        left = self.limits.request_bytes
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        first, _, rest = scope["path"].lstrip("/").partition("/")
        if first == "gradio_api" and rest.split("/")[0] not in USED:
            return await _refuse(receive, send, 404, "not served")
        if not declared.isdigit() or int(declared) > left:
            return await _refuse(receive, send, 413, self._too_large)

        coming, ends = True, current_time() + SILENT_SECONDS + (int(declared) or left) / SLOWEST

        async def counted() -> Message:
            nonlocal left, coming
            # Afterwards all that comes is that the client has gone, whenever that is.
            patience = min(SILENT_SECONDS, ends - current_time()) if coming else math.inf
            try:
                with fail_after(patience):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, TOO_SLOW) from None
            coming = message.get("more_body", False)
            size = len(message.get("body", b""))
            left, self.room = left - size, self.room - size
            if left < 0:
                raise HTTPException(413, self._too_large)
            if self.room < 0:
                raise HTTPException(503, BUSY, {"Retry-After": "1"})
            return message

        try:
            await self.app(scope, counted, send)
        finally:
            self.room += self.limits.request_bytes - left

    @property
    def _too_large(self) -> str:
        return f"The request is larger than {self.limits.max_request_mb:g} MiB. Send fewer or smaller images at once."


async def _refuse(receive: Receive, send: Send, status: int, text: str) -> None:
    """Answers at once, then takes what the client is still sending for a while, and drops it.

    Closed with bytes unread, the connection would be reset, and the client might never read the answer (RFC 9112, 9.6).
    """
    body = b'{"detail":"%s"}' % text.encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    dropped = 0
    with move_on_after(DROPPED_SECONDS):
        while dropped < DROPPED_BYTES:
            message = await receive()
            dropped += len(message.get("body", b""))
            if not message.get("more_body", False):
                break
    await send({"type": "http.response.body", "body": b""})
