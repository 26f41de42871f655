"""uvicorn: the server of every installation, in one process or several."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import multiprocessing
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Sequence
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import ClassVar, Literal, TypeAlias

import uvicorn

from oxidite.errors import ConfigError
from oxidite.http.response import ASGIApp
from oxidite.servers.base import (
    PING_INTERVAL,
    TLS,
    Announce,
    Application,
    Interface,
    Settings,
    quiet,
)
from oxidite.servers.drain import MARGIN, begin_to_stop, end_within
from oxidite.servers.early import remembered
from oxidite.servers.guard import guard
from oxidite.servers.http3 import http3_worker
from oxidite.servers.logs import SERVER_LOGS
from oxidite.servers.sockets import listening
from oxidite.servers.supervisor import Start, Supervisor
from oxidite.servers.sweep import Sweep
from oxidite.servers.target import Target
from oxidite.servers.tls import server_context
from oxidite.servers.workers import Report, WorkerLoader

_BEGIN_TURN = 0.01
_BEGIN_TURNS = 20
"""Looks, and seconds between them, at connections that were accepted and have had no request."""

Parser: TypeAlias = Literal["auto", "h11", "httptools"]

__all__ = ["Parser", "StoppableServer", "UvicornServer", "context_factory", "run_server"]


def nothing() -> None:
    """Do nothing."""


class StoppableServer(uvicorn.Server):
    """A uvicorn server that says when it begins to accept connections, to stop, and what ended it.

    With ``idle_timeout`` it closes connections on which no request comes in so many seconds. Only
    ``signals`` are obeyed; the second one ends it at once.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        on_started: Callable[[], object] = nothing,
        *,
        on_stopping: Callable[[], object] = nothing,
        idle_timeout: float | None = None,
        signals: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGTERM),
    ) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._on_stopping = on_stopping
        self._sweep = None if idle_timeout is None else Sweep(idle_timeout)
        self.signals = signals
        self.stopped_by: int | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, then tell."""
        await super().startup(sockets)
        if self.started:
            self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop as uvicorn does, but let those begin who were accepted just before.

        It closes every connection without a request, also one whose request is on its way.
        """
        self._on_stopping()
        for connection in self.server_state.connections:
            cycle = getattr(connection, "cycle", None)
            if cycle is not None:
                # The answer may be ready before all the rest is.
                cycle.keep_alive = False
        loop = asyncio.get_running_loop()
        for server in self.servers:
            if isinstance(loop, asyncio.SelectorEventLoop):
                # Closed at once, asyncio would drop what it has accepted in this very turn.
                for sock in server.sockets:
                    loop.remove_reader(sock.fileno())
                await _pause(0)
            server.close()
        for _ in range(_BEGIN_TURNS):
            await _pause(_BEGIN_TURN)
            if not any(map(_is_fresh, self.server_state.connections)):
                break
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Do what uvicorn does ten times a second, and look after its connections."""
        if self._sweep is not None:
            self._sweep(self.server_state.connections)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Obey what is to be obeyed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in self.signals}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, and at once if it was told before."""
        if self.stopped_by is not None:
            self.force_exit = True
        self.stopped_by = sig
        self.should_exit = True


def _is_fresh(connection: object) -> bool:
    """Tell whether a connection has had no request yet; a WebSocket had one."""
    return getattr(connection, "cycle", connection) is None


async def _pause(seconds: float) -> None:
    # Real time: it is about real connections, whatever clock a test has set.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().create_future()


class UvicornServer:
    """Runs applications under uvicorn; ``http`` is its parser, the fastest installed by default."""

    name: ClassVar[str] = "uvicorn"
    speaks_rsgi: ClassVar[bool] = False

    http: Parser

    def __init__(self, *, http: Parser = "auto") -> None:
        self.http = http

    @property
    def version(self) -> str:
        """The version of uvicorn."""
        return uvicorn.__version__

    def runs_here(self, settings: Settings) -> bool:
        """Tell whether there is one worker, which is never replaced: it is this process."""
        return not settings.is_supervised

    def run(
        self,
        app: Application,
        settings: Settings,
        *,
        interface: Interface = "asgi",
        announce: Announce = quiet,
    ) -> int:
        """Serve until SIGTERM or SIGINT; return the exit code."""
        if settings.http == "2":
            raise ConfigError("uvicorn speaks no HTTP/2. Use --server granian.")
        if not settings.is_supervised:
            with remembered() as told, listening(settings) as (sock, held):
                return _serve_here(app, held, sock, self.http, lambda: announce(held), told)
        if not isinstance(app, Target):
            raise ConfigError("Several workers load the application themselves: say where it is.")
        with listening(settings) as (sock, held), http3_worker(app, held) as extra:
            start = _starter(app, held, sock, self.http)
            return Supervisor(start, held, sock, extra=extra).run(lambda: announce(held))


def _starter(app: Target, settings: Settings, sock: socket.socket, http: Parser) -> Start:
    # Not copied, as this process may have threads.
    context = multiprocessing.get_context("spawn")

    def start(_: int, report: Report) -> BaseProcess:
        return context.Process(target=_worker, args=(app, settings, sock, http, report))

    return start


def _worker(
    app: Target, settings: Settings, sock: socket.socket, http: Parser, report: Report
) -> None:
    load = WorkerLoader(app, settings, report)
    for each in (signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    server = _server(load(), settings, http, report.serves, (signal.SIGTERM,))
    raise SystemExit(run_server(server, sock))


def _serve_here(
    app: Application,
    settings: Settings,
    sock: socket.socket,
    http: Parser,
    on_started: Callable[[], object],
    told: Sequence[int],
) -> int:
    found = guard(app.load() if isinstance(app, Target) else app, settings)
    server = _server(found, settings, http, on_started, (signal.SIGINT, signal.SIGTERM))
    return run_server(server, sock, told)


def _server(
    app: ASGIApp,
    settings: Settings,
    http: Parser,
    on_started: Callable[[], object],
    signals: tuple[signal.Signals, ...],
) -> StoppableServer:
    tls, interval = settings.tls, settings.ping_interval or PING_INTERVAL

    def on_stopping() -> None:
        end_within(settings.graceful_timeout + MARGIN)
        begin_to_stop(app)

    config = uvicorn.Config(
        app,
        http=_parser(http),
        ws=_websockets(),
        backlog=settings.backlog,
        # It counts the one that asks, too.
        limit_concurrency=settings.connections + 1,
        timeout_keep_alive=settings.idle_timeout,  # type: ignore[arg-type]  # it is only waited for
        ws_ping_interval=interval,
        ws_ping_timeout=interval,
        timeout_graceful_shutdown=settings.graceful_timeout,  # type: ignore[arg-type]  # as above
        access_log=False,
        log_config=SERVER_LOGS,
        # Forwarded addresses are believed by nobody before somebody says whose.
        proxy_headers=False,
        server_header=False,
        ssl_context_factory=None if tls is None else context_factory(tls),
    )
    return StoppableServer(
        config,
        on_started,
        on_stopping=on_stopping,
        idle_timeout=settings.idle_timeout,
        signals=signals,
    )


def context_factory(
    tls: TLS,
) -> Callable[[uvicorn.Config, Callable[[], ssl.SSLContext]], ssl.SSLContext]:
    """Return what makes uvicorn speak TLS as it is spoken here."""
    return lambda _config, _default: server_context(tls)


def _parser(http: Parser) -> type[asyncio.Protocol]:
    if http == "h11" or importlib.util.find_spec("httptools") is None:
        from oxidite.servers.strict import StrictH11

        return StrictH11
    from oxidite.servers.bounded import BoundedHttpTools

    return BoundedHttpTools


def _websockets() -> type[asyncio.Protocol] | Literal["auto"]:
    if importlib.util.find_spec("websockets") is None:
        return "auto"
    from oxidite.servers.pongs import PatientWebSocket

    return PatientWebSocket


def run_server(server: StoppableServer, sock: socket.socket, told: Sequence[int] = ()) -> int:
    """Serve on ``sock`` until SIGTERM or SIGINT, or one of them is in ``told``; return the exit code.

    Raises:
        KeyboardInterrupt: it was SIGINT.
    """
    # Until uvicorn takes over.
    before = {each: signal.signal(each, server.handle_exit) for each in server.signals}
    try:
        for each in told:
            server.handle_exit(each, None)
        if server.stopped_by is None:
            server.run(sockets=[sock])
    except SystemExit as exc:
        return 1 if exc.code else 0
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if server.stopped_by == signal.SIGINT:
        raise KeyboardInterrupt
    return 0 if server.started or server.stopped_by is not None else 1
