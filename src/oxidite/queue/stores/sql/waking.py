"""What wakes those who wait: in this process at once, in others as soon as the database tells.

PostgreSQL tells by NOTIFY. That takes a lock of the whole database until the commit, so it is never sent in
the transaction that pushes, but after it, at most so many times a second for all that was pushed meanwhile.
Of SQLite it is looked whether the log beside the file (WAL) was written to. Whatever is missed is found by
who looks by himself, as workers do every second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator

from oxidite import clock
from oxidite.db.connections.base import Driver
from oxidite.errors import OxiditeError

__all__ = ["ENDED", "Channel", "Waiters", "Watch", "rest"]

_logger = logging.getLogger("oxidite.queue")
ENDED = ""
"""What is told when jobs have ended, in the place of the name of a queue."""
_PAUSE = 0.005
"""Seconds between two notices of a process. Each is a commit, but one that waits for no disk."""
_MOST_MISSED = 1000
"""Names that are kept for who waits next: others look by themselves a second later."""
_LONGEST = 7000
"""Bytes of a notice; the server takes 8000."""
_ALIVE = 5.0
"""Seconds between two questions whether a silent connection still lives, and for the answer."""
_FIRST, _LAST = 0.05, 2.0
"""Seconds between two tries to come back, at first and in the end."""
_LOOK = 0.03
"""Seconds between two looks at a file."""
_EXACT = 0.2
"""Seconds after which the time of a file is another one for certain."""


class Waiters:
    """Who waits in this process, each for the names of some queues.

    What is told while nobody waits for it is kept for the next who does: it may have happened after he had
    looked, and before he waited.
    """

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Event, frozenset[str]] = {}
        self._missed: set[str] = set()
        self.on_wait: Callable[[], object] | None = None
        """Is called when somebody begins to wait."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @contextlib.contextmanager
    def waiting(self, names: Iterable[str]) -> Iterator[asyncio.Event]:
        """Give an event that is set when one of these is told."""
        event = asyncio.Event()
        wanted = self._waiting[event] = frozenset(names)
        if not wanted.isdisjoint(self._missed):
            self._missed -= wanted
            event.set()
        if self.on_wait is not None:
            self.on_wait()
        try:
            yield event
        finally:
            del self._waiting[event]

    def wake(self, names: Iterable[str]) -> None:
        """Wake those who wait for one of these."""
        told = missed = set(names)
        for event, wanted in self._waiting.items():
            if not wanted.isdisjoint(told):
                missed = missed - wanted
                event.set()
        if len(self._missed) + len(missed) <= _MOST_MISSED:
            self._missed |= missed

    def wake_all(self) -> None:
        """Wake everybody: something may have been missed."""
        for event in self._waiting:
            event.set()


class Channel:
    """Tells other processes by PostgreSQL, and hears what they tell, whatever fails meanwhile."""

    def __init__(self, driver: Driver, channel: str, waiters: Waiters) -> None:
        self._task: asyncio.Task[None] | None = None
        self._driver = driver
        self._channel = channel
        self._waiters = waiters
        self._untold: set[str] = set()
        self._is_of_all = False
        self._has_news = asyncio.Event()

    def open(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="oxidite queue waking")

    async def close(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None

    def tell(self, names: Iterable[str]) -> None:
        """Tell others soon."""
        self._untold.update(names)
        self._has_news.set()

    def tell_all(self) -> None:
        """Tell others soon that anything may have changed."""
        self._is_of_all = True
        self._has_news.set()

    async def _run(self) -> None:
        pause = _FIRST
        is_down = False
        while True:
            began = clock.perf()
            try:
                await self._listen()
            except (OxiditeError, OSError, TimeoutError) as exc:
                if not is_down:
                    _logger.warning("the queue does not hear what other processes push: %s", exc)
                is_down = True
            if clock.perf() - began > _LAST:
                pause, is_down = _FIRST, False
            await rest(pause)
            pause = min(_LAST, pause * 2)

    async def _listen(self) -> None:
        gone = asyncio.Event()
        async with self._driver.connection(write=True) as connection:
            try:
                # A notice takes part in no commit that would have to be waited for.
                await connection.run("SET synchronous_commit = off", ())
                await connection.listen(self._channel, self._hear, gone.set)
                self._waiters.wake_all()
                while not gone.is_set():
                    await rest(_ALIVE, self._has_news, gone)
                    async with asyncio.timeout(_ALIVE):
                        if self._has_news.is_set():
                            notice = (self._channel, self._notice())
                            await connection.fetch("SELECT pg_notify($1, $2)", notice)
                        else:
                            await connection.ping()
                    await rest(_PAUSE, gone)
            finally:
                # Nobody else gets a connection that listens.
                connection.is_broken = True

    def _notice(self) -> str:
        text = json.dumps(sorted(self._untold))
        is_of_all = self._is_of_all or len(text) > _LONGEST
        self._untold.clear()
        self._is_of_all = False
        self._has_news.clear()
        return "null" if is_of_all else text

    def _hear(self, text: str) -> None:
        try:
            names = json.loads(text)
        except ValueError:
            names = None  # by somebody who has no business here
        if isinstance(names, list):
            self._waiters.wake(map(str, names))
        else:
            self._waiters.wake_all()


class Watch:
    """Looks whether another process has written to the file of SQLite, while somebody waits.

    A timer and no task, as a worker with nothing to do would do little else.
    """

    def __init__(self, log: str, waiters: Waiters) -> None:
        self._log = log
        self._waiters = waiters
        self._timer: asyncio.TimerHandle | None = None
        self._stamp: tuple[int, int] | None = None
        self._look_again: float | None = None

    def open(self) -> None:
        """Begin."""
        self._waiters.on_wait = self._go_on

    def close(self) -> None:
        """End."""
        self._waiters.on_wait = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_on(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._waiters:
            return
        if self._was_written():
            self._waiters.wake_all()
        self._go_on()

    def _was_written(self) -> bool:
        try:
            found = os.stat(self._log)  # noqa: PTH116 - 33 times a second
        except OSError:
            return False
        stamp = (found.st_mtime_ns, found.st_size)
        if stamp != self._stamp:
            self._stamp, self._look_again = stamp, clock.perf() + _EXACT
            return True
        # What was written just after the last look may have left the same time.
        if self._look_again is None or clock.perf() < self._look_again:
            return False
        self._look_again = None
        return True


async def rest(seconds: float, *until: asyncio.Event) -> None:
    """Wait in real time, for one of the events or ``seconds``: other processes do not travel."""
    loop = asyncio.get_running_loop()
    if not until:
        over = loop.create_future()
        timer = loop.call_later(seconds, over.set_result, None)
        try:
            await over
        finally:
            timer.cancel()
        return
    waits = [asyncio.ensure_future(event.wait()) for event in until]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
