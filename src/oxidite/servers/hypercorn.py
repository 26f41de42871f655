"""Hypercorn: an optional server, which will carry HTTP/3."""

from __future__ import annotations

import asyncio
import importlib.util
import multiprocessing
import signal
import socket
from collections.abc import Callable, Sequence
from importlib.metadata import version
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import ClassVar, cast

import hypercorn.asyncio
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework
from hypercorn.utils import LifespanFailureError, LifespanTimeoutError

from oxidite.errors import ConfigError
from oxidite.servers.base import Announce, Application, Interface, Settings, quiet
from oxidite.servers.flow import install_flow
from oxidite.servers.sockets import listening
from oxidite.servers.target import Target
from oxidite.servers.workers import Report, RollCall, WorkerLoader

__all__ = ["HypercornServer"]

_MARGIN = 5.0  # seconds for the lifespan to end, after the requests had theirs


class HypercornServer:
    """Runs applications under Hypercorn."""

    name: ClassVar[str] = "hypercorn"
    speaks_rsgi: ClassVar[bool] = False

    @property
    def version(self) -> str:
        """The version of Hypercorn."""
        return version("hypercorn")

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
        """Serve until SIGTERM or SIGINT; return the exit code.

        When one of several workers ends by itself, all do: whoever started this starts it again.
        """
        with listening(settings) as (sock, held):
            if settings.workers == 1:
                return _work(app, settings, sock, lambda: announce(held))
            if not isinstance(app, Target):
                raise ConfigError(
                    "Several workers load the application themselves: say where it is."
                )
            # Not copied, as this process may have threads.
            context = multiprocessing.get_context("spawn")
            calls = RollCall()
            workers = [
                context.Process(target=_worker, args=(app, settings, sock, calls.report))
                for _ in range(settings.workers)
            ]
            calls.start(
                lambda reported: all(each.pid in reported for each in workers),
                lambda: announce(held),
            )
            return _supervise(workers, settings.graceful_timeout + _MARGIN)


def _supervise(workers: Sequence[BaseProcess], patience: float) -> int:
    stopped_by: list[int] = []

    def stop(signum: int, _: FrameType | None) -> None:
        stopped_by.append(signum)
        for worker in workers:
            if worker.is_alive():
                worker.terminate()

    # Ctrl-C reaches the workers too. Until they know what to do about it they ignore it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for worker in workers:
        worker.start()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, stop)
    wait([worker.sentinel for worker in workers])
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(patience)
        worker.kill()
        worker.join()
    if signal.SIGINT in stopped_by:
        raise KeyboardInterrupt
    return 0 if stopped_by else 1


def _worker(app: Target, settings: Settings, sock: socket.socket, report: Report) -> None:
    try:
        code = _work(WorkerLoader(app, settings.graceful_timeout)(), settings, sock, report)
    except KeyboardInterrupt:
        code = 0
    raise SystemExit(code)


def _work(
    app: Application, settings: Settings, sock: socket.socket, on_started: Callable[[], object]
) -> int:
    """Serve in this process; return the exit code."""
    found = app.load() if isinstance(app, Target) else app
    install_flow()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            # Two descriptions of one thing: ours is open, theirs spells out every message.
            stopped_by = runner.run(
                _serve(cast("ASGIFramework", found), _config(sock, settings), on_started)
            )
    except (LifespanFailureError, LifespanTimeoutError):
        # The application has logged why.
        return 1
    if stopped_by == signal.SIGINT:
        raise KeyboardInterrupt
    return 0


async def _serve(
    app: ASGIFramework, config: Config, on_started: Callable[[], object]
) -> int | None:
    """Serve until a signal; return which."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[int] = loop.create_future()

    def stop_by(signum: int) -> None:
        if not stop.done():
            stop.set_result(signum)

    async def stopped() -> None:
        # It is asked what to wait for when there is nothing else left to do.
        on_started()
        await asyncio.shield(stop)

    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop_by, each)
    await hypercorn.asyncio.serve(app, config, shutdown_trigger=stopped, mode="asgi")
    return stop.result() if stop.done() else None


def _config(sock: socket.socket, settings: Settings) -> Config:
    config = Config()
    # It closes what it is given, and so do we.
    config.bind = [f"fd://{sock.dup().detach()}"]
    config.backlog = settings.backlog
    config.graceful_timeout = settings.graceful_timeout
    config.accesslog = "-" if settings.access_log else None
    config.loglevel = "WARNING"
    config.include_server_header = False
    if settings.tls is not None:
        config.certfile = str(settings.tls.certificate)
        config.keyfile = str(settings.tls.key)
    return config


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop
