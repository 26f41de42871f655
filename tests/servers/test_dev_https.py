"""``oxidite dev --https``: pages over TLS, those that say what is wrong too."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

TIMEOUT = 20.0
HELLO = """
from oxidite import Oxidite

app = Oxidite()

@app.get("/")
async def index() -> str:
    return "hello"
"""


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_pages_come_over_tls_and_so_does_what_is_wrong(tmp_path: Path) -> None:
    source, log = tmp_path / "app.py", tmp_path / "log"
    source.write_text("nonsense(")
    cache = tmp_path / "cache"
    with (
        log.open("w") as said,
        subprocess.Popen(
            [sys.executable, "-m", "oxidite", "dev", "--https", "--port", "0"],
            cwd=tmp_path,
            env={**os.environ, "XDG_CACHE_HOME": str(cache)},
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
            process_group=0,
        ) as process,
    ):
        try:
            eventually(lambda: "does not start" in log.read_text())
            found = re.search(r"https://127.0.0.1:(\d+)", log.read_text())
            assert found
            context = ssl.create_default_context(cafile=str(cache / "oxidite/authority.pem"))
            with httpx2.Client(verify=context, trust_env=False) as client:
                url = f"https://localhost:{found[1]}/"
                broken = client.get(url)
                assert broken.status_code == 500
                assert "SyntaxError" in broken.text

                source.write_text(HELLO)
                eventually(lambda: client.get(url).text == "hello")
            assert str(cache / "oxidite/authority.pem") in log.read_text()
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT) == 130
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
