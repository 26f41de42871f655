"""The application beside, as a process under each server."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import IO, Protocol

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


# What `oxidite serve` is tested with.

TIMEOUT = 20.0


class Served:
    """A running ``oxidite serve``."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def said(self) -> str:
        return self._log.read_text()

    @property
    def url(self) -> str:
        found = re.search(r"https?://[\w.\[\]:]+", self.said)
        assert found, self.said
        return found[0]

    def get(self, path: str = "/") -> str:
        return httpx2.get(self.url + path, trust_env=False).text

    def wait_for(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            assert self.process.poll() is None, self.said
            with contextlib.suppress(httpx2.TransportError, AssertionError):
                self.get()
                return
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.005)

    def end(self, signum: int) -> int:
        """Send a signal to the process alone and return its exit code."""
        self.process.send_signal(signum)
        return self.process.wait(TIMEOUT)


class StartServing(Protocol):
    """What the fixture ``serve`` is."""

    def __call__(
        self,
        source: str,
        *args: str,
        environ: Mapping[str, str] = ...,
        pass_fds: Sequence[int] = ...,
    ) -> Served: ...


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[StartServing]:
    """Start ``oxidite serve`` on an application; nothing of it is left after the test."""
    with contextlib.ExitStack() as stack:

        def start(
            source: str, *args: str, environ: Mapping[str, str] = {}, pass_fds: Sequence[int] = ()
        ) -> Served:
            if "--server" in args:
                pytest.importorskip(args[args.index("--server") + 1])
            (tmp_path / "app.py").write_text(dedent(source))
            log = tmp_path / "log"
            errors: IO[str] = stack.enter_context(log.open("w"))
            process = subprocess.Popen(
                [sys.executable, "-m", "oxidite", "serve", *args],
                cwd=tmp_path,
                env={"OXIDITE_ENV": "production", **os.environ, **environ},
                stdout=errors,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                text=True,
                process_group=0,
                pass_fds=pass_fds,
            )
            stack.callback(_end, process)
            return Served(process, log)

        yield start


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
