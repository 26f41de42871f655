"""Leases: how the store knows that a worker lives, and how a worker hears what it is to know.

The lease is not kept by the worker's own event loop, which a job may hold up, but from beside it: by a
thread with a connection of its own, or by a supervising process. It is kept as long as the loop shows signs
of life, or as long as a job that is within its time limit may be holding it up. So a job that computes for
minutes runs once, and a worker that hangs loses what it has.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Protocol

from oxidite import clock
from oxidite.errors import BackendError
from oxidite.instrument import event
from oxidite.queue.base import Asked, JobStore

__all__ = ["Beats", "Keeper", "Life", "LoopKeeper", "ThreadKeeper"]

_logger = logging.getLogger("oxidite.queue")

HEARS = 1.0
"""Seconds within which a worker with jobs hears of what was cancelled, and lapsed leases are noticed."""
_PRUNES = 60.0

Hear = Callable[[Asked], None]


class Keeper(Protocol):
    """Keeps the lease of a worker, and tells it what the store says."""

    async def begin(self, worker: str, hear: Callable[[Asked], None]) -> None:
        """Begin; ``hear`` is called in the loop of the caller."""
        ...

    async def end(self) -> None:
        """Keep it no longer."""
        ...

    def sign(self, left: float) -> None:
        """Take a sign of life: the loop moves, and may be held up by jobs for ``left`` seconds from now."""
        ...


class Life:
    """Whether the loop of a worker lives, as seen from beside it, in real time."""

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._seen = clock.perf()
        self._until = 0.0

    @property
    def has_jobs(self) -> bool:
        """Whether it had jobs at its last sign."""
        return self._until > 0.0

    @property
    def silence(self) -> float:
        """The seconds since its last sign."""
        return clock.perf() - self._seen

    @property
    def is_silent(self) -> bool:
        """Whether there was no sign for a whole lease."""
        return self.silence >= self._lease

    @property
    def is_lost(self) -> bool:
        """Whether it is silent, and no job that is within its limit can be why."""
        return self.is_silent and clock.perf() >= self._until

    def sign(self, left: float) -> None:
        """Take a sign; jobs may hold the loop up for ``left`` seconds from now, 0 if there are none."""
        self._seen = clock.perf()
        self._until = self._seen + left if left > 0 else 0.0


class Beats:
    """What is told to the store, and asked of it, while a worker lives; ``now`` is what time is told by."""

    def __init__(
        self,
        store: JobStore,
        worker: str,
        *,
        lease: float,
        poison: int,
        now: Callable[[], float] = clock.perf,
    ) -> None:
        self.store: JobStore = store
        self.worker: str = worker
        self.pause: float = min(HEARS, lease / 3)
        self._lease = lease
        self._poison = poison
        self._now = now
        self._beaten = self._pruned = now()

    async def tick(self, *, lives: bool, has_jobs: bool) -> Asked | None:
        """Beat if it is time to, look after what others have left behind, and return what was heard."""
        asked = None
        try:
            async with asyncio.timeout(max(self._lease / 2, HEARS)):
                if lives and (has_jobs or self._now() - self._beaten >= self._lease / 3):
                    asked = await self.store.beat(self.worker, self._lease)
                    self._beaten = self._now()
                await self.rescue()
                await self._prune()
        except (BackendError, TimeoutError) as exc:
            _logger.warning("the store of jobs did not hear that %s lives: %s", self.worker, exc)
        except Exception:
            # Whatever it is: without beats the worker would lose its jobs.
            _logger.exception("the lease of %s was not prolonged", self.worker)
        return asked

    async def rescue(self) -> None:
        """Have the jobs of workers run again that are gone."""
        rescued = await self.store.rescue(self._poison)
        if rescued:
            event("queue.rescued", jobs=rescued)
            _logger.warning("jobs of workers that are gone, which run again: %d", rescued)

    async def release(self) -> None:
        """Have the jobs of this worker run again at once: it has crashed."""
        # A lease of no length has lapsed, and then it is as with any other.
        await self.store.beat(self.worker, 0.0)
        await self.rescue()

    async def _prune(self) -> None:
        if self._now() - self._pruned < _PRUNES:
            return
        self._pruned = self._now()
        if await self.store.lead("prune", self.worker, _PRUNES * 1.5):
            await self.store.prune()


class LoopKeeper:
    """Keeps the lease in the worker's own loop: for stores that no other loop can open."""

    def __init__(self, store: JobStore, *, lease: float, poison: int) -> None:
        self._store = store
        self._lease = lease
        self._poison = poison
        self._has_jobs = False
        self._task: asyncio.Task[None] | None = None

    async def begin(self, worker: str, hear: Hear) -> None:
        """Begin."""
        beats = Beats(
            self._store, worker, lease=self._lease, poison=self._poison, now=clock.monotonic
        )
        self._task = asyncio.create_task(self._run(beats, hear), name="oxidite queue lease")

    async def end(self) -> None:
        """Keep it no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def sign(self, left: float) -> None:
        """Take a sign of life."""
        self._has_jobs = left > 0

    async def _run(self, beats: Beats, hear: Hear) -> None:
        while True:
            # Time of the clock, as that of a store in this process: tests travel with both.
            await clock.sleep(beats.pause)
            asked = await beats.tick(lives=True, has_jobs=self._has_jobs)
            if asked is not None:
                hear(asked)


class ThreadKeeper:
    """Keeps the lease in a thread, by a store that it opens there."""

    def __init__(self, make: Callable[[], JobStore], *, lease: float, poison: int) -> None:
        self._make = make
        self._lease = lease
        self._poison = poison
        self._life = Life(lease)
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], object] | None = None
        self._has_ended = False

    async def begin(self, worker: str, hear: Hear) -> None:
        """Begin, once the store is open; what it raises then is raised here."""
        self._stop, self._has_ended = None, False
        loop = asyncio.get_running_loop()
        began: asyncio.Future[None] = loop.create_future()

        def tell(asked: Asked) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(hear, asked)

        def settle(error: BaseException | None) -> None:
            if began.done():
                return
            if error is None:
                began.set_result(None)
            else:
                began.set_exception(error)

        def report(error: BaseException | None) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, error)

        def run() -> None:
            try:
                asyncio.run(self._run(worker, tell, report))
            except Exception as exc:
                _logger.exception("the lease of %s is no longer kept", worker)
                report(exc)

        self._life.sign(0)
        self._thread = threading.Thread(target=run, name="oxidite queue lease", daemon=True)
        self._thread.start()
        await began

    async def end(self) -> None:
        """Keep it no longer."""
        self._has_ended = True
        if self._stop is not None:
            with contextlib.suppress(RuntimeError):
                self._stop()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, self._lease)

    def sign(self, left: float) -> None:
        """Take a sign of life."""
        self._life.sign(left)

    async def _run(self, worker: str, tell: Hear, report: Callable[[None], None]) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set)
        if self._has_ended:  # before it could be told
            return
        async with self._make() as store:
            beats = Beats(store, worker, lease=self._lease, poison=self._poison)
            report(None)
            said = False
            while not await _passed(stop, beats.pause):
                lost = self._life.is_lost
                if lost and not said:
                    self._complain(worker)
                said = lost
                asked = await beats.tick(lives=not lost, has_jobs=self._life.has_jobs)
                if asked is not None:
                    tell(asked)

    def _complain(self, worker: str) -> None:
        event("queue.silent", worker=worker, seconds=self._life.silence)
        _logger.error(
            "the event loop of %s has not moved for %.0f s and no job may hold it up for so long; "
            "its lease lapses, and its jobs run elsewhere",
            worker,
            self._life.silence,
        )


async def _passed(stop: asyncio.Event, seconds: float) -> bool:
    """Wait in real time, and return whether to stop."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
    return stop.is_set()
