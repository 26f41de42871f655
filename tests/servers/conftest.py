"""The application beside, as a process under each server."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

KINDS = ("uvicorn-h11", "uvicorn-httptools", "granian-asgi", "granian-rsgi", "hypercorn")

START_TIMEOUT = 30.0
ANSWER_TIMEOUT = 5.0


@dataclass(frozen=True)
class Running:
    """A server that accepts connections on ``port``; ``log`` is its standard error."""

    kind: str
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), ANSWER_TIMEOUT)

    def exchange(self, data: bytes, *, half_close: bool = False) -> bytes:
        """Send bytes as they are and return all that comes until the server closes.

        A server that neither answers nor closes within ``ANSWER_TIMEOUT`` is a ``TimeoutError``.
        """
        with self.connect() as sock:
            with contextlib.suppress(OSError):
                # It may have closed before it had read everything.
                sock.sendall(data)
                if half_close:
                    sock.shutdown(socket.SHUT_WR)
            return b"".join(_chunks(sock))


def _chunks(sock: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            chunk = sock.recv(65_536)
        except ConnectionError:
            return
        if not chunk:
            return
        yield chunk


def wait_until(condition: Callable[[], bool], timeout: float = ANSWER_TIMEOUT) -> None:
    """Wait for something in another process; fail if it does not come."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("it did not happen in time")
        time.sleep(0.01)


def _accepts(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def running(
    kind: str, directory: Path, module: str = "application", uds: Path | None = None
) -> Iterator[Running]:
    """Run a module beside on a server; whatever happens, its process group is gone afterwards."""
    log = directory / f"{kind}.log"
    runner = Path(__file__).with_name("run.py")
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [sys.executable, str(runner), kind, module, *([] if uds is None else [str(uds)])],
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            process_group=0,
            env={**os.environ, "ACCESS_LOG": str(directory / "access.log")},
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, f"{kind} did not start:\n{log.read_text()}"
            wait_until(
                lambda: uds is not None or _accepts(int(line)) or process.poll() is not None,
                START_TIMEOUT,
            )
            assert process.poll() is None, f"{kind} did not start:\n{log.read_text()}"
            yield Running(kind, int(line), log)
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(ANSWER_TIMEOUT)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module", params=KINDS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    library, _, parser = request.param.partition("-")
    pytest.importorskip(library)
    pytest.importorskip(parser if parser in ("h11", "httptools") else library)
    module = getattr(request.module, "APPLICATION", "application")
    with running(request.param, tmp_path_factory.mktemp("servers"), module) as found:
        yield found


@pytest.fixture
def client(server: Running) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, trust_env=False, timeout=ANSWER_TIMEOUT) as found:
        yield found


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Wait until something is so; fail if it does not come to be."""
    return wait_until
