"""How a worker is, and when it has done enough."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from oxidite.errors import ConfigError

__all__ = ["Recycle", "WorkerHealth", "memory"]


class WorkerHealth(Struct, frozen=True, kw_only=True):
    """How a worker is.

    ``waiting`` jobs were claimed ahead; ``abandoned`` ones cannot be stopped, and take places; of
    ``unsent`` the store does not know yet what became of them. ``trouble`` is what the store said when it
    failed last, ``None`` if it works, and ``silence`` the seconds since it was heard.
    """

    name: str
    state: Literal["working", "draining", "stopped"]
    running: int
    waiting: int
    abandoned: int
    unsent: int
    done: int
    trouble: str | None
    silence: float

    @property
    def is_well(self) -> bool:
        """Whether it works as it should."""
        return self.state != "stopped" and self.trouble is None


class Recycle(Struct, frozen=True, kw_only=True):
    """When a worker has done enough and stops, for a new process to go on: 0 is never.

    After so many ``jobs``, after so many ``seconds``, or with more than ``memory`` bytes.
    """

    jobs: int = 0
    seconds: float = 0.0
    memory: int = 0

    def __post_init__(self) -> None:
        if min(self.jobs, self.seconds, self.memory) < 0:
            raise ConfigError(
                "jobs=, seconds= and memory= of a Recycle are from 0, which is never."
            )

    def __bool__(self) -> bool:
        """Whether there is anything that ends it."""
        return bool(self.jobs or self.seconds or self.memory)

    def reason(self, jobs: int, seconds: float, memory: Callable[[], int]) -> str | None:
        """Tell why a worker that has come so far has done enough, ``None`` if it has not."""
        if 0 < self.jobs <= jobs:
            return f"it has run {jobs} jobs"
        if 0 < self.seconds <= seconds:
            return f"it is {seconds:.0f} s old"
        if self.memory and (held := memory()) > self.memory:
            return f"it holds {held // 2**20} MB"
        return None


def memory() -> int:
    """Return how many bytes this process holds; where that is not told, how many it held at most."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - read each second
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
