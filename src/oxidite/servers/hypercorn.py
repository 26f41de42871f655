"""Hypercorn: an optional server, which also speaks HTTP/3."""

from __future__ import annotations

import asyncio
import importlib.util
import multiprocessing
import os
import signal
import socket
import ssl
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing.process import BaseProcess
from typing import ClassVar, cast

import hypercorn.asyncio
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework
from hypercorn.utils import LifespanFailureError, LifespanTimeoutError

from oxidite.errors import ConfigError
from oxidite.http.response import ASGIApp
from oxidite.servers.base import (
    TLS,
    Announce,
    Application,
    HTTPVersions,
    Interface,
    Settings,
    quiet,
)
from oxidite.servers.drain import MARGIN, begin_to_stop, end_within
from oxidite.servers.flow import install_flow
from oxidite.servers.guard import guard
from oxidite.servers.http3 import http3_worker
from oxidite.servers.sockets import listening
from oxidite.servers.supervisor import Start, Supervisor
from oxidite.servers.target import Target
from oxidite.servers.tls import server_context
from oxidite.servers.workers import Report, WorkerLoader

__all__ = ["HypercornServer"]

_BOTH = (signal.SIGINT, signal.SIGTERM)


class HypercornServer:
    """Runs applications under Hypercorn."""

    name: ClassVar[str] = "hypercorn"
    speaks_rsgi: ClassVar[bool] = False

    @property
    def version(self) -> str:
        """The version of Hypercorn."""
        return version("hypercorn")

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
        if settings.http == "2" and settings.tls is None:
            raise ConfigError("Hypercorn speaks HTTP/1 too without TLS. Use --server granian.")
        if not settings.is_supervised:
            with listening(settings) as (sock, held):
                found = guard(app.load() if isinstance(app, Target) else app, held)
                return work(found, held, _config(sock, held), lambda: announce(held))
        if not isinstance(app, Target):
            raise ConfigError("Several workers load the application themselves: say where it is.")
        with listening(settings) as (sock, held), http3_worker(app, held) as extra:
            start = _starter(app, held, sock)
            return Supervisor(start, held, sock, extra=extra).run(lambda: announce(held))


def _starter(app: Target, settings: Settings, sock: socket.socket) -> Start:
    # Not copied, as this process may have threads.
    context = multiprocessing.get_context("spawn")

    def start(_: int, report: Report) -> BaseProcess:
        return context.Process(target=_worker, args=(app, settings, sock, report))

    return start


def _worker(app: Target, settings: Settings, sock: socket.socket, report: Report) -> None:
    for each in (signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    found = WorkerLoader(app, settings, report)()
    config = _config(sock, settings)
    raise SystemExit(work(found, settings, config, report.serves, signals=(signal.SIGTERM,)))


def work(
    app: ASGIApp,
    settings: Settings,
    config: Config,
    on_started: Callable[[], object],
    *,
    signals: tuple[signal.Signals, ...] = _BOTH,
) -> int:
    """Serve in this process until one of ``signals``; return the exit code.

    Raises:
        KeyboardInterrupt: it was SIGINT.
    """
    install_flow()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            stopped_by = runner.run(_serve(app, settings, config, on_started, signals))
    except (LifespanFailureError, LifespanTimeoutError):
        # The application has logged why.
        return 1
    if stopped_by == signal.SIGINT:
        raise KeyboardInterrupt
    return 0


async def _serve(
    app: ASGIApp,
    settings: Settings,
    config: Config,
    on_started: Callable[[], object],
    signals: tuple[signal.Signals, ...],
) -> int | None:
    """Serve until a signal; return which. The second one ends everything at once."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[int] = loop.create_future()

    def stop_by(signum: int) -> None:
        if stop.done():
            os._exit(1)
        stop.set_result(signum)
        end_within(settings.graceful_timeout + MARGIN)
        begin_to_stop(app)

    async def stopped() -> None:
        # It is asked what to wait for when there is nothing else left to do.
        on_started()
        await asyncio.shield(stop)

    for each in signals:
        loop.add_signal_handler(each, stop_by, each)
    # Two descriptions of one thing: ours is open, theirs spells out every message.
    framework = cast("ASGIFramework", app)
    await hypercorn.asyncio.serve(framework, config, shutdown_trigger=stopped, mode="asgi")
    return stop.result() if stop.done() else None


class OurConfig(Config):
    """Hypercorn's, with what TLS is here."""

    tls: TLS | None = None
    http: HTTPVersions = "auto"

    def create_ssl_context(self) -> ssl.SSLContext | None:
        """Return what is needed to speak TLS."""
        return None if self.tls is None else server_context(self.tls, self.http)


def _config(sock: socket.socket, settings: Settings) -> Config:
    config = common_config(settings)
    # It closes what it is given, as soon as it stops.
    config.bind = [f"fd://{sock.detach()}"]
    return config


def common_config(settings: Settings) -> OurConfig:
    """Return what of Hypercorn's configuration is the same over TCP and UDP."""
    config = OurConfig()
    config.backlog = settings.backlog
    config.graceful_timeout = settings.graceful_timeout
    config.keep_alive_timeout = settings.idle_timeout
    config.accesslog = "-" if settings.access_log else None
    config.loglevel = "WARNING"
    config.include_server_header = False
    if settings.tls is not None:
        config.tls, config.http = settings.tls, settings.http
        # They also say that there is TLS.
        config.certfile = str(settings.tls.certificate)
        config.keyfile = str(settings.tls.key)
    return config


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop
