"""Where questions come in: the addresses for programs, and what they share with the page."""

import asyncio
import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from fakereal.serving.judge import Judge, Judged
from fakereal.serving.limits import BUSY, HELD_REQUESTS, Busy, Limits, Room

FIELDS = {"images", "checkpoint"}  # of a form of `POST /predict`
HELD_SECONDS = 60  # of an upload that the page does not ask about


class Desk:
    """The judges by name, asked `limits.concurrency` at a time."""

    def __init__(self, judges: dict[str, Judge], limits: Limits):
        self.judges, self.limits = judges, limits
        self.room, self.limiter = Room(limits), anyio.CapacityLimiter(limits.concurrency)

    async def ask(self, judge: Judge, files: Sequence[tuple[str, bytes]], pictures: bool = False) -> list[Judged]:
        """To be called by whoever has a place in the room."""
        return await anyio.to_thread.run_sync(judge, files, pictures, limiter=self.limiter)


class InMemoryParser(MultiPartParser):
    """Nothing that is sent is written to a disk; `Guard` limits how much it may be."""

    spool_max_size = 2**40


async def received(request: Request) -> FormData:
    """The multipart form of a request; an HTTPException where it has none."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise HTTPException(422, f"Send images as a form: curl -F images=@photo.jpg {request.url}")
    try:
        return await InMemoryParser(request.headers, request.stream(), max_fields=10).parse()
    except (MultiPartException, KeyError) as error:  # KeyError: a form without its boundary
        raise HTTPException(422, f"The form cannot be read: {getattr(error, 'message', error)}") from error
    except ClientDisconnect:  # whom nobody can answer any more
        raise HTTPException(400, "The client has disconnected.") from None


async def files_of(form: FormData, field: str) -> list[tuple[str, bytes]]:
    """Names and bytes of the files in a form's field."""
    return [
        (file.filename or "image", await file.read()) for file in form.getlist(field) if isinstance(file, UploadFile)
    ]


class Uploads:
    """What the page has sent and not yet asked about: in memory, for a minute at most."""

    def __init__(self, folder: Path, limits: Limits):
        self.folder, self.limits = folder, limits
        self.held: dict[str, tuple[str, bytes]] = {}

    def keep(self, name: str, data: bytes) -> str:
        """The path that Gradio knows it by; no file is there. Busy where too much is held."""
        if len(data) + sum(len(held) for _, held in self.held.values()) > HELD_REQUESTS * self.limits.request_bytes:
            raise Busy
        path = str(self.folder / secrets.token_hex(16) / (Path(name).name or "image"))
        self.held[path] = (name, data)
        asyncio.get_running_loop().call_later(HELD_SECONDS, self.held.pop, path, None)
        return path

    def take(self, path: str) -> tuple[str, bytes] | None:
        """Name and bytes, once; None for what was not sent, or longer than a minute ago."""
        return self.held.pop(path, None)


def programs(desk: Desk, uploads: Uploads) -> FastAPI:
    """`POST /predict`, `GET /checkpoints`, and the upload of the page in the place of Gradio's, which keeps files."""
    # Without its pages of documentation: they load scripts from the web.
    api = FastAPI(title="fakereal", docs_url=None, redoc_url=None)

    @api.get("/checkpoints")
    async def checkpoints() -> list[str]:
        return list(desk.judges)

    @api.post("/predict")
    async def predict(request: Request) -> JSONResponse:
        with desk.room.place():
            form = await received(request)
            if unknown := sorted(set(form) - FIELDS):
                raise HTTPException(422, f"{', '.join(unknown)}: not a field. There are: {', '.join(sorted(FIELDS))}.")
            name, files = form.get("checkpoint", next(iter(desk.judges))), await files_of(form, "images")
            if not isinstance(name, str) or name not in desk.judges:
                name = getattr(name, "filename", name)
                raise HTTPException(422, f"checkpoint={name!r} is not one of {', '.join(desk.judges)}.")
            if not files:
                raise HTTPException(422, f"No images were sent: curl -F images=@photo.jpg {request.url}")
            if len(files) > desk.limits.max_images:
                raise HTTPException(413, f"{len(files)} images at once, more than {desk.limits.max_images}.")
            judged = await desk.ask(desk.judges[name], files)
        answers = [plain(item, name, desk.judges[name]) for item in judged]
        return JSONResponse(answers, 422 if all("error" in said for said in answers) else 200)

    @api.post("/gradio_api/upload")
    async def upload(request: Request) -> list[str]:
        with desk.room.place():
            return [uploads.keep(*file) for file in await files_of(await received(request), "files")]

    @api.get("/gradio_api/upload_progress")
    async def upload_progress() -> Response:
        return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")

    @api.exception_handler(Busy)
    async def busy(request: Request, error: Busy) -> JSONResponse:
        return JSONResponse({"detail": BUSY}, 503, {"Retry-After": "1"})

    return api


def plain(judged: Judged, name: str, judge: Judge) -> dict[str, Any]:
    """As predict's JSON, with `name` for `path`, and what the page says of how the file was read."""
    said = json.loads(judged.answer.json())
    said = {"name": said.pop("path"), **said}
    if "error" in said:
        return said
    return said | {"checkpoint": name, "notes": judged.notes}
