"""The process that imports and serves the application: ``python -m oxidite.cli.dev.child TASK``.

It does one step after the other, each when it is told to, and ends when its supervisor is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from queue import SimpleQueue

import msgspec
import uvicorn

from oxidite.app import Oxidite
from oxidite.cli.database.first import add_first_tables
from oxidite.cli.dev.messages import Report, Task, decode_order, encode
from oxidite.cli.dev.wrapper import DevApp
from oxidite.errors import OxiditeError
from oxidite.http.response import ASGIApp
from oxidite.servers import TLS, ImportFailedError, Target
from oxidite.servers.drain import begin_to_stop
from oxidite.servers.frames import users_traceback
from oxidite.servers.hosting import WorkerPlan, host_worker
from oxidite.servers.logs import SERVER_LOGS
from oxidite.servers.uvicorn import StoppableServer, context_factory, run_server

__all__ = ["main"]

_GRACE = 0.5
"""Seconds for requests to end after SIGTERM.

uvicorn takes up to 0.3 more, and all of it must be over in good time before the supervisor kills.
"""
_LAST_GRACE = 1.0
_LONGEST = 100_000  # characters of what a foreign application says


class Control:
    """The line to the supervisor. A thread reads it, so that its end is never missed."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._orders: SimpleQueue[str] = SimpleQueue()
        self.app: DevApp | None = None
        self.is_abandoned: bool = False
        threading.Thread(target=self._read, name="oxidite-dev", daemon=True).start()

    def wait(self) -> None:
        """Wait for the order to go one step on."""
        self._orders.get()

    def report(self, report: Report) -> None:
        """Tell the supervisor; if it is gone, this process soon is too."""
        with contextlib.suppress(OSError):
            self._sock.sendall(encode(report))

    def _read(self) -> None:
        with contextlib.suppress(OSError), self._sock.makefile("rb") as lines:
            for line in lines:
                order = decode_order(line)
                if order.do != "overlay":
                    self._orders.put(order.do)
                elif self.app is not None:
                    self.app.failure = order.text
        self._end()

    def _end(self) -> None:
        self.is_abandoned = True
        if self.app is not None:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(_LAST_GRACE)
        kill_group()


def kill_group() -> None:
    """Kill this process and whatever it has started."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    """Import when told to, serve when told to; return the exit code."""
    task = msgspec.json.decode(sys.argv[1], type=Task)
    sys.argv = ["oxidite"]
    control = Control(socket.socket(fileno=task.control))
    listener = socket.socket(fileno=task.listener)
    control.wait()
    try:
        app = _load(task.target)
    except OxiditeError as exc:
        text = exc.traceback if isinstance(exc, ImportFailedError) else exc.message
        control.report(Report("failed", text))
        return 1
    except Exception as exc:  # noqa: BLE001 - shown, whatever it is
        control.report(Report("failed", users_traceback(exc)))
        return 1
    control.report(Report("loaded"))
    control.wait()
    code = _serve(app, listener, control, task.tls)
    if control.is_abandoned:
        kill_group()
    return code


def _load(target: Target) -> ASGIApp:
    app = target.load()
    if isinstance(app, Oxidite):
        # Mistakes in routes are found here, while the old code still serves.
        app.table  # noqa: B018 - a property that works
        add_first_tables(app, Path.cwd())
        host_worker(app, WorkerPlan(drain=_GRACE))
    return app


def _serve(app: ASGIApp, listener: socket.socket, control: Control, tls: TLS | None) -> int:
    wrapped = control.app = DevApp(app, lambda: control.report(Report("closing")))
    config = uvicorn.Config(
        wrapped,
        log_config=SERVER_LOGS,
        proxy_headers=False,
        server_header=False,
        ssl_context_factory=None if tls is None else context_factory(tls),
        timeout_graceful_shutdown=_GRACE,  # type: ignore[arg-type]  # it is only waited for
    )
    server = StoppableServer(
        config,
        lambda: control.report(Report("serving")),
        on_stopping=lambda: _begin_to_stop(app),
    )
    code = run_server(server, listener)
    if not server.started:
        error = wrapped.error
        control.report(
            Report("failed", users_traceback(error) if error else wrapped.message[:_LONGEST])
        )
    return code


def _begin_to_stop(app: ASGIApp) -> None:
    # A reload cuts off streams that go on: no fault, and uvicorn says how many. What else they raise is told.
    logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
    begin_to_stop(app)


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    return record.exc_info is None or record.exc_info[0] is not asyncio.CancelledError


if __name__ == "__main__":
    sys.exit(main())
