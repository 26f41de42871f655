"""The requests being answered, and what happens to those whose client goes away.

Watching a connection costs more than answering most requests, so one sweeper looks at all of them,
ten times a second, and has only those watched that are older than that. It sleeps while there are
none.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Protocol

from oxidite.concurrency import current_task

__all__ = ["BodyPace", "InFlight", "Watched", "current_task"]

SWEEP = 0.1
"""Seconds between two looks; real time, because it is about real connections."""


@dataclass(frozen=True, slots=True)
class BodyPace:
    """How slowly the body of a request may come, lest many slow ones hold all there is.

    Whoever waits for it has ``timeout`` seconds of patience, and one more for each ``rate`` bytes that
    have come. Time in which nobody reads does not count.
    """

    timeout: float = 30.0
    rate: int = 500


class Watched(Protocol):
    """A request in flight."""

    task: asyncio.Task[object] | None
    gone: bool
    interrupted: bool
    too_slow: bool

    def starves(self, pace: BodyPace) -> bool:
        """Tell, once in ``SWEEP`` seconds, whether the body has been waited for too long."""
        ...

    def can_be_watched(self) -> bool:
        """Tell whether its route wants to be cancelled, and nobody waits for the body just now."""
        ...

    def read_ahead(self) -> None:
        """Have whoever reads the body from now on read what the watcher has read."""
        ...

    async def wait_gone(self) -> None:
        """Return when the client has gone away."""
        ...


class InFlight:
    """Knows every request from its first byte to its last."""

    def __init__(self, pace: BodyPace = BodyPace()) -> None:
        self.pace = pace
        self.young: set[Watched] = set()
        """Requests that began since the last look; protocols add and discard here."""
        self.old: set[Watched] = set()
        """Those that began before it."""
        self.conversations: set[Watched] = set()
        """Those of both that are no requests any more: WebSockets. They come and go here, too."""
        self.loop: asyncio.AbstractEventLoop | None = None
        """The running loop while the sweeper is awake, else ``None``; see ``wake``."""
        self._watchers: dict[Watched, asyncio.Task[None]] = {}
        self.stopping: asyncio.Event = asyncio.Event()
        """Set when the server begins to stop: what has no end of its own ends now."""

    def __len__(self) -> int:
        """How many requests are being answered."""
        return len(self.young) + len(self.old) - len(self.conversations)

    def wake(self) -> asyncio.AbstractEventLoop:
        """Start to look; return the running loop."""
        if self.loop is not None:
            # It has ended, and with it everything that was in flight there.
            self.young.clear()
            self.old.clear()
            self.conversations.clear()
            self._watchers.clear()
        loop = self.loop = asyncio.get_running_loop()
        loop.call_later(SWEEP, self._sweep, loop)
        return loop

    def forget(self, request: Watched) -> None:
        """Forget a request that is over, young or old."""
        self.young.discard(request)
        self.old.discard(request)
        watcher = self._watchers.pop(request, None)
        if watcher is not None:
            watcher.cancel()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        for request in self.old:
            if not request.too_slow and request.starves(self.pace):
                _give_up(request)
            elif request not in self._watchers and request.can_be_watched():
                request.read_ahead()
                self._watchers[request] = loop.create_task(_watch(request))
        idle = not self.old and not self.young
        self.old |= self.young
        self.young.clear()
        if idle:
            self.loop = None
        else:
            loop.call_later(SWEEP, self._sweep, loop)


def _give_up(request: Watched) -> None:
    if request.task is not None and not request.interrupted:
        request.too_slow = request.interrupted = True
        request.task.cancel()


async def _watch(request: Watched) -> None:
    with contextlib.suppress(OSError):  # a connection that broke is one that has ended
        await request.wait_gone()
    request.gone = True
    if request.task is not None:
        request.interrupted = True
        request.task.cancel()
