"""Workers: what claims jobs, runs them, and says what became of them.

One exchange with the store hands in everything that has ended and claims as many jobs as there are free
places: so a busy worker needs one round trip for many jobs, and an idle one waits to be woken.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
from collections.abc import Mapping, Sequence
from secrets import token_hex
from types import TracebackType
from typing import Self
from uuid import UUID

from oxidite import clock
from oxidite.concurrency import ThreadPool
from oxidite.encoding import encode_msgpack
from oxidite.errors import BackendError, ConfigError
from oxidite.instrument import event
from oxidite.lifespan import Lifespan
from oxidite.queue.base import Outcome, Ready
from oxidite.queue.queue import Queue
from oxidite.queue.runner import Runner, Running

__all__ = ["Worker"]

_logger = logging.getLogger("oxidite.queue")

_POLL = 1.0  # seconds after which a worker looks by itself, whoever should have woken it
_TICK = 5.0  # seconds between two looks at the schedules, at most
_BACK_OFF = 5.0  # the longest pause after a store has failed


class Worker:
    """Runs the jobs of some queues; a resource.

    ``queues`` are their names, or names with weights: one of weight 3 is asked first three times as often
    as one of weight 1. At most ``concurrency`` jobs run at once. The store is told every third of
    ``lease`` seconds that the worker lives; if it no longer does, its jobs run elsewhere when the lease is
    over. Of jobs in which ``poison`` workers ended, no more is expected. On closing no job begins, those
    that run have ``drain`` seconds to end, and the others go back to the store unharmed.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        queues: Mapping[str, int] | Sequence[str] = ("default",),
        concurrency: int = 10,
        lease: float = 30.0,
        drain: float = 25.0,
        poison: int = 3,
        resources: Lifespan | None = None,
    ) -> None:
        if concurrency < 1 or poison < 1 or lease <= 0 or drain < 0:
            raise ConfigError("concurrency= and poison= are from 1, lease= above 0, drain= from 0.")
        self.queue: Queue = queue
        self.name: str = f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"
        self.concurrency: int = concurrency
        self.lease: float = lease
        self.drain: float = drain
        self.poison: int = poison
        self._weights = dict(queues) if isinstance(queues, Mapping) else dict.fromkeys(queues, 1)
        if not self._weights or min(self._weights.values()) < 1:
            raise ConfigError("A worker needs the name of a queue; weights are from 1.")
        self._resources = Lifespan() if resources is None else resources
        self._threads: ThreadPool | None = None
        self._running: dict[UUID, Running] = {}
        self._ended: list[Outcome] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._loop: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._clock: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if not self._resources.offers(ThreadPool):
            self._threads = ThreadPool()
            self._resources.offer(self._threads)
        store = self.queue.store
        self._runner = Runner(self.queue.tasks, self._resources, self._save, self.queue.max_size)
        about = encode_msgpack({"queues": list(self._weights), "concurrency": self.concurrency})
        await store.enter(self.name, about, self.lease)
        self._stopping = False
        self._keeper = asyncio.create_task(self._keep(), name="oxidite queue keeper")
        self._clock = asyncio.create_task(self._tick(), name="oxidite queue clock")
        self._loop = asyncio.create_task(self._work(), name="oxidite queue worker")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.stop()
        if self._loop is not None:
            await asyncio.wait([self._loop])
        besides = [each for each in (self._keeper, self._clock) if each is not None]
        for each in besides:
            each.cancel()
        if besides:
            await asyncio.wait(besides)
        if self._threads is not None:
            await self._threads.__aexit__(None, None, None)

    def stop(self) -> None:
        """Begin no more jobs, and end when those that run have."""
        self._stopping = True
        for running in self._running.values():
            running.context.stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until ``stop`` is called, and everything has ended."""
        async with self:
            assert self._loop is not None  # noqa: S101 - it was just begun
            await asyncio.wait([self._loop])

    async def _save(
        self, job: Ready, *, progress: bytes | None = None, state: bytes | None = None
    ) -> bool:
        return await self.queue.store.save(job.id, job.attempt, progress=progress, state=state)

    async def _work(self) -> None:
        pause = 0.0
        while not self._stopping:
            try:
                claimed = await self._exchange(self.concurrency - len(self._running))
                pause = 0.0
            except BackendError as exc:
                pause = min(pause * 2 + 0.1, _BACK_OFF)
                _logger.warning("the store of jobs failed, trying again in %.1f s: %s", pause, exc)
                await clock.sleep(pause * random.uniform(0.5, 1.0))
                continue
            if not claimed or len(self._running) >= self.concurrency:
                await self._wait()
        await self._drain()

    async def _exchange(self, free: int) -> int:
        ended, self._ended = self._ended, []
        try:
            claim = await self.queue.store.exchange(self.name, ended, self._order(), free)
        except BaseException:
            # It is not known whether they arrived; the second time they do nothing.
            self._ended = ended + self._ended
            raise
        for id in claim.refused:
            _logger.warning("job %s ran elsewhere meanwhile; what became of it here is void", id)
            event("queue.refused", job=str(id))
        for ready in claim.jobs:
            self._start(ready)
        return len(claim.jobs)

    def _order(self) -> list[str]:
        """Return the queues in the order in which they are asked: by chance, the heavier the earlier."""
        if len(self._weights) == 1:
            return list(self._weights)
        keys = {name: random.random() ** (1 / weight) for name, weight in self._weights.items()}
        return sorted(keys, key=keys.__getitem__, reverse=True)

    def _start(self, ready: Ready) -> None:
        running = self._runner.running(ready)
        self._running[ready.id] = running
        running.task = asyncio.create_task(self._runner.run(running), name=ready.task)
        running.task.add_done_callback(lambda task: self._finish(running, task))

    def _finish(self, running: Running, task: asyncio.Task[Outcome]) -> None:
        del self._running[running.ready.id]
        if task.cancelled():
            # It was cancelled before it ran at all.
            ready = running.ready
            self._ended.append(
                Outcome(id=ready.id, attempt=ready.attempt, kind=running.end or "returned")
            )
        else:
            self._ended.append(task.result())
        self._wake.set()

    async def _wait(self) -> None:
        """Wait until a job has ended, or one may be there to be claimed."""
        self._wake.clear()
        if self._ended or self._stopping:
            return
        if len(self._running) >= self.concurrency:
            await self._wake.wait()
            return
        waits = [
            asyncio.ensure_future(self._wake.wait()),
            asyncio.ensure_future(self.queue.store.wait(list(self._weights), _POLL)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.wait(waits)

    async def _drain(self) -> None:
        tasks = [each.task for each in self._running.values() if each.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=self.drain)
        late = list(self._running.values())
        for running in late:
            running.cancel("returned")
        if late:
            await asyncio.wait([each.task for each in late if each.task is not None])
        await clock.sleep(0)  # what has ended is noted by callbacks
        try:
            await self._exchange(0)
            await self.queue.store.exit(self.name)
        except BackendError as exc:
            _logger.warning("the store of jobs could not be told that this worker ends: %s", exc)

    async def _keep(self) -> None:
        """Keep the lease, hear of cancellations, and look after what others have left behind."""
        while True:
            await clock.sleep(self.lease / 3)
            try:
                asked = await self.queue.store.beat(self.name, self.lease)
                for id in asked.cancel:
                    if id in self._running:
                        self._running[id].cancel("cancelled")
                await self.queue.store.rescue(self.poison)
            except BackendError as exc:
                _logger.warning("the store of jobs did not hear that this worker lives: %s", exc)

    async def _tick(self) -> None:
        """Fire what the schedules have due."""
        while True:
            try:
                pause = await self.queue.schedules.tick()
            except BackendError as exc:
                pause = _BACK_OFF
                _logger.warning("the schedules could not be looked at: %s", exc)
            # What others add meanwhile is seen within a few seconds.
            await clock.sleep(min(max(pause, 0.01), _TICK))
