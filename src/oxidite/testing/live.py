"""A server on a real socket, for tests with a browser or another program as the client."""

from __future__ import annotations

import asyncio
import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn

from oxidite.app import Oxidite
from oxidite.servers import Settings
from oxidite.servers.drain import begin_to_stop
from oxidite.servers.sockets import listen
from oxidite.servers.startup import StartupRecorder
from oxidite.servers.uvicorn import StoppableServer

__all__ = ["LiveServer"]

_LAST_GRACE = 1.0


class LiveServer:
    """Serves ``app`` on a free port of this machine, in a thread with a loop of its own.

    ::

        with LiveServer(app) as server:           # or: async with
            httpx2.get(f"{server.url}/posts")

    It opens the application's resources, and accepts connections once it is entered. An exception
    at startup is raised there, itself. At the end requests, and then the resources, have ``grace``
    seconds together; after that they are cancelled.
    """

    def __init__(self, app: Oxidite, *, host: str = "127.0.0.1", grace: float = 5.0) -> None:
        self.app = app
        self.host = host
        self.port: int = 0
        self.grace = grace
        self._recorder = StartupRecorder(app)
        self._server: StoppableServer | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("This LiveServer runs already.")
        sock = listen(Settings(host=self.host, port=0, backlog=128))
        self.port = sock.getsockname()[1]
        started = threading.Event()
        self._failure = None
        self._recorder = StartupRecorder(self.app)
        self._thread = threading.Thread(
            target=self._run, args=(sock, started), name="LiveServer", daemon=True
        )
        self._thread.start()
        started.wait()
        if self._server is None or not self._server.started:
            self._thread.join(self.grace)
            self._thread = None
            raise self._recorder.error or self._failure or RuntimeError("The server did not start.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        thread, self._thread = self._thread, None
        if thread is None or self._server is None:
            return
        self._server.should_exit = True
        thread.join(self.grace)
        if thread.is_alive():
            self._cancel()
            thread.join(_LAST_GRACE)
        if thread.is_alive():
            raise RuntimeError(
                f"{self.url} did not stop within {self.grace} s: something in it blocks the loop."
            )
        if self._failure is not None:
            raise self._failure

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, exc, tb)

    # In the thread.

    def _run(self, sock: socket.socket, started: threading.Event) -> None:
        try:
            with sock, asyncio.Runner() as runner:
                runner.run(self._serve(sock, started))
        except (asyncio.CancelledError, SystemExit):
            pass  # told to, or uvicorn's word for a startup that failed
        except BaseException as exc:  # noqa: BLE001 - raised in the test
            self._failure = exc
        finally:
            started.set()

    async def _serve(self, sock: socket.socket, started: threading.Event) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        config = uvicorn.Config(
            self._recorder,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            # Half of the time for requests, so that something is left for the resources.
            timeout_graceful_shutdown=self.grace / 2,  # type: ignore[arg-type]  # it is only waited for
        )
        self._server = StoppableServer(
            config, started.set, on_stopping=lambda: begin_to_stop(self.app)
        )
        await self._server.serve(sockets=[sock])

    def _cancel(self) -> None:
        if self._loop is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
