"""The places of workers: who serves there, who is about to, and when it is time for a change."""

from __future__ import annotations

import random
import subprocess
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from oxidite import clock
from oxidite.servers.base import Renewal

__all__ = ["Slot", "Worker", "memory_of"]

_SHORT_LIFE = 5.0
"""Seconds; a worker that lives longer than that has not failed to start."""
_LONGEST_PAUSE = 30.0
_PROC = Path("/proc")


@dataclass(eq=False)
class Worker:
    """One process. ``spent`` says that it should be replaced, ``deadline`` when it is killed."""

    process: BaseProcess
    serves: bool = False
    spent: bool = False
    deadline: float | None = None
    born: float = field(default_factory=clock.perf)
    expires: float | None = None

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self.process.pid is not None  # noqa: S101 - it has been started
        return self.process.pid

    @property
    def age(self) -> float:
        """Seconds since its start."""
        return clock.perf() - self.born

    def is_due(self, renewal: Renewal) -> bool:
        """Tell whether it has lived long enough, or become too big."""
        if self.expires is not None and clock.perf() > self.expires:
            return True
        return renewal.memory is not None and memory_of(self.pid) > renewal.memory


@dataclass(eq=False)
class Slot:
    """A place for a worker, and for its successor until that serves."""

    number: int
    worker: Worker | None = None
    successor: Worker | None = None
    failures: int = 0
    not_before: float = 0.0

    def failed(self, worker: Worker) -> float:
        """Note that a worker ended which should not have; return the seconds until the next try."""
        self.failures = self.failures + 1 if worker.age < _SHORT_LIFE else 0
        # The first one is replaced at once: it may have been an accident.
        pause = min(_LONGEST_PAUSE, 2.0 ** (self.failures - 2)) if self.failures > 1 else 0.0
        self.not_before = clock.perf() + pause
        return pause


def expiry(renewal: Renewal) -> float | None:
    """Return when a worker that starts now has lived long enough; never at the same time as all."""
    if renewal.lifetime is None:
        return None
    return clock.perf() + renewal.lifetime * random.uniform(0.9, 1.0)


def memory_of(pid: int) -> int:
    """Return the bytes of memory that a process holds; 0 if it has ended."""
    try:
        if _PROC.exists():
            for line in (_PROC / str(pid) / "status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
            return 0
        done = subprocess.run(  # noqa: S603 - a number
            ["/bin/ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return int(done.stdout or 0) * 1024
    except (OSError, ValueError):
        return 0
