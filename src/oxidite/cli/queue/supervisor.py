"""Keeps the leases of the processes that run jobs, and sees to it that there are as many as there should be.

The supervisor imports nothing of the application: whatever the jobs do, it lives, and the store hears so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal

from msgspec import structs

from oxidite import clock
from oxidite.cli.console import bold, dim, fail, say
from oxidite.cli.queue.messages import Order, Report, Task
from oxidite.cli.queue.process import Child
from oxidite.errors import BackendError
from oxidite.queue.base import Asked, JobStore
from oxidite.queue.leases import HEARS, Beats
from oxidite.queue.stores import stores
from oxidite.queue.stores.advice import be_silent

__all__ = ["Supervisor"]

_logger = logging.getLogger("oxidite.queue")

_CLOSING = 10.0  # seconds that a child has to close its resources, once no job runs any more
_SHORT = 5.0  # seconds: a child that lived less is not replaced at once
_LONGEST_PAUSE = 30.0
_TRIES = 5  # to tell the store of a crash, before its lease tells it


class Supervisor:
    """Runs ``count`` children, and replaces each that ends."""

    def __init__(self, task: Task, count: int) -> None:
        self._task = task
        self._count = count
        self._children: set[Child] = set()
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._signal: int | None = None
        self._code = 0
        self._is_advised = False
        self._has_worked = False
        self._store: JobStore | None = None
        self._stack = contextlib.AsyncExitStack()
        self._opening = asyncio.Lock()

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT; return the exit code.

        Raises:
            KeyboardInterrupt: it was SIGINT; everything is stopped.
        """
        be_silent()  # a child says it
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, self._stop_by, each)
        try:
            await asyncio.gather(*(self._fill() for _ in range(self._count)))
        finally:
            for child in self._children:
                child.kill()
            await self._stack.aclose()
        if self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        if not self._code:
            say("Stopped.")
        return self._code

    def _stop_by(self, signum: int) -> None:
        if self._stop.is_set():
            self._hurry.set()
            say("Jobs that run go back to the store.")
        else:
            self._signal = signum
            say(
                f"Stopping: jobs that run have {self._task.drain:g} s to end. Again to stop at once."
            )
            self._stop.set()
        for child in self._children:
            child.tell(Order("end" if self._hurry.is_set() else "stop"))

    # One place

    async def _fill(self) -> None:
        """Have one child work, one after the other; the next begins while one that is spent still ends."""
        pause = 0.0
        late: set[asyncio.Task[None]] = set()
        while not self._stop.is_set():
            began = clock.perf()
            advises, self._is_advised = not self._is_advised, True
            child = await Child.start(structs.replace(self._task, advises=advises))
            self._children.add(child)
            life = asyncio.create_task(self._accompany(child))
            await self._spent_or_ended(child, life)
            if not life.done():
                late.add(life)
                life.add_done_callback(late.discard)
                continue
            await life
            if child.failure is not None and child.name is None:
                if not self._has_worked:
                    self._give_up(child.failure)
                    break
                # It was no mistake of the program then, and others may work: such as a server that is away.
                fail(f"a worker does not start, and is tried again\n\n{child.failure}")
            lived = clock.perf() - began
            pause = (
                0.0
                if lived >= _SHORT or child.spent.is_set()
                else min(pause * 2 + 0.5, _LONGEST_PAUSE)
            )
            if pause > 1:
                await self._stopped_within(pause)
        if late:
            await asyncio.wait(late)

    async def _spent_or_ended(self, child: Child, life: asyncio.Task[None]) -> None:
        spent = asyncio.create_task(child.spent.wait())
        await asyncio.wait({spent, life}, return_when=asyncio.FIRST_COMPLETED)
        spent.cancel()
        if self._stop.is_set() and not life.done():
            await asyncio.wait({life})

    async def _stopped_within(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()

    def _give_up(self, text: str) -> None:
        fail(f"the worker does not start\n\n{text}")
        self._code = 1
        self._stop.set()
        for child in self._children:
            child.tell(Order("stop"))

    async def _accompany(self, child: Child) -> None:
        """Be with a child from its start to its end, and see to what it leaves behind."""
        listening = asyncio.create_task(self._listen(child))
        watching = asyncio.create_task(self._watch(child))
        how = await child.ended()
        watching.cancel()
        await asyncio.wait({listening, watching})
        self._children.discard(child)
        if child.process.returncode == 0 or child.name is None:
            return
        fail(f"Worker {child.name} {how}.")
        await self._release(child)

    async def _listen(self, child: Child) -> None:
        while (report := await child.report()) is not None:
            self._take(child, report)

    def _take(self, child: Child, report: Report) -> None:
        if report.event == "lives":
            child.life.sign(report.left)
        elif report.event == "works":
            self._has_worked = True
            child.name, child.address = report.text, report.address
            child.life.sign(0.0)
            say(f"Worker {bold(child.name)} works {dim(f'(process {child.pid})')}")
        elif report.event == "spent":
            child.spent.set()
        else:
            child.failure = report.text

    # Its lease

    async def _watch(self, child: Child) -> None:
        """Beat for a child while it lives, and end it when it does not."""
        beats: Beats | None = None
        ends: float | None = None
        pause = min(HEARS, self._task.lease / 3)
        while True:
            await self._passed(pause)
            if self._stop.is_set():
                if ends is None:
                    ends = clock.perf() + self._task.drain + self._task.grace + _CLOSING
                if clock.perf() > ends:
                    fail(f"Worker {child.pid} has not ended and is killed.")
                    self._code = 1
                    child.kill()
            if child.name is None:
                continue
            # What was stopped by a signal holds no job within its limit: it does nothing at all.
            is_lost = child.life.is_lost or (child.life.is_silent and child.is_stopped)
            if is_lost and not child.is_stopped:
                fail(f"Worker {child.name} shows no sign of life and is killed.")
                child.kill()
                continue
            if beats is None:
                beats = await self._beats(child)
            if beats is None:
                continue
            asked = await beats.tick(lives=not is_lost, has_jobs=child.life.has_jobs)
            if asked is not None and (asked.cancel or asked.lost):
                child.tell(_hear(asked))

    async def _passed(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.Event().wait()

    async def _beats(self, child: Child) -> Beats | None:
        store = await self._opened(child)
        if store is None or child.name is None:
            return None
        return Beats(store, child.name, lease=self._task.lease, poison=self._task.poison)

    async def _opened(self, child: Child) -> JobStore | None:
        """Return the store of a child, opened by a connection of this process."""
        async with self._opening:
            if self._store is None and child.address is not None:
                try:
                    store = stores.create(child.address)
                    self._store = await self._stack.enter_async_context(store)
                except Exception as exc:  # noqa: BLE001 - whatever it is, without a lease the jobs would be lost
                    _logger.warning("the store of jobs cannot be opened: %s", exc)
        return self._store

    async def _release(self, child: Child) -> None:
        """Have the jobs of a child that crashed run again at once; else they do when its lease is over."""
        beats = await self._beats(child)
        for _ in range(_TRIES if beats is not None else 0):
            try:
                async with asyncio.timeout(self._task.lease):
                    await beats.release()  # type: ignore[union-attr]  # there are no tries without it
            except (BackendError, TimeoutError) as exc:
                _logger.warning(
                    "the store of jobs did not hear that %s crashed: %s", child.name, exc
                )
                await self._passed(HEARS)
            else:
                return


def _hear(asked: Asked) -> Order:
    return Order("hear", [str(each) for each in asked.cancel], asked.lost)
