"""Serves a WebSocket on Granian, in a network of its own, and takes that network away.

Says on standard output that the socket is open, and that its handler has ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HANDSHAKE = (
    b"GET /waits HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PORT = 8000
LONGEST = 30.0

SOURCE = """
from pathlib import Path

from oxidite import Oxidite
from oxidite.websocket import WebSocket

app = Oxidite()


@app.websocket("/waits")
async def waits(socket: WebSocket) -> None:
    await socket.accept()
    async for _ in socket:
        pass
    Path("gone").touch()
"""


def connected() -> socket.socket:
    deadline = time.monotonic() + LONGEST
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", PORT))
        assert time.monotonic() < deadline, "nothing listens"
        time.sleep(0.05)


def main() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    Path("app.py").write_text(SOURCE)
    command = [sys.executable, "-m", "oxidite", "serve", "app", "--server", "granian"]
    server = subprocess.Popen(
        [*command, "--port", str(PORT), "--tcp-keepalive", "1"],
        env={**os.environ, "OXIDITE_ENV": "production"},
        stdout=sys.stderr,
        process_group=0,
    )
    try:
        with connected() as sock:
            sock.sendall(HANDSHAKE)
            assert sock.recv(1024).startswith(b"HTTP/1.1 101 ")
            print("open", flush=True)
            subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
            deadline = time.monotonic() + LONGEST
            while not Path("gone").exists():
                assert time.monotonic() < deadline, "nobody noticed"
                time.sleep(0.1)
            print("gone", flush=True)
    finally:
        os.killpg(server.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
