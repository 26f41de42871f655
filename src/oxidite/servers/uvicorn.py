"""uvicorn: the server of every installation, in one process or several."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import math
import signal
import socket
from collections.abc import Callable, Container
from dataclasses import dataclass
from types import FrameType
from typing import ClassVar, Literal, TypeAlias

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from oxidite.errors import ConfigError
from oxidite.http.response import ASGIApp
from oxidite.servers.base import Announce, Application, Interface, Settings, quiet
from oxidite.servers.logs import SERVER_LOGS
from oxidite.servers.sockets import listening
from oxidite.servers.target import Target
from oxidite.servers.workers import Report, RollCall, WorkerLoader

_BEGIN_TURN = 0.01
_BEGIN_TURNS = 20
"""Looks, and seconds between them, at connections that were accepted and have had no request."""

Parser: TypeAlias = Literal["auto", "h11", "httptools"]

__all__ = ["Parser", "StoppableServer", "UvicornServer", "run_server"]


class StoppableServer(uvicorn.Server):
    """A uvicorn server that says when it begins to accept connections, and what ended it."""

    def __init__(
        self, config: uvicorn.Config, on_started: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__(config)
        self._on_started = on_started
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

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop as uvicorn does, and remember why."""
        self.stopped_by = sig
        super().handle_exit(sig, frame)


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
        """Tell whether there is one worker: it is this process."""
        return settings.workers == 1

    def run(
        self,
        app: Application,
        settings: Settings,
        *,
        interface: Interface = "asgi",
        announce: Announce = quiet,
    ) -> int:
        """Serve until SIGTERM or SIGINT; return the exit code."""
        if settings.workers > 1 and not isinstance(app, Target):
            raise ConfigError("Several workers load the application themselves: say where it is.")
        config = self._config(app, settings)
        with listening(settings) as (sock, held):
            if settings.workers == 1:
                return run_server(StoppableServer(config, lambda: announce(held)), sock)
            calls = RollCall()
            config.callback_notify = _Notice(calls.report)
            supervisor = _Supervisor(config, sockets=[sock])
            calls.start(supervisor.has_started, lambda: announce(held))
            return _run_workers(supervisor)

    def _config(self, app: Application, settings: Settings) -> uvicorn.Config:
        return uvicorn.Config(
            _factory(app, settings) if isinstance(app, Target) else app,
            factory=isinstance(app, Target),
            http=_parser(self.http),
            workers=settings.workers,
            backlog=settings.backlog,
            timeout_graceful_shutdown=math.ceil(settings.graceful_timeout),
            access_log=settings.access_log,
            log_config=SERVER_LOGS,
            # Forwarded addresses are believed by nobody before somebody says whose.
            proxy_headers=False,
            server_header=False,
            ssl_certfile=None if settings.tls is None else settings.tls.certificate,
            ssl_keyfile=None if settings.tls is None else settings.tls.key,
        )


@dataclass(frozen=True, slots=True)
class _Notice:
    """What uvicorn calls when it serves, and then now and again."""

    report: Report

    async def __call__(self) -> None:
        self.report()


class _Supervisor(Multiprocess):
    """uvicorn's, remembering that it was interrupted, and telling whether all workers serve."""

    was_interrupted: bool = False

    def has_started(self, reported: Container[int | None]) -> bool:
        """Tell whether every worker serves."""
        workers = list(self.processes)
        return len(workers) == self.processes_num and all(each.pid in reported for each in workers)

    def init_processes(self) -> None:
        # Ctrl-C reaches the workers too. Until they know what to do about it they ignore it.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        super().init_processes()
        signal.signal(signal.SIGINT, before)

    def handle_int(self) -> None:
        self.was_interrupted = True
        super().handle_int()


def _run_workers(supervisor: _Supervisor) -> int:
    supervisor.run()
    if supervisor.was_interrupted:
        raise KeyboardInterrupt
    return 1 if any(each.exitcode == STARTUP_FAILURE for each in supervisor.processes) else 0


def _parser(http: Parser) -> Literal["h11"] | type[asyncio.Protocol]:
    if http == "h11" or importlib.util.find_spec("httptools") is None:
        return "h11"
    from oxidite.servers.bounded import BoundedHttpTools

    return BoundedHttpTools


def _factory(target: Target, settings: Settings) -> Callable[[], ASGIApp]:
    return target.load if settings.workers == 1 else WorkerLoader(target, settings.graceful_timeout)


def run_server(server: StoppableServer, sock: socket.socket) -> int:
    """Serve on ``sock`` until SIGTERM or SIGINT; return the exit code.

    Raises:
        KeyboardInterrupt: it was SIGINT.
    """

    def obey(signum: int, frame: FrameType | None) -> None:
        # Until uvicorn takes over. And once it has stopped, it raises again what told it to.
        if server.stopped_by is None:
            server.handle_exit(signum, frame)

    before = {each: signal.signal(each, obey) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run(sockets=[sock])
    except SystemExit as exc:
        return 1 if exc.code else 0
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if server.stopped_by == signal.SIGINT:
        raise KeyboardInterrupt
    return 0 if server.started else 1
