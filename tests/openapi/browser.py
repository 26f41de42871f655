"""A headless Chromium, over its own protocol: what a test of a page needs and no more.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

PATIENCE = 30.0  # seconds for whatever a page is asked to do
_LISTENING = re.compile(r"DevTools listening on (ws://\S+)")


def find_chromium() -> str | None:
    """Return the path of the program; ``None`` if there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


class Page:
    """One tab. ``log`` has what the console and the security policies said, ``requests`` all URLs."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session: str | None = None
        self.log: list[str] = []
        self.requests: list[str] = []

    async def listen(self) -> None:
        """Take what the browser says, until it says no more."""
        async for text in self._socket:
            message = json.loads(text)
            if "id" in message:
                self._waiting.pop(message["id"]).set_result(message)
            else:
                self._note(message["method"], message["params"])

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Log.entryAdded":
            self.log.append(f"{params['entry']['source']}: {params['entry']['text']}")
        elif method == "Runtime.exceptionThrown":
            self.log.append(f"exception: {params['exceptionDetails']}")
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.log.append(f"console: {params['args']}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Do one thing and return what the browser says to it."""
        number = next(self._ids)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        await self._socket.send(json.dumps(message))
        found = await asyncio.wait_for(answer, PATIENCE)
        assert "error" not in found, f"{method}: {found['error']}"
        result: dict[str, Any] = found["result"]
        return result

    async def attach(self) -> None:
        """Open the tab."""
        target = await self.send("Target.createTarget", url="about:blank")
        found = await self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.send(f"{domain}.enable")

    async def open(self, url: str) -> None:
        await self.send("Page.navigate", url=url)

    async def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; a promise is awaited."""
        found = await self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def until(self, condition: str) -> Any:
        """Wait until a JavaScript expression is true, looking at each frame that is drawn."""
        return await self.run(
            "new Promise((done) => { const look = () => { const found = ("
            + condition
            + "); found ? done(typeof found === 'object' || found) : requestAnimationFrame(look); }; look(); })"
        )

    async def click(self, selector: str) -> None:
        await self.until(f"document.querySelector({json.dumps(selector)})")
        await self.run(f"document.querySelector({json.dumps(selector)}).click()")

    async def screenshot(self, file: Path) -> None:
        shot = await self.send("Page.captureScreenshot", captureBeyondViewport=True)
        await asyncio.to_thread(file.write_bytes, base64.b64decode(shot["data"]))


@contextlib.asynccontextmanager
async def started(program: str, profile: Path) -> AsyncIterator[Page]:
    """Start the browser and end it."""
    process = await asyncio.create_subprocess_exec(
        program,
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--no-first-run", "--disable-extensions", "--disable-background-networking"),
        *("--remote-debugging-port=0", f"--user-data-dir={profile}", "--window-size=1200,1000"),
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        url = await asyncio.wait_for(_address(process.stderr), PATIENCE)
        async with connect(url, max_size=None) as socket:
            page = Page(socket)
            listening = asyncio.create_task(page.listen())
            try:
                await page.attach()
                yield page
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def _address(stream: asyncio.StreamReader) -> str:
    said = []
    async for line in stream:
        said.append(line.decode(errors="replace"))
        if found := _LISTENING.search(said[-1]):
            return found[1]
    raise AssertionError(f"the browser did not start: {''.join(said)}")
