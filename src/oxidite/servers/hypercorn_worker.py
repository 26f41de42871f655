"""How one process runs under Hypercorn, over TCP or UDP."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import ssl
from collections.abc import Callable
from typing import cast

import hypercorn.asyncio
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework
from hypercorn.utils import LifespanFailureError, LifespanTimeoutError

from oxidite.http.response import ASGIApp
from oxidite.servers.base import TLS, HTTPVersions, Settings
from oxidite.servers.drain import MARGIN, begin_to_stop, end_within
from oxidite.servers.flow import install_flow
from oxidite.servers.tls import server_context

__all__ = ["common_config", "work"]

_BOTH = (signal.SIGINT, signal.SIGTERM)


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
    install_flow(settings)
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


def common_config(settings: Settings) -> OurConfig:
    """Return what of Hypercorn's configuration is the same over TCP and UDP."""
    config = OurConfig()
    config.backlog = settings.backlog
    config.graceful_timeout = settings.graceful_timeout
    config.keep_alive_timeout = settings.idle_timeout
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
