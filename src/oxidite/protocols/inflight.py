"""The requests being answered, and what happens to those whose client goes away.

Watching a connection costs more than answering most requests, so one sweeper looks at all of them,
ten times a second, and has only those watched that are older than that. It sleeps while there are
none.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["InFlight", "Watched"]

SWEEP = 0.1
"""Seconds between two looks; real time, because it is about real connections."""


class Watched(Protocol):
    """A request in flight."""

    task: asyncio.Task[object] | None
    gone: bool

    def can_be_watched(self) -> bool:
        """Tell whether the body was read and its route wants to be cancelled."""
        ...

    async def wait_gone(self) -> None:
        """Return when the client has gone away."""
        ...


class InFlight:
    """Knows every request from its first byte to its last."""

    def __init__(self) -> None:
        self._young: set[Watched] = set()
        self._old: set[Watched] = set()
        self._watchers: dict[Watched, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def add(self, request: Watched) -> None:
        """Remember a request that has begun."""
        self._young.add(request)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP, self._sweep)

    def discard(self, request: Watched) -> None:
        """Forget a request that is over."""
        self._young.discard(request)
        if self._old:
            self._old.discard(request)
            watcher = self._watchers.pop(request, None)
            if watcher is not None:
                watcher.cancel()

    def _sweep(self) -> None:
        for request in self._old:
            if request not in self._watchers and request.can_be_watched():
                task = asyncio.get_running_loop().create_task(_watch(request))
                self._watchers[request] = task
        self._old |= self._young
        self._young.clear()
        self._timer = None
        if self._old:
            self._timer = asyncio.get_running_loop().call_later(SWEEP, self._sweep)


async def _watch(request: Watched) -> None:
    await request.wait_gone()
    request.gone = True
    if request.task is not None:
        request.task.cancel()
