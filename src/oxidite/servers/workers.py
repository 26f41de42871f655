"""How a worker process begins: it loads the application, and never outlives whoever started it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass

from oxidite.http.response import ASGIApp
from oxidite.servers.target import Target

__all__ = ["WorkerLoader"]


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
