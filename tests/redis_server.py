"""Redis servers of a test's own, to be killed, paused, filled up and refused by."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

__all__ = ["RedisServer", "free_port", "redis_server"]

_STARTING = 10.0  # seconds that a server may take until it listens


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class RedisServer:
    """A server that keeps nothing on a disk: started again, it is empty."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.socket = folder / "redis.sock"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and return when it listens."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "redis-server",
                    *("--port", str(self.port), "--bind", "127.0.0.1"),
                    *("--unixsocket", str(self.socket), "--dir", str(self.folder)),
                    *("--save", "", "--appendonly", "no"),
                    *self._options,
                ],
                stdout=log,
                stderr=log,
                # Then a file that is too large is an error for it, as a full disk is, and not its end.
                restore_signals=False,
            )
        end = time.monotonic() + _STARTING
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as found:
                found.connect(str(self.socket))
                return
            time.sleep(0.01)
        raise RuntimeError((self.folder / "log").read_text())

    def kill(self) -> None:
        """End it as a machine does that loses its power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.socket.unlink(missing_ok=True)

    def pause(self) -> None:
        """Let it do nothing, while its machine still answers for it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[RedisServer]:
    """A server for one test."""
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server is installed")
    server = RedisServer(folder, *options)
    server.start()
    try:
        yield server
    finally:
        server.kill()
