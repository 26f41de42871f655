"""Workers: what claims jobs, runs them, and says what became of them.

One exchange with the store hands in everything that has ended and claims as many jobs as there are free
places: so a busy worker needs one round trip for many jobs, and an idle one waits to be woken.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import socket
from collections.abc import Mapping, Sequence
from secrets import token_hex
from types import TracebackType
from typing import Any, Literal, Self

from oxidite import clock
from oxidite.concurrency import ThreadPool
from oxidite.encoding import encode_msgpack
from oxidite.errors import BackendError, ConfigError
from oxidite.instrument import event
from oxidite.lifespan import Lifespan
from oxidite.queue.base import Asked, Ready
from oxidite.queue.exchanges import Exchanges
from oxidite.queue.health import Recycle, WorkerHealth, memory
from oxidite.queue.leases import Keeper, LoopKeeper, ThreadKeeper
from oxidite.queue.places import Places
from oxidite.queue.processes import Processes
from oxidite.queue.queue import Queue
from oxidite.queue.runner import Runner
from oxidite.queue.stores import stores
from oxidite.queue.weights import Weights

__all__ = ["Worker"]

_logger = logging.getLogger("oxidite.queue")

_POLL = 1.0  # seconds after which a worker looks by itself, whoever should have woken it
_TICK = 5.0  # seconds between two looks at the schedules, at most
_BACK_OFF = 5.0  # the longest pause after a store has failed
_SIGN = 1.0  # seconds between two signs of life, at most
_FLUSH = 0.01  # seconds after which the store is told what has ended, at most
_BUNDLE = 100  # outcomes that are not held back even so long


class Worker:
    """Runs the jobs of some queues; a resource, which has those of the application for its jobs.

    ``queues`` are their names, or names with weights: one of weight 3 is asked first three times as often
    as one of weight 1; with ``None`` they are all that the store has, as in development, where the store is
    small enough to be counted each second. At most ``concurrency`` jobs run at once; of those that take next to no time some
    are claimed ahead, as many as ``prefetch`` says. The store hears that the worker lives; if it no longer
    does, its jobs run elsewhere after ``lease`` seconds. A job that goes on ``grace`` seconds after its
    time limit is given up. With ``recycle`` it stops by itself when it has done enough. Of jobs in which ``poison`` workers ended, no more is expected. On closing no
    job begins, those that run have ``drain`` seconds to end, and the others go back to the store unharmed.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        queues: Mapping[str, int] | Sequence[str] | None = ("default",),
        concurrency: int = 10,
        prefetch: int | Literal["auto"] = "auto",
        lease: float = 30.0,
        grace: float = 5.0,
        drain: float = 25.0,
        poison: int = 3,
        recycle: Recycle | None = None,
        resources: Lifespan | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        if concurrency < 1 or poison < 1 or lease <= 0 or drain < 0 or grace < 0:
            raise ConfigError(
                "concurrency= and poison= are from 1, lease= above 0, drain= and grace= from 0."
            )
        if prefetch != "auto" and prefetch < 0:
            raise ConfigError(f'prefetch={prefetch} is "auto", or how many jobs are claimed ahead.')
        self.queue: Queue = queue
        self.name: str = f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"
        self.concurrency: int = concurrency
        self.lease: float = lease
        self.grace: float = grace
        self.drain: float = drain
        self.poison: int = poison
        self._queues = Weights(queues)
        self._prefetch: int | Literal["auto"] = prefetch
        self._recycle = recycle
        self._given = resources
        self._keeper = keeper
        self._threads: ThreadPool | None = None
        self._processes = Processes()
        self._places: Places | None = None
        self._said: Exchanges | None = None
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._asked = asyncio.Event()
        self._lost = False
        self._trouble: str | None = None
        self._began = self._signed_until = clock.perf()
        self._loop: asyncio.Task[None] | None = None
        self._clock: asyncio.Task[None] | None = None
        self._pulse: asyncio.TimerHandle | None = None
        self._flush: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        await self.begin(Lifespan())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.end()

    async def begin(self, resources: Lifespan) -> None:
        """Begin to work, with these resources unless the worker was given others."""
        given = resources if self._given is None else self._given
        if not given.offers(ThreadPool):
            self._threads = ThreadPool(max(self.concurrency, 4))
            given.offer(self._threads)
        queue = self.queue
        runner = Runner(queue.tasks, given, lambda: queue.store, queue.max_size, self._processes)
        self._places = Places(
            runner,
            self.concurrency,
            ahead=self._prefetch,
            grace=self.grace,
            poison=self.poison,
            ended=self._note_end,
        )
        self._said = Exchanges(queue, self.name, self._places)
        self._lost = False
        self._wake, self._hurry, self._asked = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._began = clock.perf()
        if self._keeper is None:
            self._keeper = self._own_keeper()
        try:
            await queue.store.enter(self.name, self._about(), self.lease)
            await self._keeper.begin(self.name, self._hear)
        except BaseException:
            # Also one that is cancelled: else it would be kept alive, and never do anything.
            await self._keeper.end()
            with contextlib.suppress(BackendError):
                await queue.store.exit(self.name)
            raise
        self._live()
        self._clock = asyncio.create_task(self._tick(), name="oxidite queue clock")
        self._loop = asyncio.create_task(self._work(), name="oxidite queue worker")

    async def end(self) -> None:
        """Stop, as ``stop`` says, and wait for it; who is cancelled meanwhile has all given back at once."""
        self.stop()
        try:
            if self._loop is not None:
                await self._ended(self._loop)
        finally:
            await self._close()

    async def _ended(self, loop: asyncio.Task[None]) -> None:
        try:
            await asyncio.wait([loop])
        except asyncio.CancelledError:
            self.stop(now=True)
            await asyncio.wait([loop])
            raise

    async def _close(self) -> None:
        for timer in (self._pulse, self._flush):
            if timer is not None:
                timer.cancel()
        if self._clock is not None:
            self._clock.cancel()
            await asyncio.wait([self._clock])
        if self._keeper is not None:
            await self._keeper.end()
        self._processes.close()
        if self._threads is not None and not self._held.abandoned:
            await self._threads.__aexit__(None, None, None)

    def stop(self, *, now: bool = False) -> None:
        """Begin no more jobs, and end when those that run have; ``now``: give them back at once."""
        self._asked.set()
        if self._places is not None:
            self._places.stop()
        if now:
            self._hurry.set()
        self._wake.set()

    async def run(self) -> None:
        """Work until ``stop`` is called, and everything has ended."""
        async with self:
            await self.stopped()

    async def stopping(self) -> None:
        """Wait until the worker was asked to stop, by whomever."""
        await self._asked.wait()

    async def stopped(self) -> None:
        """Wait until the worker has stopped, and nothing runs any more."""
        if self._loop is not None:
            await asyncio.wait([self._loop])

    @property
    def _stopping(self) -> bool:
        return self._asked.is_set()

    @property
    def _held(self) -> Places:
        """The jobs that it has, once it has begun."""
        if self._places is None:
            raise ConfigError("The worker has not begun: open it first.")
        return self._places

    @property
    def _exchanges(self) -> Exchanges:
        """What it says to the store, once it has begun."""
        if self._said is None:
            raise ConfigError("The worker has not begun: open it first.")
        return self._said

    def health(self) -> WorkerHealth:
        """Tell how the worker is."""
        places = self._places
        ended = self._loop is None or self._loop.done()
        return WorkerHealth(
            name=self.name,
            state="stopped" if ended else "draining" if self._stopping else "working",
            running=0 if places is None else len(places.running),
            waiting=0 if places is None else places.waiting,
            abandoned=0 if places is None else len(places.abandoned),
            unsent=0 if places is None else len(places.outcomes),
            done=0 if places is None else places.done,
            trouble=self._trouble,
            silence=clock.perf() - (self._began if self._said is None else self._said.heard_at),
        )

    def _about(self) -> bytes:
        return encode_msgpack(
            {
                "host": socket.gethostname(),
                "process": os.getpid(),
                "queues": self._queues.weights,
                "concurrency": self.concurrency,
            }
        )

    def _own_keeper(self) -> Keeper:
        address = self.queue.address
        if address is None:
            return LoopKeeper(self.queue.store, lease=self.lease, poison=self.poison)
        return ThreadKeeper(lambda: stores.create(address), lease=self.lease, poison=self.poison)

    # What others tell

    def _hear(self, asked: Asked) -> None:
        for id in asked.cancel:
            self._held.cancel(id, "cancelled")
        if asked.lost and not self._lost:
            self._lost = True
            event("queue.lost", worker=self.name)
            _logger.warning("the lease of %s had lapsed: its jobs run elsewhere", self.name)
        if asked.cancel or asked.lost:
            self._note_end()

    def _live(self) -> None:
        """Give a sign of life, and see what has gone on for too long."""
        self._held.check()
        self._sign()
        self._consider_end()
        self._pulse = asyncio.get_running_loop().call_later(self._between_signs, self._live)

    @property
    def _between_signs(self) -> float:
        return min(_SIGN, self.lease / 4)

    def _sign(self) -> None:
        if self._keeper is None:
            return
        left = self._held.left
        if left:
            # Also for what is claimed before the next sign: else each claim would have one of its own.
            left += self._between_signs
        self._signed_until = clock.perf() + left
        self._keeper.sign(left)

    def _consider_end(self) -> None:
        """Stop when this process has done enough, so that a new one may begin."""
        if self._recycle is None or self._stopping:
            return
        places = self._held
        reason = self._recycle.reason(places.done, clock.perf() - self._began, memory)
        if reason is None and len(places.abandoned) >= self.concurrency:
            reason = "all its places are taken by jobs that cannot be stopped"
        if reason is not None:
            _logger.info("worker %s ends: %s", self.name, reason)
            self.stop()

    def _note_end(self) -> None:
        """Have the store told what has ended: soon, and much at once."""
        places = self._held
        if self._lost or not places.ahead or len(places.outcomes) >= _BUNDLE:
            self._wake.set()
        elif self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(_FLUSH, self._flush_now)

    def _flush_now(self) -> None:
        self._flush = None
        self._wake.set()

    # Working

    async def _work(self) -> None:
        pause = 0.0
        while not self._stopping:
            try:
                if self._lost:
                    await self._exchanges.regain(self._about(), self.lease)
                    self._lost = False
                await self._queues.find(self.queue.store)
                room = self._held.room
                claimed = await self._exchange(room)
                await self._exchanges.reconcile()
                pause, self._trouble = 0.0, None
                self._consider_end()
            except Exception as exc:  # noqa: BLE001 - whatever it is, a worker that no longer works helps nobody
                pause = min(pause * 2 + 0.1, _BACK_OFF)
                await self._suffer(exc, pause)
                continue
            # With less than there was room for, the store has no more for now.
            if claimed < room or not self._held.room:
                while await self._wait():
                    pass
        await self._drain()

    async def _suffer(self, error: Exception, pause: float) -> None:
        """Wait after a failure of the store; the next try hands in what it did not take."""
        self._trouble = str(error)
        _logger.warning(
            "the store of jobs failed, trying again in %.1f s: %s",
            pause,
            error,
            exc_info=None if isinstance(error, BackendError) else error,
        )
        waits = asyncio.ensure_future(self._hurry.wait())
        sleeps = asyncio.ensure_future(clock.sleep(pause * random.uniform(0.5, 1.0)))
        await _first(waits, sleeps)

    async def _exchange(self, limit: int) -> int:
        claimed = await self._exchanges.exchange(self._queues.order(), limit)
        self._take(claimed)
        return len(claimed)

    def _take(self, claimed: Sequence[Ready]) -> None:
        """Take jobs, and begin what there are places for."""
        places = self._held
        places.take(claimed)
        if claimed and places.left > self._signed_until - clock.perf():
            # Before any of them begins: the first may hold up the loop.
            self._sign()
        places.fill(is_told=not places.outcomes)

    async def _wait(self) -> bool:
        """Wait until a job has ended, or one may be there to be claimed; tell whether one was given, and begun."""
        if self._held.running:
            # What is done in no time has ended after two turns of the loop: the store is told without a
            # wait, which would have been one more question to it.
            await clock.sleep(0)
            await clock.sleep(0)
        self._wake.clear()
        places = self._held
        if self._stopping or self._lost or (places.outcomes and not places.ahead):
            return False
        if places.outcomes:
            self._note_end()
        if not places.room or places.ahead:
            await self._wake.wait()
            return False
        comes = asyncio.ensure_future(
            self.queue.store.wait(self._queues.names, _POLL, worker=self.name, limit=places.room)
        )
        comes.add_done_callback(lambda _: self._wake.set())
        try:
            await self._wake.wait()
        finally:
            comes.cancel()
        # Usually it is why: then there is nothing to wait for.
        if not comes.done():
            await asyncio.wait((comes,))
        if comes.cancelled():
            return False
        if comes.exception() is not None:
            # The exchange that follows finds out what is wrong; but not again and again at once.
            await clock.sleep(_FLUSH)
            return False
        given = comes.result()
        self._take(given)
        return bool(given)

    async def _drain(self) -> None:
        places = self._held
        running = [each.task for each in places.running.values() if each.task is not None]
        if running:
            # What it was given meanwhile is for others, and it is given no more.
            places.give_back(everything=True)
            await self._tell()
            await self._flush_while(asyncio.gather(*running, return_exceptions=True), self.drain)
        for each in list(places.running.values()):
            each.cancel("returned")
        late = [each.task for each in places.running.values() if each.task is not None]
        if late:
            await asyncio.wait(late, timeout=self.grace)
        await clock.sleep(0)  # what has ended is noted by callbacks
        places.abandon_all()
        await self._part()

    async def _flush_while(self, work: asyncio.Future[list[object]], seconds: float) -> None:
        """Wait for work to end, for so long, or until somebody hurries; tell the store meanwhile."""
        ends = clock.perf() + seconds
        hurry = asyncio.ensure_future(self._hurry.wait())
        try:
            while not work.done() and not self._hurry.is_set() and clock.perf() < ends:
                self._wake.clear()
                wake = asyncio.ensure_future(self._wake.wait())
                left = max(ends - clock.perf(), 0.0)
                # Shielded: what runs is ended one by one, each in its own way.
                waits: set[asyncio.Future[Any]] = {
                    asyncio.shield(work),
                    wake,
                    hurry,
                }  # Any: only waited for
                await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                wake.cancel()
                if self._held.outcomes:
                    await self._tell()
        finally:
            hurry.cancel()

    async def _tell(self) -> bool:
        try:
            await self._exchange(0)
        except Exception as exc:  # noqa: BLE001 - what is not handed in now is handed in later
            self._trouble = str(exc)
            return False
        return True

    async def _part(self) -> None:
        """Hand in what is left, and be forgotten; a store that fails has as long as the jobs had."""
        ends = clock.perf() + max(self.drain, self.grace)
        pause = 0.1
        while True:
            try:
                await self._exchange(0)
                await self.queue.store.exit(self.name)
            except Exception as exc:  # noqa: BLE001 - the lease lapses, and everything runs again
                if clock.perf() + pause > ends or self._hurry.is_set():
                    _logger.warning(
                        "the store of jobs could not be told that %s ends, nor what became of %d jobs, "
                        "which run again: %s",
                        self.name,
                        len(self._held.outcomes),
                        exc,
                    )
                    return
                await self._suffer(exc, pause)
                pause = min(pause * 2, _BACK_OFF)
            else:
                return

    async def _tick(self) -> None:
        """Fire what the schedules have due."""
        while True:
            try:
                pause = await self.queue.schedules.tick()
            except Exception as exc:
                pause = _BACK_OFF
                _logger.warning(
                    "the schedules could not be looked at: %s",
                    exc,
                    exc_info=None if isinstance(exc, BackendError) else exc,
                )
            # What others add meanwhile is seen within a few seconds.
            await clock.sleep(min(max(pause, 0.01), _TICK))


async def _first(*waits: asyncio.Future[Any]) -> None:  # Any: only waited for
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
        await asyncio.wait(waits)
