"""Granian: the fast server of ``oxidite[standard]``. It supervises its workers itself."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import math
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import ClassVar, cast

import granian
from granian.constants import Interfaces, Loops, RuntimeModes, SSLProtocols
from granian.log import LogLevels
from granian.server.mp import MPServer

from oxidite.app import Oxidite
from oxidite.errors import ConfigError
from oxidite.http.response import ASGIApp
from oxidite.protocols.asgi import Message, Receive, Send
from oxidite.servers.base import Announce, Application, Interface, Settings, quiet
from oxidite.servers.logs import SERVER_LOGS
from oxidite.servers.sockets import accepts, probe
from oxidite.servers.target import Target
from oxidite.servers.workers import Report, RollCall, WorkerLoader

__all__ = ["GranianServer"]

_TURN = 0.01  # seconds between two looks whether connections are accepted
_TURNS = 50  # of the loop, which has some five left when the application has started
_INTERFACES = {"asgi": Interfaces.ASGI, "rsgi": Interfaces.RSGI}


class GranianServer:
    """Runs applications under Granian."""

    name: ClassVar[str] = "granian"
    speaks_rsgi: ClassVar[bool] = True

    @property
    def version(self) -> str:
        """The version of Granian."""
        return granian.__version__

    def runs_here(self, settings: Settings) -> bool:
        """Tell that its workers are always processes of their own."""
        return False

    def run(
        self,
        app: Application,
        settings: Settings,
        *,
        interface: Interface = "asgi",
        announce: Announce = quiet,
    ) -> int:
        """Serve until SIGTERM or SIGINT; return the exit code."""
        if not isinstance(app, Target):
            raise ConfigError("Granian loads the application in its workers: say where it is.")
        if settings.fd is not None:
            raise ConfigError("Granian cannot take over a file descriptor. Use --server uvicorn.")
        held = probe(settings)
        server = _server(app, held, _INTERFACES[interface])
        calls = RollCall()
        load = _Loader(WorkerLoader(app, settings.graceful_timeout), calls.report)
        calls.start(server.has_started, lambda: server.announce(held, announce))
        try:
            server.serve(target_loader=load, wrap_loader=False)
        except SystemExit as exc:
            return 1 if exc.code else 0
        if server.stopped_by == signal.SIGINT:
            raise KeyboardInterrupt
        return 0


@dataclass(frozen=True, slots=True)
class _Loader:
    """Loads the application in a worker, where it is to ``report`` when it has started."""

    load: WorkerLoader
    report: Report

    def __call__(self) -> ASGIApp:
        app = self.load()
        if not isinstance(app, Oxidite):
            return _reporting_app(app, self.report)
        # PERF: not around the application, as every request would pass there too; benchmark `json`.
        app.running = _reporting(app.running, self.report)  # type: ignore[method-assign, assignment]
        return app


def _later(report: Report, turns: int = _TURNS) -> None:
    """Report when the loop has turned some more.

    Once the application has started Granian stops the loop, opens the socket and starts the loop
    again. A signal in between is lost on it.
    """
    if turns == 0:
        report()
        return
    asyncio.get_running_loop().call_soon(_later, report, turns - 1)


def _reporting(
    running: Callable[[], AbstractAsyncContextManager[None]], report: Report
) -> Callable[[], AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def reporting() -> AsyncIterator[None]:
        async with running():
            _later(report)
            yield

    return reporting


def _reporting_app(app: ASGIApp, report: Report) -> ASGIApp:
    async def live(scope: Message, receive: Receive, send: Send) -> None:
        silent = True

        async def listen(message: Message) -> None:
            nonlocal silent
            silent = False
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                _later(report)

        try:
            await app(scope, receive, listen)
        finally:
            if silent:
                # It does not know of starting, so that there is nothing to wait for.
                _later(report)

    def call(scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        return (live if scope["type"] == "lifespan" else app)(scope, receive, send)

    return call


class _Granian(MPServer):
    """Granian, remembering which signal stopped it, and telling whether it serves."""

    stopped_by: int | None = None

    def has_started(self, reported: Container[int | None]) -> bool:
        """Tell whether the application has started in every worker."""
        workers = list(self.wrks)
        return len(workers) == self.workers and all(each.inner.pid in reported for each in workers)

    def announce(self, held: Settings, announce: Announce) -> None:
        """Wait until connections are accepted, and announce it."""
        # That the workers have opened the socket by now is nothing that Granian promises.
        while not self.interrupt_signal:
            if accepts(held):
                announce(held)
                return
            threading.Event().wait(_TURN)

    def signal_handler_interrupt(self, *args: object, **kwargs: object) -> None:
        signum = args[0] if args else None
        self.stopped_by = signum if isinstance(signum, int) else None
        cast("Callable[[], None]", super().signal_handler_interrupt)()  # it has no types


def _server(target: Target, settings: Settings, interface: Interfaces) -> _Granian:
    tls = settings.tls
    return _Granian(
        str(target),
        address=settings.host,
        port=settings.port,
        uds=settings.uds,
        interface=interface,
        # RSGI carries none of ours: it knows neither sub-protocols nor header fields of a handshake.
        websockets=interface is not Interfaces.RSGI,
        workers=settings.workers,
        # Both count idle connections; the default of the second locks everybody out at 1,024.
        backlog=settings.backlog,
        backpressure=settings.connections,
        runtime_mode=RuntimeModes.st,
        blocking_threads=1,
        loop=Loops.uvloop if importlib.util.find_spec("uvloop") else Loops.asyncio,
        log_level=LogLevels.warning,
        log_dictconfig=SERVER_LOGS,
        log_access=settings.access_log,
        ssl_cert=None if tls is None else tls.certificate,
        ssl_key=None if tls is None else tls.key,
        # Its own default refuses everybody who does not speak 1.3.
        ssl_protocol_min=SSLProtocols.tls12,
        respawn_failed_workers=True,
        # Without one, a response that never ends would never let it stop.
        workers_kill_timeout=max(1, math.ceil(settings.graceful_timeout)),
    )
