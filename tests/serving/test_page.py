"""The page in headless Chromium, driven by the DevTools protocol: what a person sees."""

import asyncio
import base64
import io
import json
import re
import shutil
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio")
aiohttp = pytest.importorskip("aiohttp")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")


class Tab:
    """One page; `requests` are the addresses it asked for."""

    def __init__(self, socket: Any):
        self.socket, self.number, self.requests = socket, 0, []

    async def call(self, method: str, **params: Any) -> dict:
        self.number += 1
        await self.socket.send_json({"id": self.number, "method": method, "params": params})
        async for message in self.socket:
            said = json.loads(message.data)
            if said.get("method") == "Network.requestWillBeSent":
                self.requests.append(said["params"]["request"]["url"])
            if said.get("id") == self.number:
                return said["result"]
        raise AssertionError("Chromium ended")

    async def value(self, script: str) -> Any:
        return (await self.call("Runtime.evaluate", expression=script, returnByValue=True))["result"].get("value")

    async def until(self, script: str) -> Any:
        for _ in range(300):
            if value := await self.value(script):
                return value
            await asyncio.sleep(0.1)
        raise AssertionError(f"{script}: {await self.value('document.body.innerText')}")

    async def click(self, selector: str) -> None:
        await self.value(f"document.querySelector('{selector}').scrollIntoView()")
        box = f"document.querySelector('{selector}').getBoundingClientRect().toJSON()"
        x, y, width, height = await self.value(f"(({{ x, y, width, height }}) => [x, y, width, height])({box})")
        for kind in ("mousePressed", "mouseReleased"):
            where = {"x": x + width / 2, "y": y + height / 2}
            await self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)

    async def choose(self, *files: Path) -> str:
        """Chooses the files and returns the text of the answers, when they are new."""
        await self.value("document.querySelector('#answers .answers')?.classList.add('old')")
        await self.until("!!document.querySelector('#images input[type=file]')")
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        field = await self.call("DOM.querySelector", nodeId=root, selector="#images input[type=file]")
        await self.call("DOM.setFileInputFiles", nodeId=field["nodeId"], files=[str(file) for file in files])
        return await self.until("document.querySelector('#answers .answers:not(.old)')?.innerText")


@asynccontextmanager
async def tab(url: str, profile: Path):
    command = (CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0")
    process = await asyncio.create_subprocess_exec(
        *command, f"--user-data-dir={profile}", "about:blank", stderr=asyncio.subprocess.PIPE
    )
    try:
        while not (found := re.search(rb"DevTools listening on ws://([^/]+)", await process.stderr.readline())):
            assert process.returncode is None
        drained = asyncio.create_task(process.stderr.read())
        async with aiohttp.ClientSession() as session:
            tabs = await (await session.get(f"http://{found[1].decode()}/json")).json()
            address = next(page["webSocketDebuggerUrl"] for page in tabs if page["type"] == "page")
            async with session.ws_connect(address, max_msg_size=0) as socket:
                page = Tab(socket)
                for domain in ("Page", "Network"):
                    await page.call(f"{domain}.enable")
                await page.call("Emulation.setFocusEmulationEnabled", enabled=True)
                await page.call("Page.navigate", url=url)
                yield page
        process.terminate()
        await drained
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
def browse(server, tmp_path) -> Callable[[Callable[[Tab], Awaitable[None]]], None]:
    """`browse(visit)`: runs `await visit(tab)` on the server's page."""

    def call(visit: Callable[[Tab], Awaitable[None]]) -> None:
        async def visited() -> None:
            async with tab(server.url, tmp_path / "profile") as page:
                await visit(page)

        asyncio.run(asyncio.wait_for(visited(), 120))

    return call


PASTE = """(() => { const held = new DataTransfer();
const bytes = Uint8Array.from(atob('%s'), (letter) => letter.charCodeAt(0));
held.items.add(new File([bytes], 'pasted.png', { type: 'image/png' }));
document.querySelector('#answers .answers')?.classList.add('old');
document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: held })); })()"""


def test_a_person_sees_verdicts_errors_and_limits(server, browse, tmp_path):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8))
    photo.save(tmp_path / "photo.png")
    (tmp_path / "<i>text.jpg").write_text("hello")
    [said] = server.predict(("photo.png", (tmp_path / "photo.png").read_bytes())).body
    buffer = io.BytesIO()
    photo.save(buffer, "png")
    pasted = PASTE % base64.b64encode(buffer.getvalue()).decode()

    async def visit(page: Tab) -> None:
        await page.until("document.body.innerText.includes('Its limits')")
        shown = await page.value("document.body.innerText")
        assert "Synthetic, images digest" in shown and "supports human review" in shown
        await page.until(f"document.body.innerText.includes('curl -F images=@photo.jpg {server.url}/predict')")

        text = await page.choose(tmp_path / "photo.png", tmp_path / "<i>text.jpg")
        assert f"Called {said['prediction']}" in text and f"{said['prob_fake']:.4f}" in text
        assert "As the network saw it: 32 x 32 pixels" in text and "all 2 together" in text
        assert "<i>text.jpg" in text and "cannot be judged: not an image that can be read" in text
        pictures = "[...document.querySelectorAll('#answers img')].map((image) => image.naturalWidth)"
        assert await page.value(pictures) == [384] * (2 if "No map" in text else 3)
        assert (f"Where the evidence for {said['prediction']} lies" in text) != ("No map: Nothing" in text)

        await page.until("!!document.querySelector('#images input[type=file]')")
        await page.value(pasted)
        text = await page.until("document.querySelector('#answers .answers:not(.old)')?.innerText")
        assert "pasted.png" in text and "text.jpg" not in text and f"{said['prob_fake']:.4f}" in text

        await page.click("[role=combobox]")
        await page.until("document.querySelectorAll('[role=option]').length == 3")
        await page.click("[role=option]:last-child")
        await page.until("document.querySelector('#about h3').innerText == 'b/best.ckpt'")
        assert "photo.png - b/best.ckpt" in await page.choose(tmp_path / "photo.png")

        others = [url for url in page.requests if not url.startswith((server.url, "data:", "blob:"))]
        assert page.requests and not others

    browse(visit)
    assert not [path for path in server.temporary.rglob("*") if path.is_file() and "chromium" not in str(path).lower()]


def test_a_page_fits_a_phone(browse):
    async def visit(page: Tab) -> None:
        await page.call("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=True)
        await page.until("document.body.innerText.includes('Its limits')")
        assert await page.value("document.documentElement.scrollWidth") == 390

    browse(visit)
