"""The smallest application: in process, and as the command line serves it."""

from __future__ import annotations

import os
import re
import runpy
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, cast

import httpx2
import pytest

from oxidite import Oxidite
from oxidite.testing import Client

EXAMPLES = Path(__file__).parents[2] / "examples"
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
PATIENCE = 20.0  # seconds until the first line with an address; it takes about one


async def test_hello_greets_whom_it_is_told() -> None:
    app = cast("Oxidite", runpy.run_path(str(EXAMPLES / "hello" / "app.py"))["app"])
    async with Client(app) as client:
        assert (await client.get("/")).text == "Hello, world!"
        assert (await client.get("/", params={"name": "Ann"})).text == "Hello, Ann!"


@pytest.mark.parametrize(
    ("command", "example", "answer"),
    [
        ("dev", "hello/app.py", "Hello, world!"),
        ("serve", "hello/app.py", "Hello, world!"),
        ("dev", "blog/app.py", "The Oxide Notebook"),
        ("serve", "blog/app.py", "The Oxide Notebook"),
    ],
)
def test_the_command_line_serves_an_example_and_stops_cleanly(
    command: str, example: str, answer: str
) -> None:
    arguments = [sys.executable, "-m", "oxidite", command, str(EXAMPLES / example), "--port", "0"]
    environment = {**os.environ, "DATABASE_URL": "sqlite://"}
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment) as process:
        # What does not answer in time is ended, so that reading from it ends too.
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        try:
            output = cast("IO[str]", process.stderr)
            said, url = _read_until_address(output)
            # Granian names its address a moment before it listens.
            with httpx2.Client(
                transport=httpx2.HTTPTransport(retries=6), timeout=PATIENCE
            ) as browser:
                text = browser.get(url).text
            process.send_signal(signal.SIGINT)
            said += output.read()
        finally:
            process.kill()
            watchdog.cancel()
    assert answer in text
    assert "Traceback" not in said
    assert process.returncode in (0, 130)


def _read_until_address(output: IO[str]) -> tuple[str, str]:
    said = ""
    for line in output:
        said += line
        if found := ADDRESS.search(line):
            return said, found.group()
    pytest.fail(f"It ended without an address:\n{said}")
