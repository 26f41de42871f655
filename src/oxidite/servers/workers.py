"""Workers: each loads the application, tells how it is, and never outlives whoever started it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Literal, TypeAlias

from oxidite.http.response import ASGIApp
from oxidite.servers.base import Settings
from oxidite.servers.drain import MARGIN
from oxidite.servers.guard import guard
from oxidite.servers.target import Target

__all__ = ["News", "Report", "WorkerLoader"]

News: TypeAlias = Literal["serves", "spent"]
"""It accepts connections; it has answered as many requests as it should."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker tells its supervisor. It can be sent to a process that is started."""

    line: Connection

    def __call__(self, news: News) -> None:
        """Tell; if the supervisor is gone, this process soon is too."""
        with contextlib.suppress(OSError):
            self.line.send((os.getpid(), news))

    def serves(self) -> None:
        """Tell that connections are accepted."""
        self("serves")

    def spent(self) -> None:
        """Tell that it is time for a new worker."""
        self("spent")


@dataclass(frozen=True, slots=True)
class WorkerLoader:
    """Loads ``target`` in a worker, with the limits of ``settings`` around it."""

    target: Target
    settings: Settings
    report: Report

    def __call__(self) -> ASGIApp:
        """Return the application."""
        threading.Thread(target=self._end_with_supervisor, name="supervisor", daemon=True).start()
        return guard(self.target.load(), self.settings, self.report.spent)

    def _end_with_supervisor(self) -> None:
        supervisor = multiprocessing.parent_process()
        if supervisor is not None:
            # Killed, it cannot tell its workers; they would serve on, and hold the port, for ever.
            supervisor.join()
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(self.settings.graceful_timeout + MARGIN)
            os.kill(os.getpid(), signal.SIGKILL)
