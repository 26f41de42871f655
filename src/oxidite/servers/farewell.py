"""How a worker of Granian starts and stops: its own way loses signals, and tells nobody.

Granian takes the signal that stops it, and the application hears of it when the last connection is
gone. So its signal handlers are ours: we tell the application, and then Granian.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import granian._signals
from granian._granian import WorkerSignal

from oxidite.app import Oxidite
from oxidite.http.response import ASGIApp
from oxidite.protocols.asgi import Message, Receive, Send
from oxidite.servers.drain import begin_to_stop, cut_off
from oxidite.servers.silent import SilenceWatch
from oxidite.servers.unlisten import PATIENCE, stop_accepting
from oxidite.servers.workers import WorkerLoader

__all__ = ["Farewell", "GranianLoader"]

_TURNS = 50  # of the loop, which has some five left when the application has started


@dataclass(frozen=True, slots=True)
class GranianLoader:
    """Loads the application in a worker of Granian, and takes its signals over."""

    load: WorkerLoader

    def __call__(self) -> ASGIApp:
        """Return the application, which reports when it has started."""
        # This is a copy of the supervisor, which deals with these in its own way. Whoever still
        # imports has nothing to finish.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for each in (signal.SIGINT, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        app = self.load()
        farewell = Farewell(app, self.load.settings.graceful_timeout)
        granian._signals.set_loop_signals = farewell.take_signals  # noqa: SLF001 - no other way in

        def serves() -> None:
            farewell.serves()
            settings = self.load.settings
            watch = SilenceWatch(settings.idle_timeout, tls=settings.tls is not None)
            watch.start(asyncio.get_running_loop())
            self.load.report.serves()

        if not isinstance(app, Oxidite):
            return _reporting_app(app, serves)
        # PERF: not around the application, as every request would pass there too; benchmark `json`.
        app.running = _reporting(app.running, serves)  # type: ignore[method-assign, assignment]
        return app


class Farewell:
    """Tells an application that its worker stops, and then the worker."""

    def __init__(self, app: object, grace: float) -> None:
        self._app = app
        self._grace = grace
        self._serves = False
        self._begun = False
        self._event: WorkerSignal | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def take_signals(self, loop: asyncio.AbstractEventLoop) -> WorkerSignal:
        """Obey SIGTERM, in place of Granian; return what stops its worker."""
        self._loop = loop
        self._event = WorkerSignal()
        # Not the loop's own way: it loses what comes while the loop does not run, as in between.
        signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(self.begin))
        return self._event

    def begin(self) -> None:
        """Begin to stop; told a second time, end at once."""
        if self._begun:
            os.kill(os.getpid(), signal.SIGKILL)
        self._begun = True
        begin_to_stop(self._app)
        if self._loop is not None:
            self._loop.call_later(self._grace, cut_off, self._app)
        self._stop()

    def serves(self) -> None:
        """Note that the worker serves: only now it notices that it is to stop."""
        self._serves = True
        self._stop()

    def _stop(self) -> None:
        # Once only: the second time would wait for ever.
        event, loop = self._event, self._loop
        if self._begun and self._serves and event is not None and loop is not None:
            self._event = None
            stop_accepting()
            loop.call_later(PATIENCE, event.set)


def _later(then: Callable[[], object], turns: int = _TURNS) -> None:
    """Call ``then`` when the loop has turned some more.

    Once the application has started Granian stops the loop, opens the socket and starts the loop
    again. What stops the worker is lost on it in between.
    """
    if turns == 0:
        then()
        return
    asyncio.get_running_loop().call_soon(_later, then, turns - 1)


def _reporting(
    running: Callable[[], AbstractAsyncContextManager[None]], serves: Callable[[], object]
) -> Callable[[], AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def reporting() -> AsyncIterator[None]:
        async with running():
            _later(serves)
            yield

    return reporting


def _reporting_app(app: ASGIApp, serves: Callable[[], object]) -> ASGIApp:
    async def live(scope: Message, receive: Receive, send: Send) -> None:
        silent = True

        async def listen(message: Message) -> None:
            nonlocal silent
            silent = False
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                _later(serves)

        try:
            await app(scope, receive, listen)
        finally:
            if silent:
                # It does not know of starting, so that there is nothing to wait for.
                _later(serves)

    def call(scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        return (live if scope["type"] == "lifespan" else app)(scope, receive, send)

    return call
