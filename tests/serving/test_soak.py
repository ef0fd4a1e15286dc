"""Ten thousand requests: memory, threads and open files of the server stay what they were."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from PIL import Image

pytest.importorskip("gradio")

REQUESTS = 10_000
WARM = 2_000
CLIENTS = 8
GROWTH_MIB = 60


def encoded(number, kind):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_requests_leave_nothing_behind(server):
    good = [encoded(number, kind) for number, kind in enumerate(("JPEG", "PNG", "WEBP", "GIF", "BMP"))]
    bad = [b"", b"no image", good[0][:200], b"\x89PNG\r\n\x1a\n" + bytes(40), np.random.default_rng(0).bytes(5000)]
    process, wrong = psutil.Process(server.process.pid), []

    def ask(number):
        files = [("a.jpg", (good + bad)[(number + step) % 10]) for step in range(1 + number % 3)]
        status, said = server.predict(*files)
        bad_ones = sum((number + step) % 10 >= len(good) for step in range(len(files)))
        errors = sum("error" in one for one in said) if isinstance(said, list) else -1
        if status != (422 if bad_ones == len(files) else 200) or errors != bad_ones:
            wrong.append((number, status, said))

    def figures():
        return process.memory_info().rss / 2**20, process.num_threads(), process.num_fds()

    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(ask, range(WARM)))
        before = figures()
        list(clients.map(ask, range(WARM, REQUESTS)))
        after = figures()
    print({"before": before, "after": after})
    assert not wrong, wrong[:3]
    assert after[0] < before[0] + GROWTH_MIB
    assert after[1] <= before[1] + 2 and after[2] <= before[2] + 4
