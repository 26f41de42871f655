"""The end of ``oxidite serve``: what has begun is finished, what has no end is told, nothing stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Protocol

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

SERVERS = ("granian", "uvicorn", "hypercorn")
TIMEOUT = 20.0

APP = """
    import asyncio, os, pathlib
    from oxidite import Events, Oxidite, Response, StreamingResponse

    class Resource:
        async def __aenter__(self):
            return self
        async def __aexit__(self, *_):
            pathlib.Path(f"closed-{os.getpid()}").touch()

    app = Oxidite(resources=[Resource()])

    async def until(name: str) -> None:
        pathlib.Path(f"{name}-begun").touch()
        while not pathlib.Path(f"{name}-go").exists():
            await asyncio.sleep(0.01)

    @app.get("/")
    async def index() -> str:
        return str(os.getpid())

    @app.get("/slow")
    async def slow() -> str:
        await until("slow")
        return "the whole answer"

    @app.get("/events")
    async def events() -> StreamingResponse:
        async def ticks():
            yield b"begun\\n"
            pathlib.Path("events-begun").touch()
            await app.in_flight.stopping.wait()
            yield b"told to end\\n"
        return StreamingResponse(ticks())

    @app.get("/sse")
    async def sse() -> Events[str]:
        yield "begun"
        pathlib.Path("sse-begun").touch()
        await asyncio.Event().wait()

    @app.get("/ready")
    async def ready() -> Response:
        return Response("", status=503 if app.in_flight.stopping.is_set() else 200)

    @app.get("/stuck")
    async def stuck() -> str:
        pathlib.Path("stuck-begun").touch()
        await asyncio.Event().wait()
        return "never"
"""
VALUES = """
    import asyncio, pathlib
    from oxidite import Oxidite

    app = Oxidite()

    @app.get("/slow")
    async def slow() -> str:
        pathlib.Path("slow-begun").touch()
        while not pathlib.Path("slow-go").exists():
            await asyncio.sleep(0.01)
        return "the whole answer"
"""
IMPORTS_FOR_EVER = """
    import pathlib, threading
    pathlib.Path("importing").touch()
    threading.Event().wait()
    app = None
"""


class Served(Protocol):
    """A running ``oxidite serve``."""

    process: subprocess.Popen[str]

    @property
    def said(self) -> str: ...
    @property
    def url(self) -> str: ...
    def get(self, path: str = "/") -> str: ...
    def wait_until(self, condition: Callable[[], bool]) -> None: ...
    def end(self, signum: int) -> int: ...


class Serve(Protocol):
    """What the fixture ``serve`` is."""

    def __call__(self, source: str, *args: str) -> Served: ...


@contextmanager
def asking(served: Served, path: str, begun: Path) -> Iterator[socket.socket]:
    """Send a request and wait until its handler runs."""
    host, _, port = served.url.rpartition("//")[2].partition(":")
    with socket.create_connection((host, int(port)), TIMEOUT) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        served.wait_until(begun.exists)
        yield sock


def answer(sock: socket.socket) -> str:
    """Read until the server closes."""
    chunks = []
    while chunk := sock.recv(65_536):
        chunks.append(chunk)
    return b"".join(chunks).decode().lower()


def refuses(served: Served) -> bool:
    host, _, port = served.url.rpartition("//")[2].partition(":")
    with socket.socket() as sock:
        sock.settimeout(TIMEOUT)
        return sock.connect_ex((host, int(port))) != 0


def serving(serve: Serve, source: str, *args: str) -> Served:
    served = serve(source, "--port", "0", *args)
    served.wait_until(lambda: "Serving" in served.said)
    return served


def assert_nothing_is_left(served: Served) -> None:
    deadline = time.monotonic() + TIMEOUT
    while True:
        done = subprocess.run(
            ["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True
        )
        rows = [line.split() for line in done.stdout.splitlines()]
        left = [row for row in rows if int(row[0]) == served.process.pid and "Z" not in row[1]]
        if not left:
            return
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


each_server = pytest.mark.parametrize("server", SERVERS)
each_form = pytest.mark.parametrize("workers", ["1", "2"])


@each_form
@pytest.mark.parametrize(
    ("server", "source"), [*((each, APP) for each in SERVERS), ("granian", VALUES)]
)
def test_a_running_request_gets_its_whole_answer_and_hears_that_the_connection_ends(
    serve: Serve, server: str, source: str, workers: str, tmp_path: Path
) -> None:
    served = serving(serve, source, "--server", server, "--workers", workers)
    with asking(served, "/slow", tmp_path / "slow-begun") as sock:
        served.process.send_signal(signal.SIGTERM)
        served.wait_until(lambda: refuses(served))
        (tmp_path / "slow-go").touch()
        text = answer(sock)

    assert text.startswith("http/1.1 200")
    assert text.endswith("the whole answer")
    assert "connection: close" in text
    assert served.process.wait(TIMEOUT) == 0
    assert_nothing_is_left(served)


@each_server
def test_what_has_no_end_is_told_and_ends(serve: Serve, server: str, tmp_path: Path) -> None:
    served = serving(serve, APP, "--server", server, "--graceful-timeout", "60")
    with asking(served, "/events", tmp_path / "events-begun") as sock:
        began = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        text = answer(sock)

    assert "told to end" in text
    assert served.process.wait(TIMEOUT) == 0
    assert time.monotonic() - began < TIMEOUT
    assert len(list(tmp_path.glob("closed-*"))) == 1


@each_server
def test_who_listens_to_events_is_told_when_to_come_back(
    serve: Serve, server: str, tmp_path: Path
) -> None:
    served = serving(serve, APP, "--server", server, "--graceful-timeout", "60")
    with asking(served, "/sse", tmp_path / "sse-begun") as sock:
        served.process.send_signal(signal.SIGTERM)
        text = answer(sock)

    data, _, after = text.partition("data: begun\n\n")
    assert data.startswith("http/1.1 200")
    assert "retry: " in after
    assert after.endswith("0\r\n\r\n")  # it ended, and was not cut off
    assert served.process.wait(TIMEOUT) == 0


@each_form
@each_server
def test_what_does_not_end_is_cut_off_and_resources_are_closed_all_the_same(
    serve: Serve, server: str, workers: str, tmp_path: Path
) -> None:
    served = serving(
        serve, APP, "--server", server, "--graceful-timeout", "0.5", "--workers", workers
    )
    with asking(served, "/stuck", tmp_path / "stuck-begun") as sock:
        began = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        assert "never" not in answer(sock)

    assert served.process.wait(TIMEOUT) == 0
    assert time.monotonic() - began < 0.5 + 5.0
    assert len(list(tmp_path.glob("closed-*"))) == int(workers)
    assert_nothing_is_left(served)


@each_form
@each_server
def test_the_second_signal_is_obeyed_at_once(
    serve: Serve, server: str, workers: str, tmp_path: Path
) -> None:
    served = serving(
        serve, APP, "--server", server, "--graceful-timeout", "60", "--workers", workers
    )
    with asking(served, "/stuck", tmp_path / "stuck-begun"):
        served.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            served.process.wait(0.5)
        began = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        served.process.wait(TIMEOUT)

    assert time.monotonic() - began < 5.0
    assert_nothing_is_left(served)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
@each_server
def test_a_signal_while_workers_import_the_application_is_obeyed(
    serve: Serve, server: str, signum: signal.Signals, tmp_path: Path
) -> None:
    served = serve(APP, "--server", server, "--workers", "2", "--port", "0")
    served.wait_until(lambda: "ASGI" in served.said)
    (tmp_path / "app.py").write_text(dedent(IMPORTS_FOR_EVER))
    marker = tmp_path / "importing"
    served.wait_until(lambda: marker.exists() or "Serving" in served.said)
    began = time.monotonic()

    assert served.end(signum) == (130 if signum == signal.SIGINT else 0)
    assert time.monotonic() - began < 5.0
    assert_nothing_is_left(served)


@each_server
def test_a_worker_ends_with_its_supervisor(serve: Serve, server: str) -> None:
    served = serving(serve, APP, "--server", server, "--workers", "2")
    worker = int(served.get())
    assert worker != served.process.pid

    served.process.kill()
    served.process.wait(TIMEOUT)
    deadline = time.monotonic() + TIMEOUT
    while Path(f"/proc/{worker}").exists() and os.getpgid(worker) == served.process.pid:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert_nothing_is_left(served)


TALK = """
    import pathlib
    from oxidite import Oxidite
    from oxidite.websocket import WebSocket

    app = Oxidite()

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        await socket.send("begun")
        async for message in socket:
            await socket.send(message)
        pathlib.Path("ended").touch()
"""


@each_server
def test_who_talks_is_told_to_connect_again(server: str, serve: Serve, tmp_path: Path) -> None:
    served = serving(serve, TALK, "--server", server)
    url = served.url.replace("http:", "ws:")
    with connect(f"{url}/talk", proxy=None) as talking:
        assert talking.recv(TIMEOUT) == "begun"
        served.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as caught:
            talking.recv(TIMEOUT)

    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1012
    assert served.process.wait(TIMEOUT) == 0
    assert (tmp_path / "ended").exists()
