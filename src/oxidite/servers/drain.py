"""The beginning of the end: what has no end of its own is told, and nothing takes for ever."""

from __future__ import annotations

import os
import signal
import threading

from oxidite.app import Oxidite

__all__ = ["MARGIN", "begin_to_stop", "cut_off", "end_within"]

MARGIN = 5.0
"""Seconds for the resources to close, after the requests had theirs."""


def begin_to_stop(app: object) -> None:
    """Tell an application, and those mounted in it, that the server begins to stop.

    To be called in its event loop. Event streams and WebSockets end by themselves then, and whoever
    answers for readiness can see it: ``app.in_flight.stopping``.
    """
    if isinstance(app, Oxidite):
        app.in_flight.stopping.set()
        for mount in app.mounts():
            begin_to_stop(mount.app)


def cut_off(app: object) -> None:
    """Cancel the requests that are still in flight. To be called in the event loop."""
    if isinstance(app, Oxidite):
        for request in (*app.in_flight.young, *app.in_flight.old):
            if request.task is not None:
                request.task.cancel()


def end_within(seconds: float) -> None:
    """Kill this process if it still runs by then, whatever it is waiting for."""
    threading.Thread(target=_kill_after, args=(seconds,), name="deadline", daemon=True).start()


def _kill_after(seconds: float) -> None:
    threading.Event().wait(seconds)
    os.kill(os.getpid(), signal.SIGKILL)
