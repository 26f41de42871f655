"""Clients that are gone without a word: pings of WebSockets, and TCP's own question."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Protocol

import pytest
from websockets.sync.client import ClientConnection, connect

PATIENCE = 5.0
PING, PONG, TEXT, CLOSE = 0x89, 0x8A, 0x81, 0x88
SOON = 10.0

WAITS = """
    from oxidite import Oxidite
    from oxidite.websocket import WebSocket

    import asyncio, pathlib

    app = Oxidite()
    ended: list[int | None] = []

    @app.get("/ended")
    async def all_ended() -> list[int | None]:
        return ended

    @app.websocket("/waits")
    async def waits(socket: WebSocket) -> None:
        await socket.accept()
        async for message in socket:
            await socket.send(message)
        ended.append(socket.closing and socket.closing.code)

    @app.websocket("/busy")
    async def busy(socket: WebSocket) -> None:
        await socket.accept()
        while not pathlib.Path("go").exists():
            await asyncio.sleep(0.01)
        for _ in range(100):
            await socket.receive()
        await socket.send("all of them")
"""

HANDSHAKE = (
    b"GET /waits HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

that_ping = pytest.mark.parametrize("name", ["uvicorn", "hypercorn"])
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of its timers")


class Served(Protocol):
    @property
    def said(self) -> str: ...
    @property
    def url(self) -> str: ...
    def get(self, path: str = "/") -> str: ...
    def wait_for(self) -> None: ...
    def wait_until(self, condition: object) -> None: ...
    def end(self, signum: int) -> int: ...


class Serve(Protocol):
    def __call__(self, source: str, *args: str) -> Served: ...


class Running(Protocol):
    kind: str

    @property
    def port(self) -> int: ...
    def connect(self) -> socket.socket: ...


class Peer:
    """A client that answers nothing by itself."""

    def __init__(self, url: str) -> None:
        port = int(url.rpartition(":")[2])
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.sock.sendall(HANDSHAKE)
        self.file = self.sock.makefile("rb")
        self.head = b"".join(iter(self.file.readline, b"\r\n"))

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.sock.close()

    def frame(self) -> tuple[int, bytes]:
        kind, length = self.file.read(2)
        assert length < 126
        return kind, self.file.read(length)

    def send(self, kind: int, payload: bytes) -> None:
        self.sock.sendall(bytes([kind, 0x80 | len(payload)]) + bytes(4) + payload)


@that_ping
def test_who_answers_pings_may_be_silent(serve: Serve, name: str) -> None:
    served = serve(WAITS, "--server", name, "--port", "0", "--ping-interval", "0.5")
    served.wait_for()
    begun = time.monotonic()
    with Peer(served.url) as peer:
        # The answer to the handshake comes before any ping.
        assert peer.head.startswith(b"HTTP/1.1 101 ")
        for _ in range(4):
            kind, payload = peer.frame()
            assert kind == PING
            peer.send(PONG, payload)
        assert 4 * 0.5 < time.monotonic() - begun < 7 * 0.5
        peer.send(TEXT, b"hello")
        while (found := peer.frame())[0] == PING:
            peer.send(PONG, found[1])
        assert found == (TEXT, b"hello")
        assert served.get("/ended") == "[]"


@that_ping
def test_who_does_not_is_let_go_with_1011(serve: Serve, name: str) -> None:
    served = serve(WAITS, "--server", name, "--port", "0", "--ping-interval", "0.2")
    served.wait_for()
    with Peer(served.url) as peer:
        assert peer.frame()[0] == PING
        while (found := peer.frame())[0] == PING:
            pass
        assert found == (CLOSE, struct.pack("!H", 1011) + b"keepalive ping timeout")
    served.wait_until(lambda: served.get("/ended") != "[]")
    assert "ERROR" not in served.said


def send_much(socket: ClientConnection) -> None:
    for _ in range(100):
        socket.send(b"x" * 500_000)


@that_ping
def test_who_waits_for_a_busy_handler_is_not_let_go(
    serve: Serve, name: str, tmp_path: Path
) -> None:
    served = serve(WAITS, "--server", name, "--port", "0", "--ping-interval", "0.2")
    served.wait_for()
    url = served.url.replace("http", "ws")
    with connect(f"{url}/busy", proxy=None, ping_interval=None, compression=None) as socket:
        sender = threading.Thread(target=send_much, args=(socket,))
        sender.start()
        sender.join(1.5)  # several pings in which nothing of the client's is read
        (tmp_path / "go").touch()
        assert socket.recv(PATIENCE) == "all of them"
        sender.join()


@that_ping
def test_nothing_waits_for_the_next_ping_once_the_client_has_left(serve: Serve, name: str) -> None:
    served = serve(WAITS, "--server", name, "--port", "0")
    served.wait_for()
    with Peer(served.url) as peer:
        peer.send(CLOSE, struct.pack("!H", 1000))
        assert peer.frame() == (CLOSE, struct.pack("!H", 1000))
        assert peer.file.read() == b""

    begun = time.monotonic()
    assert served.end(15) == 0
    assert time.monotonic() - begun < SOON


def test_granian_says_that_it_sends_no_pings(serve: Serve) -> None:
    served = serve(WAITS, "--server", "granian", "--port", "0", "--ping-interval", "30")
    served.wait_for()
    assert (
        "WARNING: Granian sends WebSockets no pings: --ping-interval has no effect." in served.said
    )


@on_linux
def test_every_connection_has_the_timer_of_keepalive(server: Running) -> None:
    with server.connect() as sock:
        ours = sock.getsockname()[1]
        found = timer_of(server.port, ours)
        deadline = time.monotonic() + PATIENCE
        while found is None and time.monotonic() < deadline:
            found = timer_of(server.port, ours)
    assert found == 2


def timer_of(local: int, remote: int) -> int | None:
    """Return which timer a connection of this machine has; 2 is that of keepalive."""
    ends = f":{local:04X}", f":{remote:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(ends[0]) and fields[2].endswith(ends[1]):
            return int(fields[5].partition(":")[0])
    return None


@on_linux
def test_a_peer_that_vanishes_is_noticed_without_pings(tmp_path: Path) -> None:
    unshare = [shutil.which("unshare") or "unshare", "--map-root-user", "--net"]
    if shutil.which("ip") is None or subprocess.run([*unshare, "true"], check=False).returncode:
        pytest.skip("no network of one's own is permitted here")
    pytest.importorskip("granian")
    driver = Path(__file__).with_name("vanish.py")
    done = subprocess.run(
        [*unshare, sys.executable, str(driver)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["open", "gone"], done.stdout + done.stderr
