"""Slow clients, idle ones, and too many at once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import httpx2
import pytest

SERVERS = ("granian", "uvicorn", "hypercorn")
TIMEOUT = 20.0

STREAMS = """
    import asyncio, pathlib
    from oxidite import Oxidite, Request, StreamingResponse

    app = Oxidite()
    app.unshed_paths.add("/health")

    @app.get("/")
    async def index() -> str:
        return "hello"

    @app.get("/health")
    async def health() -> str:
        return "well"

    @app.get("/wait")
    async def wait() -> str:
        pathlib.Path("waiting").touch()
        while not pathlib.Path("go").exists():
            await asyncio.sleep(0.01)
        return "done"

    @app.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    @app.post("/pieces")
    async def pieces(request: Request) -> StreamingResponse:
        size = 0
        async for piece in request.stream():
            size += len(piece)
        return StreamingResponse(iter([str(size)]))
"""
VALUES = STREAMS.replace("-> StreamingResponse", "-> str").replace(
    "StreamingResponse(iter([str(size)]))", "str(size)"
)
FOREIGN = """
    import asyncio, pathlib

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        if scope["path"] == "/wait":
            pathlib.Path("waiting").touch()
            while not pathlib.Path("go").exists():
                await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})
"""
each = pytest.mark.parametrize(
    ("server", "source"),
    [*((each, STREAMS) for each in SERVERS), ("granian", VALUES)],
    ids=[*SERVERS, "granian-rsgi"],
)


class Served(Protocol):
    """A running ``oxidite serve``."""

    process: subprocess.Popen[str]

    @property
    def said(self) -> str: ...
    @property
    def url(self) -> str: ...
    def get(self, path: str = "/") -> str: ...
    def wait_until(self, condition: Callable[[], bool]) -> None: ...


class Serve(Protocol):
    """What the fixture ``serve`` is."""

    def __call__(self, source: str, *args: str) -> Served: ...


def serving(serve: Serve, source: str, *args: str) -> Served:
    served = serve(source, "--port", "0", *args)
    served.wait_until(lambda: "Serving" in served.said)
    return served


def connect(served: Served) -> socket.socket:
    host, _, port = served.url.rpartition("//")[2].partition(":")
    return socket.create_connection((host, int(port)), TIMEOUT)


def drip(sock: socket.socket, data: bytes, pace: float) -> bytes:
    """Send bytes one by one until the server ends it; return what it said."""
    stop = threading.Event()

    def send() -> None:
        try:
            for byte in data:
                sock.sendall(bytes([byte]))
                if stop.wait(pace):
                    return
        except OSError:
            pass

    sender = threading.Thread(target=send)
    sender.start()
    said = b""
    try:
        while chunk := sock.recv(65_536):
            said += chunk
    except ConnectionError:
        pass
    finally:
        stop.set()
        sender.join()
    return said


@each
def test_a_head_that_never_ends_is_cut(serve: Serve, server: str, source: str) -> None:
    served = serving(serve, source, "--server", server, "--idle-timeout", "1")
    for begin in (b"", b"GET / HTTP/1.1\r\nx: "):
        with connect(served) as sock:
            sock.sendall(begin)
            began = time.monotonic()
            said = drip(sock, b"y" * 1000 if begin else b"", 0.1)

        assert 0.5 < time.monotonic() - began < 6.0
        assert said == b"" or b" 408 " in said.partition(b"\r\n")[0]
    assert served.get() == "hello"


@each
def test_a_connection_without_a_next_request_is_closed(
    serve: Serve, server: str, source: str
) -> None:
    served = serving(serve, source, "--server", server, "--idle-timeout", "1")
    with connect(served) as sock:
        for _ in range(3):
            # Each answer begins the time anew.
            sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            said = b""
            while b"hello" not in said:
                said += sock.recv(65_536)
            time.sleep(0.5)
        began = time.monotonic()
        assert sock.recv(1) == b""

    assert time.monotonic() - began < 5.0


TRICKLES = [
    (path, kind, body)
    for path in ("/size", "/pieces")
    for kind, body in (
        ("content-length: 5000", b"x" * 500),
        ("transfer-encoding: chunked", b"1\r\nx\r\n" * 100),
    )
]


@each
def test_a_body_that_trickles_in_is_answered_408(serve: Serve, server: str, source: str) -> None:
    served = serving(
        serve, source, "--server", server, "--body-timeout", "0.5", "--body-rate", "10000"
    )
    for path, kind, body in TRICKLES:
        fields = f"host: x\r\ncontent-type: application/json\r\n{kind}"
        with connect(served) as sock:
            sock.sendall(f"POST {path} HTTP/1.1\r\n{fields}\r\n\r\n".encode())
            began = time.monotonic()
            said = drip(sock, body, 0.05)

        assert time.monotonic() - began < 5.0
        head, _, text = said.decode().partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 408")
        assert json.loads(text)["code"] == "request_timeout"
    assert served.get() == "hello"


@each
def test_a_body_that_comes_fast_enough_may_take_long(
    serve: Serve, server: str, source: str
) -> None:
    served = serving(
        serve, source, "--server", server, "--body-timeout", "0.3", "--body-rate", "100"
    )
    with connect(served) as sock:
        sock.sendall(b"POST /size HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n")
        sock.sendall(b"content-type: application/json\r\nconnection: close\r\n\r\n")
        for _ in range(10):
            sock.sendall(b"x" * 50)
            time.sleep(0.1)

        assert b"500" in sock.recv(65_536).partition(b"\r\n\r\n")[2] + sock.recv(65_536)


@pytest.mark.parametrize(
    ("server", "source"),
    [
        *((each, STREAMS) for each in SERVERS),
        ("granian", VALUES),
        *((each, FOREIGN) for each in SERVERS),
    ],
)
def test_what_is_too_much_is_answered_503_and_health_is_not(
    serve: Serve, server: str, source: str, tmp_path: Path
) -> None:
    served = serving(serve, source, "--server", server, "--max-in-flight", "1")
    with connect(served) as sock:
        sock.sendall(b"GET /wait HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        served.wait_until((tmp_path / "waiting").exists)
        refused = httpx2.get(served.url + "/", trust_env=False)
        if source is not FOREIGN:
            assert served.get("/health") == "well"
        (tmp_path / "go").touch()
        assert b"done" in sock.recv(65_536) + sock.recv(65_536)

    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["code"] == "unavailable"
    assert served.get() in ("hello", "done")


@pytest.mark.parametrize("server", SERVERS)
def test_no_more_connections_than_allowed_are_served(serve: Serve, server: str) -> None:
    served = serving(serve, STREAMS, "--server", server, "--connections", "3")
    ask = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    with connect(served) as one, connect(served) as two, connect(served) as three:
        for each in (one, two, three):
            each.sendall(ask)
            assert each.recv(65_536).startswith(b"HTTP/1.1 200")
        with connect(served) as fourth:
            fourth.settimeout(0.5)
            try:
                fourth.sendall(ask)
                said = fourth.recv(65_536)
            except (ConnectionError, TimeoutError):
                said = b""
            assert b" 200 " not in said
            if server == "uvicorn":
                assert said.startswith(b"HTTP/1.1 503")
        one.close()
        served.wait_until(lambda: _is_served(served, ask))


@pytest.mark.skipif(sys.platform != "linux", reason="others count a backlog in their own ways")
@pytest.mark.parametrize("server", SERVERS)
def test_no_more_connections_wait_than_the_backlog_has_room_for(serve: Serve, server: str) -> None:
    served = serving(serve, STREAMS, "--server", server, "--backlog", "5")
    host, _, port = served.url.rpartition("//")[2].partition(":")
    # What accepts nothing lets them wait.
    os.killpg(served.process.pid, signal.SIGSTOP)
    served.wait_until(lambda: _is_stopped(served.process.pid))
    waiting: list[socket.socket] = []
    with contextlib.ExitStack() as stack, contextlib.suppress(TimeoutError):
        while len(waiting) < 20:
            sock = socket.create_connection((host, int(port)), 0.3)
            waiting.append(stack.enter_context(sock))

    # Linux counts from nought.
    assert len(waiting) == 5 + 1
    os.killpg(served.process.pid, signal.SIGCONT)
    assert served.get() == "hello"


def _is_stopped(group: int) -> bool:
    """Tell whether every thread of a group of processes stands still: a signal takes its time."""
    states = []
    for path in Path("/proc").glob("[0-9]*/task/[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of, *_ = path.read_text().rpartition(")")[2].split()
            states += [state] if int(of) == group else []
    return bool(states) and set(states) == {"T"}


def _is_served(served: Served, ask: bytes) -> bool:
    with connect(served) as sock:
        sock.settimeout(0.5)
        try:
            sock.sendall(ask)
            return sock.recv(65_536).startswith(b"HTTP/1.1 200")
        except (ConnectionError, TimeoutError):
            return False


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--workers", "0"], "neither a number of at least 1 nor 'auto'"),
        (["--workers", "many"], "neither a number of at least 1 nor 'auto'"),
        (["--max-memory", "1 potato"], "is no size such as 512M"),
        (["--max-requests-jitter", "3"], "goes with --max-requests"),
        (["--http3"], "--http3 needs --tls-cert and --tls-key"),
        (["--tls-client-ca", "app.py"], "--tls-client-ca needs --tls-cert and --tls-key"),
    ],
)
def test_options_that_make_no_sense_are_refused(serve: Serve, args: list[str], said: str) -> None:
    served = serve(STREAMS, *args)

    assert served.process.wait(TIMEOUT) == 2
    assert said in " ".join(served.said.split())


def test_workers_auto_is_one_for_each_processor(serve: Serve) -> None:
    served = serving(serve, STREAMS, "--server", "uvicorn", "--workers", "auto")
    done = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(served.process.pid)],
        capture_output=True,
        text=True,
        check=True,
    )
    # Python's own tracker of resources is a child too.
    expected = len(os.sched_getaffinity(0))
    assert len(done.stdout.split()) - 1 in (expected, expected - 1)
