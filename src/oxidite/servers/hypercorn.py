"""Hypercorn: an optional server, which also speaks HTTP/3."""

from __future__ import annotations

import multiprocessing
import signal
import socket
from importlib.metadata import version
from multiprocessing.process import BaseProcess
from typing import ClassVar

from hypercorn.config import Config

from oxidite.errors import ConfigError
from oxidite.servers.base import (
    Announce,
    Application,
    Interface,
    Settings,
    quiet,
)
from oxidite.servers.guard import guard
from oxidite.servers.http3 import http3_worker
from oxidite.servers.hypercorn_worker import common_config, work
from oxidite.servers.sockets import listening
from oxidite.servers.supervisor import Start, Supervisor
from oxidite.servers.target import Target
from oxidite.servers.workers import Report, WorkerLoader

__all__ = ["HypercornServer"]


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


def _config(sock: socket.socket, settings: Settings) -> Config:
    config = common_config(settings)
    # It closes what it is given, as soon as it stops.
    config.bind = [f"fd://{sock.detach()}"]
    return config
