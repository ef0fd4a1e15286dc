"""Downloads from a real server on 127.0.0.1 that breaks off, changes its files, refuses or lies on demand."""

import io
import logging
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath

import pytest

from fakereal.data.download import transfer
from fakereal.data.download.download import MANUAL, Archive, KaggleDataset, cifake_sources, fetch_first, is_archive
from fakereal.data.download.transfer import SourceError, fetch
from fakereal.runtime.errors import UserError


@dataclass
class Page:
    """One file of the server and how the server misbehaves about it."""

    body: bytes
    etag: str | None = '"version-1"'
    modified: str | None = None
    ranges: bool = True
    framing: str = "length"  # or "chunked", or "close": the end of the connection is the end of the file
    statuses: list[int] = field(default_factory=list)  # of the first requests, instead of an answer
    cuts: list[int] = field(default_factory=list)  # the bytes that the first answers break off after
    stall: bool = False  # instead of breaking off: send nothing more
    redirect: str | None = None
    type: str = "application/octet-stream"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.requests.append(self)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        page = self.server.pages.get(PurePosixPath(self.path).name)
        if page is None or page.statuses:
            return self.send_error(page.statuses.pop(0) if page else 404)
        if page.redirect:
            self.send_response(302)
            self.send_header("Location", page.redirect)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        start = self._start(page)
        if start and start >= len(page.body):
            return self.send_error(416)
        return self._send(page, start)

    do_POST = do_GET

    def _start(self, page):
        known = self.headers.get("If-Range") in {page.etag, page.modified} - {None}
        if not (page.ranges and known):
            return 0
        return int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))

    def _send(self, page, start):
        rest = page.body[start:]
        self.send_response(206 if start else 200)
        headers = {"Content-Type": page.type, "ETag": page.etag, "Last-Modified": page.modified}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(page.body) - 1}/{len(page.body)}"
        headers |= {
            "length": {"Content-Length": str(len(rest))},
            "chunked": {"Transfer-Encoding": "chunked"},
        }.get(page.framing, {"Connection": "close"})
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        cut = page.cuts.pop(0) if page.cuts else len(rest)
        self.server.sent += len(rest[:cut])
        self.wfile.write(b"%x\r\n" % len(rest) + rest[:cut] if page.framing == "chunked" else rest[:cut])
        if cut < len(rest):
            self.close_connection = True
            if page.stall:
                self.server.stopping.wait(20)
        elif page.framing == "chunked":
            self.wfile.write(b"\r\n0\r\n\r\n")

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.pages, server.requests, server.sent, server.stopping = {}, [], 0, threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.stopping.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def local_and_quick(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(transfer, "PAUSE", 0.01)


@pytest.fixture
def refusing():
    """A URL where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def zip_bytes(size=300_000, seed=0):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("train/REAL/0000.jpg"), random.Random(seed).randbytes(size))
    return file.getvalue()


def names(folder: Path):
    return sorted(path.name for path in folder.iterdir())


def ranges(server):
    return [request.headers.get("Range") for request in server.requests]


# --- One file ---


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_download_is_complete_and_not_repeated(server, tmp_path, framing):
    server.pages["a.zip"] = Page(zip_bytes(), framing=framing)
    target = tmp_path / "new" / "a.zip"
    for _ in range(2):
        assert fetch(f"{server.url}/a.zip", target) == target
    assert target.read_bytes() == server.pages["a.zip"].body
    assert names(target.parent) == ["a.zip"]
    assert len(server.requests) == 1


@pytest.mark.parametrize("validator", [{"etag": '"1"'}, {"etag": 'W/"1"', "modified": "Sat, 01 Mar 2025 10:00:00 GMT"}])
def test_broken_transfer_asks_only_for_the_rest(server, tmp_path, validator):
    body = zip_bytes()
    server.pages["a.zip"] = Page(body, cuts=[100_000, 50_000], **validator)
    assert fetch(f"{server.url}/a.zip", tmp_path / "a.zip").read_bytes() == body
    assert ranges(server) == [None, "bytes=100000-", "bytes=150000-"]
    assert server.sent == len(body)
    assert names(tmp_path) == ["a.zip"]


def test_silent_server_counts_as_broken(server, tmp_path):
    server.pages["a.zip"] = Page(zip_bytes(), cuts=[1000], stall=True)
    fetch(f"{server.url}/a.zip", tmp_path / "a.zip", timeout=0.2)
    assert ranges(server) == [None, "bytes=1000-"]


def test_interrupted_process_is_resumed_by_the_next(server, tmp_path):
    body = zip_bytes(2_000_000)
    server.pages["a.zip"] = Page(body, cuts=[1_000_000], stall=True)
    url, target, part = f"{server.url}/a.zip", tmp_path / "a.zip", tmp_path / "a.zip.part"
    code = "import sys; from pathlib import Path; from fakereal.data.download.transfer import fetch; "
    code += "fetch(sys.argv[1], Path(sys.argv[2]))"
    with subprocess.Popen([sys.executable, "-c", code, url, target], stderr=subprocess.PIPE) as process:
        while not (part.exists() and part.stat().st_size > 500_000):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in process.communicate(timeout=20)[1]
    assert names(tmp_path) == ["a.zip.part", "a.zip.part.version"]
    arrived = part.read_bytes()
    assert body.startswith(arrived)
    fetch(url, target)
    assert target.read_bytes() == body
    assert ranges(server) == [None, f"bytes={len(arrived)}-"]


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("etag", ['"1"', 'W/"1"', None])
def test_server_without_ranges_starts_again(server, tmp_path, framing, etag):
    body = zip_bytes()
    server.pages["a.zip"] = Page(body, etag=etag, ranges=False, framing=framing, cuts=[100_000])
    assert fetch(f"{server.url}/a.zip", tmp_path / "a.zip").read_bytes() == body
    assert ranges(server) == [None, "bytes=100000-" if etag == '"1"' else None]
    assert names(tmp_path) == ["a.zip"]


def test_changed_file_is_not_mixed_with_the_old_one(server, tmp_path):
    server.pages["a.zip"] = Page(zip_bytes(seed=1), cuts=[100_000])
    with pytest.raises(SourceError, match="broke off after 100,000 of"):
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip", attempts=1)
    server.pages["a.zip"] = Page(zip_bytes(seed=2), etag='"version-2"')
    assert fetch(f"{server.url}/a.zip", tmp_path / "a.zip").read_bytes() == zip_bytes(seed=2)
    assert ranges(server) == [None, "bytes=100000-"]


def test_part_of_another_url_is_not_continued(server, tmp_path):
    server.pages |= {"a.zip": Page(zip_bytes(seed=1), cuts=[100_000]), "b.zip": Page(zip_bytes(seed=2))}
    with pytest.raises(SourceError):
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip", attempts=1)
    assert fetch(f"{server.url}/b.zip", tmp_path / "a.zip").read_bytes() == zip_bytes(seed=2)
    assert ranges(server) == [None, None]


def test_part_longer_than_the_file_starts_again(server, tmp_path):
    server.pages["a.zip"] = Page(zip_bytes())
    url = f"{server.url}/a.zip"
    (tmp_path / "a.zip.part").write_bytes(bytes(400_000))
    (tmp_path / "a.zip.part.version").write_text(f'{url}\n"version-1"\n')
    assert fetch(url, tmp_path / "a.zip").read_bytes() == zip_bytes()
    assert ranges(server) == ["bytes=400000-", None]  # the first was answered by 416


@pytest.mark.parametrize("version", [None, "", "damaged"])
def test_part_of_unknown_version_starts_again(server, tmp_path, version):
    server.pages["a.zip"] = Page(zip_bytes())
    (tmp_path / "a.zip.part").write_bytes(b"left by who knows whom")
    if version is not None:
        (tmp_path / "a.zip.part.version").write_text(version)
    assert fetch(f"{server.url}/a.zip", tmp_path / "a.zip").read_bytes() == zip_bytes()
    assert names(tmp_path) == ["a.zip"]


def test_redirects_are_followed_also_when_resuming(server, tmp_path):
    server.pages |= {"a.zip": Page(b"", redirect="/b.zip"), "b.zip": Page(zip_bytes(), cuts=[100_000])}
    assert fetch(f"{server.url}/a.zip", tmp_path / "a.zip").read_bytes() == zip_bytes()
    assert ranges(server) == [None, None, "bytes=100000-", "bytes=100000-"]


def test_busy_server_is_asked_again(server, tmp_path):
    server.pages["a.zip"] = Page(zip_bytes(), statuses=[500, 503, 429])
    assert fetch(f"{server.url}/a.zip", tmp_path / "a.zip").read_bytes() == zip_bytes()
    assert len(server.requests) == 4


def test_gives_up_after_attempts_without_progress(server, tmp_path):
    server.pages["a.zip"] = Page(zip_bytes(), statuses=[500] * 9)
    with pytest.raises(SourceError, match=r"a\.zip: answered 500 .*gave up after 3 attempts"):
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip", attempts=3)
    assert len(server.requests) == 3


def test_progress_renews_the_attempts(server, tmp_path):
    server.pages["a.zip"] = Page(zip_bytes(), cuts=[10_000] * 6)
    assert fetch(f"{server.url}/a.zip", tmp_path / "a.zip", attempts=2).read_bytes() == zip_bytes()
    assert len(server.requests) == 7


def test_missing_file_is_asked_for_once(server, tmp_path):
    with pytest.raises(SourceError, match=r"/a\.zip: answered 404 Not Found"):
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip")
    assert len(server.requests) == 1
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "url", ["{}/a.zip", "http://", "http://[::1/a.zip", "http://127.0.0.1:x/", "http://127.0.0.1/ü"]
)
def test_unreachable_fails_at_once(refusing, tmp_path, url):
    begun = time.monotonic()
    with pytest.raises(SourceError, match="cannot be reached"):
        fetch(url.format(refusing), tmp_path / "a.zip")
    assert time.monotonic() - begun < 3
    assert names(tmp_path) == []


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/a.zip", "/data/a.zip", ""])
def test_other_schemes_are_the_users_mistake(tmp_path, url):
    with pytest.raises(UserError, match=r"data\.root=PATH") as raised:
        fetch(url, tmp_path / "a.zip")
    assert not isinstance(raised.value, SourceError)
    assert repr(url) in str(raised.value)


def test_disk_that_cannot_be_written_names_the_key(server, tmp_path):
    resource = pytest.importorskip("resource")
    server.pages["a.zip"] = Page(zip_bytes(3_000_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    try:
        with pytest.raises(UserError, match=r"(?s)Cannot write .*data\.cache_dir=") as raised:
            fetch_first([Archive("one", f"{server.url}/a.zip", "a.zip")], tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not isinstance(raised.value, SourceError)
    assert len(server.requests) == 1
    fetch(f"{server.url}/a.zip", tmp_path / "a.zip")  # there is room again: the part is continued
    assert ranges(server) == [None, "bytes=2000000-"]


def test_progress_in_a_log_is_a_line_for_each_tenth(server, tmp_path, caplog):
    server.pages["a.zip"] = Page(random.Random(0).randbytes(3_000_000))
    with caplog.at_level(logging.INFO, logger="fakereal"):
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip")
    lines = [record.getMessage() for record in caplog.records]
    assert 5 <= len(lines) <= 10
    assert lines[-1].startswith("a.zip: 100% of 3.0 MB, ")
    assert lines[-1].endswith(" MB/s, 0 s left")


def test_progress_on_a_terminal_is_a_bar(server, tmp_path, monkeypatch):
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    server.pages["a.zip"] = Page(zip_bytes())
    with os.fdopen(slave, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", "100")
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip")
        drawn = os.read(master, 100_000)
        while select.select([master], [], [], 0)[0]:
            drawn += os.read(master, 100_000)
    os.close(master)
    assert b"a.zip" in drawn
    assert b"300.1/300.1 kB" in drawn


# --- The first source that delivers ---


@pytest.mark.parametrize(
    "page",
    [
        None,
        Page(b"<html>Please log in</html>"),
        Page(b""),
        Page(zip_bytes()[:200_000], framing="close"),
        Page(zip_bytes(), statuses=[403]),
    ],
    ids=["404", "html", "empty", "truncated", "403"],
)
def test_next_source_takes_over(server, tmp_path, page):
    server.pages |= {"bad.zip": page, "good.zip": Page(zip_bytes(seed=1))}
    sources = [Archive(name, f"{server.url}/{name}.zip", f"{name}.zip") for name in ("bad", "good")]
    assert fetch_first(sources, tmp_path) == tmp_path / "good.zip"
    assert [request.path for request in server.requests] == ["/bad.zip", "/good.zip"]
    assert set(names(tmp_path)) <= {"good.zip", "download.lock"}


def test_what_is_there_needs_no_network(refusing, tmp_path):
    sources = [Archive(name, f"{refusing}/{name}.zip", f"{name}.zip") for name in ("one", "two")]
    (tmp_path / "two.zip").write_bytes(zip_bytes())
    assert fetch_first(sources, tmp_path) == tmp_path / "two.zip"
    assert names(tmp_path) == ["two.zip"]


def test_when_none_delivers_one_message_has_all(server, refusing, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)  # what an import finds where it is not installed
    sources = [
        Archive("data.mirror", f"{refusing}/cifake.zip", "mirror.zip"),
        Archive("GitHub", f"{server.url}/gone.zip", "github.zip"),
        KaggleDataset("Kaggle", "someone/something"),
    ]
    with pytest.raises(UserError) as raised:
        fetch_first(sources, tmp_path)
    head, mirror, github, kaggle, *manual = str(raised.value).splitlines()
    assert head == "CIFAKE could not be downloaded."
    assert mirror.startswith(f"  data.mirror: {refusing}/cifake.zip: cannot be reached (")
    assert github == f"  GitHub: {server.url}/gone.zip: answered 404 Not Found"
    assert kaggle == '  Kaggle: someone/something: needs kagglehub, pip install -c constraints.txt -e ".[kaggle]"'
    assert "\n".join(manual) == MANUAL
    for way in ("data.root=PATH", "data.mirror=URL", "https://github.com/", "https://www.kaggle.com/"):
        assert way in MANUAL
    assert set(names(tmp_path)) <= {"download.lock"}


CALL = """
import sys, pathlib
from fakereal.data.download.download import Archive, fetch_first
print("ready", flush=True)
input()
print(fetch_first([Archive("one", sys.argv[1], "a.zip")], pathlib.Path(sys.argv[2])))
"""


def test_processes_at_once_download_once(server, tmp_path):
    server.pages["a.zip"] = Page(zip_bytes(), statuses=[503])  # keeps the first of them busy for 0.5 s
    command = [sys.executable, "-c", CALL, f"{server.url}/a.zip", tmp_path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert printed == [str(tmp_path / "a.zip")] * 2
    assert len(server.requests) == 2  # the 503 and the one download
    assert (tmp_path / "a.zip").read_bytes() == zip_bytes()


def test_threads_at_once_download_once(server, tmp_path):
    server.pages["a.zip"] = Page(zip_bytes(), cuts=[1000], stall=True, statuses=[503])
    sources = [Archive("one", f"{server.url}/a.zip", "a.zip")]
    threading.Timer(0.3, server.stopping.set).start()
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch_first(sources, tmp_path), range(4)))
    assert paths == [tmp_path / "a.zip"] * 4
    assert ranges(server) == [None, None, "bytes=1000-"]


def test_lock_of_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"data\.cache_dir="):
        fetch_first(cifake_sources(), tmp_path / "file" / "downloads")


# --- The sources ---


def test_a_mirror_is_asked_first():
    github, kaggle = cifake_sources()
    assert github.url.endswith("/archive/e112a942abaecd02b6b1f6f646c807d56be8fb62.zip")
    assert kaggle.handle == "birdy654/cifake-real-and-ai-generated-synthetic-images"
    mirror, *others = cifake_sources("https://example.org/x/c%20fake.tar.xz?key=1/2")
    assert others == [github, kaggle]
    assert mirror.filename.endswith("-c_20fake.tar.xz")
    assert mirror.filename != cifake_sources("https://example.org/y/c%20fake.tar.xz")[0].filename
    assert cifake_sources("https://example.org/" + "x" * 300)[0].filename.isascii()
    assert len(cifake_sources("https://example.org/" + "x" * 300)[0].filename) < 120


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_is_archive(tmp_path, mode):
    path = tmp_path / "file"
    path.write_bytes(zip_bytes())
    assert is_archive(path)
    path.write_bytes(zip_bytes()[:-10])
    assert not is_archive(path)
    with tarfile.open(path, mode) as archive:
        archive.addfile(tarfile.TarInfo("train/REAL/0.jpg"))
    assert is_archive(path)
    for head in (0, 20, 40):
        path.write_bytes(path.read_bytes()[:head])
        assert not is_archive(path)


@pytest.fixture
def kaggle(monkeypatch, tmp_path):
    """The real kagglehub, with no credentials of the developer's."""
    pytest.importorskip("kagglehub")
    for variable in ("HOME", "KAGGLE_CONFIG_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "nowhere"))
    for variable in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_KERNEL_RUN_TYPE"):
        monkeypatch.delenv(variable, raising=False)
    return KaggleDataset("Kaggle", "someone/something")


def test_kaggle_without_network(kaggle, refusing, tmp_path, monkeypatch):
    monkeypatch.setenv("https_proxy", refusing)
    with pytest.raises(SourceError, match=r"^someone/something: ProxyError: "):
        kaggle.download(tmp_path)
    assert names(tmp_path) == []


def test_kaggle_folder_is_complete_or_not_there(kaggle, server, tmp_path, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    monkeypatch.setenv("http_proxy", server.url)  # so the requests to Kaggle come here
    server.pages["GetDataset"] = Page(b'{"currentVersionNumber": 3}', type="application/json")
    server.pages["DownloadDataset"] = Page(zip_bytes(), cuts=[1000])
    with pytest.raises(SourceError, match="someone/something: "):
        kaggle.download(tmp_path)
    assert names(tmp_path) == []
    folder = fetch_first([kaggle], tmp_path)
    assert folder == kaggle.path(tmp_path)
    assert len((folder / "train/REAL/0000.jpg").read_bytes()) == 300_000
    asked = len(server.requests)
    assert fetch_first([kaggle], tmp_path) == folder
    assert len(server.requests) == asked
