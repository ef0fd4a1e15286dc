"""A server in a process of its own, and what programs and people send it."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch


class Reply(NamedTuple):
    status: int
    body: Any


class Server(NamedTuple):
    """`temporary`: where all that its process writes for a while has to go."""

    host: str
    port: int
    temporary: Path
    process: subprocess.Popen

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def end(self, by: int = signal.SIGINT) -> int:
        """Its exit status."""
        self.process.send_signal(by)
        return self.process.wait(30)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return Reply(response.status, json.loads(text) if "json" in response.headers["content-type"] else text)

    def predict(self, *files: tuple[str, bytes], **fields: str) -> Reply:
        """As `curl -F images=@name ... /predict`."""
        boundary = uuid.uuid4().hex
        parts = [(f'name="{name}"', value.encode()) for name, value in fields.items()]
        parts += [(f'name="images"; filename="{name}"', data) for name, data in files]
        body = b"".join(
            f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + data + b"\r\n"
            for head, data in parts
        )
        body += f"--{boundary}--\r\n".encode()
        return self.ask("POST", "/predict", body, Content_Type=f"multipart/form-data; boundary={boundary}")


def started(folder: Path, *words: str) -> Server:
    """A server on a free port, when it answers."""
    (folder / "temporary").mkdir(parents=True)
    environment = {**os.environ, "TMPDIR": str(folder / "temporary"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "fakereal.app", "port=null", f"hydra.run.dir={folder / 'out'}", *words]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    for _ in range(600):
        text = (folder / "log").read_text()
        if found := re.search(r"Open http://([\d.]+):(\d+)", text):
            return Server(found[1], int(found[2]), folder / "temporary", process)
        assert process.poll() is None, text
        time.sleep(0.1)
    process.kill()
    raise AssertionError(text)


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("serving")


@pytest.fixture
def checkpoints(trained_run, folder) -> list[Path]:
    """Of one epoch of a tiny network, and the same with another bias: for all tests."""
    paths = [folder / "a" / "best.ckpt", folder / "b" / "best.ckpt"]
    if not paths[0].exists():
        checkpoint = torch.load(trained_run() / "checkpoints" / "best.ckpt", weights_only=True)
        for path in paths:
            path.parent.mkdir()
            torch.save(checkpoint, path)
            checkpoint["state_dict"]["backbone.fc.bias"] += 1
    return paths


@pytest.fixture(scope="session")
def servers() -> Iterator[list[Server]]:
    running: list[Server] = []
    yield running
    for server in running:
        server.end()


@pytest.fixture
def server(checkpoints, folder, servers) -> Server:
    """One for all tests, with both checkpoints, small limits, and a layer that has a map."""
    if not servers:
        limits = ("max_file_mb=0.5", "max_request_mb=2", "max_images=16", "max_pixels=1000000")
        words = (
            f"ckpt_path=[{','.join(map(str, checkpoints))}]",
            "layer=layer2",
            *(f"limits.{word}" for word in limits),
        )
        servers.append(started(folder / "server", *words))
    return servers[0]


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., Server]]:
    """`start("key=value", ...)`: a server of one test's own."""
    running: list[Server] = []

    def call(*words: str) -> Server:
        running.append(started(tmp_path / f"server{len(running)}", *words))
        return running[-1]

    yield call
    for server in running:
        if server.process.poll() is None:
            server.end()
