"""POST /predict, on a server in a process of its own."""

import csv
import io
import json
import signal
import socket
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio")


def photo(seed: int = 0, size: tuple[int, int] = (48, 40)) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, format: str = "PNG", **how) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **how)
    return buffer.getvalue()


def declared(width: int, height: int) -> bytes:
    """A PNG whose header promises so many pixels, and none of them."""
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(b""))
    written = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


@pytest.fixture
def one(server):
    """The answer about one file."""
    return lambda data, name="a.png": server.predict((name, data)).body[0]


def test_the_probabilities_are_those_of_predict(server, run, checkpoints, tmp_path):
    (tmp_path / "in").mkdir()
    files = [("a.jpg", encoded(photo(1), "JPEG")), ("b.png", encoded(photo(2))), ("c.webp", encoded(photo(3), "WEBP"))]
    for name, data in files:
        (tmp_path / "in" / name).write_bytes(data)
    both = f"ckpt_path=[{checkpoints[0]},{checkpoints[1]}]"
    names = server.ask("GET", "/checkpoints").body
    assert names == ["all 2 together", "a/best.ckpt", "b/best.ckpt"]
    for name, words in zip(names, (both, f"ckpt_path={checkpoints[0]}", f"ckpt_path={checkpoints[1]}"), strict=True):
        out = tmp_path / words[-8:-5].replace("/", "_")
        assert run("predict", words, "images=in", f"hydra.run.dir={out}").code == 0
        with (out / "predictions.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        status, answers = server.predict(*files, checkpoint=name)
        assert status == 200 and [said["name"] for said in answers] == ["a.jpg", "b.png", "c.webp"]
        for said, row in zip(answers, rows, strict=True):
            assert said["prediction"] == row["prediction"] and said["checkpoint"] == name
            assert said["prob_fake"] == pytest.approx(float(row["prob_fake"]), abs=1e-5)
            assert (said["prediction"] == "FAKE") == (said["prob_fake"] >= said["threshold"])
    assert server.predict(*files).body[0]["checkpoint"] == names[0]
    status, body = server.predict(*files, checkpoint="c")
    assert status == 422 and "'c' is not one of all 2 together, a/best.ckpt" in body["detail"]


def test_a_rotated_image_is_judged_upright_and_told(one):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    upright = photo(4, (32, 32))
    stored = encoded(upright.transpose(Image.Transpose.ROTATE_90), exif=exif)
    assert one(stored)["prob_fake"] == one(encoded(upright))["prob_fake"]
    assert one(stored)["prob_fake"] != one(encoded(upright.transpose(Image.Transpose.ROTATE_90)))["prob_fake"]
    assert "EXIF" in one(stored)["notes"][0] and not one(encoded(upright))["notes"]


def test_what_is_not_plain_rgb_is_judged_and_told(one):
    grey = Image.fromarray(np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) * 64)
    gif = encoded(photo(5), "GIF", save_all=True, append_images=[photo(6), photo(7)])
    for data, told in (
        (encoded(photo(5).convert("CMYK"), "JPEG"), "CMYK"),
        (encoded(grey), "more than 8 bits"),
        (gif, "3 frames or pages: only the first is judged"),
        (encoded(photo(5).convert("RGBA").point(lambda value: value // 2)), "placed on white"),
    ):
        said = one(data)
        assert [note for note in said["notes"] if told in note] and 0 <= said["prob_fake"] <= 1
    assert one(gif)["prob_fake"] == one(encoded(photo(5), "GIF"))["prob_fake"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"hello", "not an image that can be read"),
        (b"", "empty file"),
        (encoded(photo())[:-200], "truncated"),
        (declared(50_000, 50_000), "decompression bomb"),
        (declared(1_100, 1_000), "1100 x 1000 is 1.1 million pixels, more than 1 million"),
        (b"\0" * 600_000, "0.6 MiB, more than 0.5"),
    ],
)
def test_what_cannot_be_judged_is_told_in_words(server, data, told):
    status, [said] = server.predict(("x", data))
    assert status == 422 and told in said["error"] and "prediction" not in said
    status, answers = server.predict(("x", data), ("good.png", encoded(photo())))
    assert status == 200 and told in answers[0]["error"] and answers[1]["prediction"] in ("REAL", "FAKE")


def test_requests_that_are_none_or_too_much(server):
    small = encoded(photo())
    assert server.predict().status == 422 and "curl -F" in server.predict().body["detail"]
    assert server.predict(*[("a.png", small)] * 16).status == 200
    status, body = server.predict(*[("a.png", small)] * 17)
    assert status == 413 and body["detail"] == "17 images at once, more than 16."
    status, body = server.ask("POST", "/predict", b"a" * (2**21 + 1), Content_Type="image/png")
    assert status == 413 and "larger than 2 MiB" in body["detail"]
    assert server.ask("POST", "/predict", small, Content_Type="image/png").status == 422
    assert server.ask("POST", "/predict", small, Content_Type="multipart/form-data").status == 422
    assert server.ask("GET", "/predict").status in (404, 405)
    status, body = server.predict(("a.png", small), chekpoint="a")
    assert status == 422 and body["detail"] == "chekpoint: not a field. There are: checkpoint, images."
    form = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n' + small + b"\r\n--x--\r\n"
    for kind in ("multipart/form-data", "Multipart/Form-Data"):  # media types have no case
        assert server.ask("POST", "/predict", form, Content_Type=f"{kind}; boundary=x").status == 200


def test_who_is_still_sending_reads_the_refusal(server):
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (2**21 + 1))
        connection.sendall(b"a" * 2**20)
        answer = b""
        while b"at once" not in answer:  # the end of the message
            answer += connection.recv(4096)
        assert b" 413 " in answer.splitlines()[0]
        for _ in range(16):  # a connection that was closed would be reset by the first, and refuse the others
            connection.sendall(b"a" * 2**16)
            time.sleep(0.01)


def test_a_body_of_undeclared_length_ends_at_the_limit(server):
    head = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n")
        connection.sendall(b"Content-Type: multipart/form-data; boundary=b\r\n\r\n%x\r\n%b\r\n" % (len(head), head))
        for _ in range(32):  # of 64 KiB: 2 MiB, beside the head
            connection.sendall(b"10000\r\n" + b"a" * 65536 + b"\r\n")
        assert b" 413 " in connection.recv(4096).splitlines()[0]


def test_gradio_fetches_and_serves_nothing(server, checkpoints):
    for path in (f"file={checkpoints[0]}", "file=http://127.0.0.1:9/", "proxy=http://127.0.0.1:9/"):
        assert server.ask("GET", f"/gradio_api/{path}") == (404, {"detail": "not served"})
    page = server.ask("GET", "/")
    assert page.status == 200 and b"fonts.g" not in page.body


def test_many_at_once_are_answered_alike_and_leave_nothing(server):
    files = [(f"{seed}.png", encoded(photo(seed))) for seed in range(4)]
    alone = [server.predict(file).body[0]["prob_fake"] for file in files]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda turn: server.predict(files[turn % 4]), range(40)))
    assert [reply.status for reply in replies] == [200] * 40
    assert [reply.body[0]["prob_fake"] for reply in replies] == alone * 10
    assert not [path for path in server.temporary.rglob("*") if path.is_file()]


@pytest.mark.slow
def test_beyond_the_queue_it_says_that_it_is_busy_and_ends_clean(start, checkpoints):
    server = start(f"ckpt_path={checkpoints[0]}", "limits.concurrency=1", "limits.queue=0", "host=0.0.0.0")
    assert (
        "host=0.0.0.0: anyone who can reach this computer can use the page"
        in (server.temporary.parent / "log").read_text()
    )
    data = encoded(photo(1, (3000, 3000)), "JPEG")
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: server.predict(("a.jpg", data)), range(16)))
    statuses = [reply.status for reply in replies]
    assert {*statuses} == {200, 503} and all("Try again" in r.body["detail"] for r in replies if r.status == 503)
    assert server.predict(("a.jpg", data)).status == 200
    assert server.end(signal.SIGTERM) == 0
    assert not list(server.temporary.iterdir())


def test_the_page_shows_the_figures_of_a_test(start, run, checkpoints, tmp_path):
    tested = run("test", f"ckpt_path={checkpoints[0]}", f"hydra.run.dir={tmp_path / 'tests' / '1'}")
    assert tested.code == 0, tested.text
    metrics = json.loads((tmp_path / "tests" / "1" / "metrics.json").read_text())
    server = start(f"ckpt_path={checkpoints[0]}", "layer=layer2", f"tests={tmp_path / 'tests'}")
    page = server.ask("GET", "/config").body
    (about,) = [part["props"]["value"] for part in page["components"] if part["props"].get("elem_id") == "about"]
    assert f"On {metrics['test/images']} test images of the training data&#39;s own test split" in about
    assert f"<td>{metrics['test/accuracy']:.2%}</td>" in about


def test_mistakes_are_told_before_it_starts(run, checkpoints):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("app", f"ckpt_path={checkpoints[0]}", f"port={port}")
        assert done.code == 1 and f"port={port} on host=127.0.0.1 cannot be used" in done.text
    done = run("app", f"ckpt_path={checkpoints[0]}", "host=a..b")
    assert done.code == 1 and "on host=a..b cannot be used" in done.text and "Traceback" not in done.text
    done = run("app", "ckpt_path=none.ckpt", "port=null")
    assert done.code == 1 and "ckpt_path=none.ckpt does not exist" in done.text
    done = run("app", f"ckpt_path=[{checkpoints[0]},{checkpoints[0]}]", "port=null")
    assert done.code == 1 and "names the same checkpoint twice" in done.text
    done = run("app", "ckpt_path=null", "port=null")
    assert done.code == 1 and "ckpt_path=null: give the path" in done.text
    done = run("app", f"ckpt_path={checkpoints[0]}", "layer=nope", "port=null")
    assert done.code == 1 and "layer=nope: the network has no layer with that name: use layer=" in done.text
    done = run("app", f"ckpt_path={checkpoints[0]}", "limits.concurrency=0", "port=70000")
    assert done.code == 1 and "`limits.concurrency` must be" in done.text and "`port` must be" in done.text
