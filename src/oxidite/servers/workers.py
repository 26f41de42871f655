"""Workers: each loads the application, tells when it serves, and never outlives whoever started it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

from oxidite.http.response import ASGIApp
from oxidite.servers.target import Target

__all__ = ["Report", "RollCall", "WorkerLoader"]

_TURN = 0.05  # seconds between two looks at workers that are only just begun


@dataclass(frozen=True, slots=True)
class WorkerLoader:
    """Loads ``target`` in a worker. When its supervisor dies the worker has ``grace`` seconds to end."""

    target: Target
    grace: float

    def __call__(self) -> ASGIApp:
        """Return the application."""
        threading.Thread(target=self._end_with_supervisor, name="supervisor", daemon=True).start()
        return self.target.load()

    def _end_with_supervisor(self) -> None:
        supervisor = multiprocessing.parent_process()
        if supervisor is not None:
            # Killed, it cannot tell its workers; they would serve on, and hold the port, for ever.
            supervisor.join()
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(self.grace)
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker calls when it serves. It can be sent to a worker that is started."""

    line: Connection

    def __call__(self) -> None:
        """Tell the supervisor; if it is gone, this process soon is too."""
        with contextlib.suppress(OSError):
            self.line.send(os.getpid())


class RollCall:
    """Waits, beside a supervisor that is busy, until all of its workers have reported."""

    def __init__(self) -> None:
        self._line, theirs = multiprocessing.Pipe(duplex=False)
        self.report: Report = Report(theirs)

    def start(self, is_complete: Callable[[set[int]], bool], then: Callable[[], object]) -> None:
        """Call ``then``, once, in a thread, when ``is_complete`` holds for the processes that reported."""
        threading.Thread(
            target=self._run, args=(is_complete, then), name="roll call", daemon=True
        ).start()

    def _run(self, is_complete: Callable[[set[int]], bool], then: Callable[[], object]) -> None:
        reported: set[int] = set()
        while not is_complete(reported):
            if self._line.poll(_TURN):
                reported.add(self._line.recv())
        then()
        while True:
            # A worker that is renewed must not wait until it is heard.
            self._line.recv()
