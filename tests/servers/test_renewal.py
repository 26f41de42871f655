"""Workers are replaced while a client asks on and on, and no request is lost."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import httpx2
import pytest

SERVERS = ("granian", "uvicorn", "hypercorn")
TIMEOUT = 30.0

APP = """
    import os, pathlib
    from oxidite import Oxidite, Response

    app = Oxidite()
    ballast = []

    @app.get("/")
    async def index() -> Response:
        return Response(str(os.getpid()))

    @app.post("/grow")
    async def grow() -> int:
        ballast.append(b"x" * 200_000_000)
        return os.getpid()
"""
FAILS_LATER = """
    import os, pathlib
    from oxidite import Oxidite

    class Exclusive:
        async def __aenter__(self):
            pathlib.Path(f"tried-{os.getpid()}").touch()
            if pathlib.Path("broken").exists():
                raise LookupError("no database")
        async def __aexit__(self, *_):
            pass

    app = Oxidite(resources=[Exclusive()])

    @app.get("/")
    async def index() -> str:
        return str(os.getpid())
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


class Load:
    """Clients that ask all the time: one that keeps its connection, one that does not."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[str] = []
        self.failures: list[Exception] = []
        self._stop = threading.Event()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._run, args=(keep,)) for keep in (True, False)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _run(self, keep: bool) -> None:
        headers = {} if keep else {"connection": "close"}
        # A kept connection may end just when it is used: such a request is sent again, by any client.
        transport = httpx2.HTTPTransport(retries=0)
        with httpx2.Client(transport=transport, headers=headers, timeout=TIMEOUT) as client:
            while not self._stop.is_set():
                self._ask(client, again=keep)

    def _ask(self, client: httpx2.Client, *, again: bool) -> None:
        try:
            response = client.get(self.url)
            response.raise_for_status()
            self.seen.append(response.text)
        except (httpx2.RemoteProtocolError, httpx2.ReadError) as exc:
            if again:
                self._ask(client, again=False)
            else:
                exc.add_note(repr(client.headers))
                self.failures.append(exc)
        except httpx2.HTTPError as exc:
            self.failures.append(exc)

    @property
    def workers(self) -> list[str]:
        return list(dict.fromkeys(self.seen))


def serving(serve: Serve, source: str, *args: str) -> Served:
    served = serve(source, "--port", "0", *args)
    served.wait_until(lambda: "Serving" in served.said)
    return served


each_server = pytest.mark.parametrize("server", SERVERS)


@each_server
def test_workers_are_renewed_after_so_many_requests_and_none_is_lost(
    serve: Serve, server: str
) -> None:
    served = serving(serve, APP, "--server", server, "--max-requests", "150")
    load = Load(served.url)
    with load.running():
        served.wait_until(lambda: len(load.workers) >= 4)

    assert not load.failures, [e.__notes__ for e in load.failures]
    assert served.end(signal.SIGTERM) == 0
    assert "WARNING" not in served.said


@each_server
def test_workers_are_renewed_after_their_time(serve: Serve, server: str) -> None:
    served = serving(serve, APP, "--server", server, "--workers", "2", "--max-lifetime", "1")
    load = Load(served.url)
    with load.running():
        served.wait_until(lambda: len(load.workers) >= 4)

    assert not load.failures, [e.__notes__ for e in load.failures]
    assert served.end(signal.SIGTERM) == 0


@each_server
def test_a_worker_that_has_grown_too_big_is_renewed(serve: Serve, server: str) -> None:
    served = serving(serve, APP, "--server", server, "--max-memory", "200M")
    first = served.get()
    assert httpx2.post(served.url + "/grow", trust_env=False).text == first

    served.wait_until(lambda: served.get() != first)
    # Until it stops the old one answers too.
    served.wait_until(lambda: not Path(f"/proc/{first}").exists())
    second = served.get()
    time.sleep(1.5)  # two looks
    assert served.get() == second


@each_server
def test_sighup_renews_all_workers(serve: Serve, server: str) -> None:
    served = serving(serve, APP, "--server", server, "--workers", "2")
    load = Load(served.url)
    with load.running():
        served.wait_until(lambda: len(load.workers) == 2)
        served.process.send_signal(signal.SIGHUP)
        served.wait_until(lambda: len(load.workers) == 4)

    assert not load.failures, [e.__notes__ for e in load.failures]


@each_server
def test_a_worker_that_is_killed_is_replaced(serve: Serve, server: str) -> None:
    served = serving(serve, APP, "--server", server, "--workers", "2")
    victim = int(served.get())
    began = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    served.wait_until(lambda: f"Worker {victim} was ended by SIGKILL." in served.said)
    assert time.monotonic() - began < 5.0
    seen = set()

    def both() -> bool:
        with contextlib.suppress(httpx2.TransportError):
            seen.add(served.get())
        return len(seen - {str(victim)}) == 2

    served.wait_until(both)


@each_server
def test_a_renewal_that_fails_leaves_the_old_worker_and_is_tried_again(
    serve: Serve, server: str, tmp_path: Path
) -> None:
    served = serving(serve, FAILS_LATER, "--server", server, "--workers", "2")
    before = {int(path.name[6:]) for path in tmp_path.glob("tried-*")}
    (tmp_path / "broken").touch()
    served.process.send_signal(signal.SIGHUP)
    served.wait_until(lambda: served.said.count("Another one is started") >= 2)

    assert int(served.get()) in before
    (tmp_path / "broken").unlink()
    served.wait_until(lambda: int(served.get()) not in before)
    assert re.search(r"Worker \d+ ended by itself, with exit code 1\.", served.said)


@each_server
def test_it_ends_when_the_last_worker_cannot_be_replaced(
    serve: Serve, server: str, tmp_path: Path
) -> None:
    served = serving(serve, FAILS_LATER, "--server", server, "--max-requests", "1000")
    (tmp_path / "broken").touch()
    os.kill(int(served.get()), signal.SIGKILL)

    assert served.process.wait(TIMEOUT) == 1
