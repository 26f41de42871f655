"""Tests with jobs: what was pushed is asserted, and run here and now instead of by a worker.

::

    async with manual(queue), Client(app) as client:
        await client.post("/users", json={"name": "Ada"})
        await assert_enqueued(queue, send_welcome, 1)
        await drain(queue, resources=app.lifespan)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, overload
from uuid import UUID, uuid4

from oxidite import clock
from oxidite.clock import TravelClock
from oxidite.concurrency import ThreadPool
from oxidite.encoding import Codec, codec_for
from oxidite.errors import ConfigError
from oxidite.lifespan import Lifespan
from oxidite.queue.base import (
    Filter,
    JobState,
    JobStore,
    NewBatch,
    NewJob,
    Outcome,
    OutcomeKind,
    Pushed,
    Ready,
    Signal,
    StoredJob,
)
from oxidite.queue.context import JobContext
from oxidite.queue.errors import JobArgumentsError, JobFailedError
from oxidite.queue.failures import Failure
from oxidite.queue.queue import Queue
from oxidite.queue.runner import Runner
from oxidite.queue.signature import Signature
from oxidite.queue.stores.memory import MemoryStore
from oxidite.queue.task import Task
from oxidite.queue.tasks import Tasks

__all__ = ["Ran", "assert_enqueued", "assert_not_enqueued", "drain", "inline", "manual"]

P = ParamSpec("P")

_LEASE = 3600.0
_TOLD = 60.0  # seconds, beyond which schedules do not tell when they have something to do
_LEAST = 0.001  # seconds by which time moves, so that it always does
_STEP = 1.0  # seconds between two tries of what a limit holds back
_WAITING = frozenset((JobState.WAITING,))
_BY_CHOICE = frozenset(("retry_at", "discarded"))  # what a job returned, and no error
_failure: Codec[Failure] = codec_for(Failure)


@dataclass(frozen=True)
class Ran:
    """One run of a job: how it ended, in the words of a store."""

    id: UUID
    task: str
    attempt: int
    kind: OutcomeKind


# Modes


@contextlib.asynccontextmanager
async def manual(queue: Queue) -> AsyncIterator[Queue]:
    """Keep the jobs of a queue in memory inside, where nothing runs them but ``drain``.

    What was pushed is forgotten at the end. It stands around the whole life of an application, or inside.
    """
    async with _instead(queue, MemoryStore()):
        yield queue


@contextlib.asynccontextmanager
async def inline(queue: Queue, *, resources: Lifespan | None = None) -> AsyncIterator[Queue]:
    """Run each job of a queue where it is pushed, before ``enqueue`` returns; errors are raised there.

    So are the jobs that follow it. Those of later wait, as in ``manual``. ``resources`` are what tasks are
    given, such as ``app.lifespan``; a thread stands in for the process of those that want one.
    """
    async with _open(resources) as opened, _instead(queue, _InlineStore(_Hand(queue, opened))):
        yield queue


@contextlib.asynccontextmanager
async def _instead(queue: Queue, store: JobStore) -> AsyncIterator[None]:
    before = queue.use(store)
    try:
        # A queue that is open already has told its schedules to the other store.
        await queue.schedules.open()
        yield
    finally:
        queue.use(before)


class _InlineStore(MemoryStore):
    """Has jobs run as soon as they are pushed."""

    def __init__(self, hand: _Hand) -> None:
        super().__init__()
        self._hand = hand

    async def push(self, jobs: Sequence[NewJob], batch: NewBatch | None = None) -> list[Pushed]:
        """Keep jobs, and run what is due."""
        pushed = await super().push(jobs, batch)
        await self._run_due()
        return pushed

    async def signal(self, signal: Signal) -> int:
        """Keep an event, and run the jobs that it wakes."""
        woken = await super().signal(signal)
        await self._run_due()
        return woken

    async def _run_due(self) -> None:
        # All at once and with nothing awaited between, so that each caller runs the jobs of its own.
        while ready := await self._hand.claim(self, len(self._jobs)):
            calls = self._hand.calls(ready)
            while calls:
                call = calls.pop(0)
                try:
                    await self._hand.run(self, call, raise_errors=True)
                except BaseException:
                    await self._hand.give_back(self, [job for each in calls for job in each])
                    raise


# Draining


async def drain(
    queue: Queue,
    *,
    at_most: int = 1000,
    through: float = 0.0,
    resources: Lifespan | None = None,
    raise_errors: bool = True,
) -> list[Ran]:
    """Run the jobs of a queue that are due, one after the other, until none is, and return what ran.

    Those of a chunk run together, once nothing else is due.

    ``through`` goes that many seconds through time, with the ``TravelClock`` that is in use: jobs run at
    the moment for which they are due, the tries after a failure and those of schedules included.
    ``resources`` are what tasks are given, such as ``app.lifespan``. The error of a job is raised, once the
    store has it; with ``raise_errors=False`` it is as with a worker.

    Raises:
        AssertionError: more than ``at_most`` jobs ran, as when a job pushes itself.
        ConfigError: ``through`` needs a clock that can be moved.
    """
    travel = _travel(through)
    ends = clock.timestamp() + through
    ran: list[Ran] = []
    async with _open(resources) as opened:
        hand = _Hand(queue, opened)
        try:
            while True:
                slot = await queue.schedules.tick() if through else _TOLD
                while call := await hand.next(queue.store):
                    if len(ran) + len(call) > at_most:
                        await hand.give_back(queue.store, call)
                        names = ", ".join(sorted({each.task for each in ran}))
                        raise AssertionError(
                            f"More than at_most={at_most} jobs ran, of {names}. Does one push itself again?"
                        )
                    ran += await hand.run(queue.store, call, raise_errors=raise_errors)
                left = ends - clock.timestamp()
                if travel is None or left <= 0:
                    return ran
                await travel.advance(min(await _pause(queue, slot), left))
        finally:
            await queue.store.exit(hand.name)


def _travel(through: float) -> TravelClock | None:
    if not through:
        return None
    current = clock.current()
    if through < 0 or not isinstance(current, TravelClock):
        raise ConfigError(
            f"through={through:g} goes on through time: with a number of seconds above 0, and inside "
            "clock.use(TravelClock()), or with the fixture clock."
        )
    return current


async def _pause(queue: Queue, slot: float) -> float:
    """Return the seconds until the next job, or the next slot of a schedule, is due.

    ``slot`` is what the schedules themselves said, who know whether one is due that is not fired yet.
    """
    now = await queue.store.now()
    paused = {each.name for each in await queue.queues() if each.paused}
    moments = [
        job.due_at if job.due_at > now else now + _STEP
        async for job in queue.find(Filter(states=_WAITING))
        if job.queue not in paused
    ]
    slots = [each.next for each in await queue.schedules.all() if each.next is not None]
    moments += [slot.timestamp() for slot in slots]
    pause = min(moments, default=float("inf")) - now
    # A database reads its own clock each time, to which ours is added: so it may seem to go back.
    return max(min(pause, slot) if slot < _TOLD else pause, _LEAST)


class _Hand:
    """Does by hand what a worker does by itself."""

    def __init__(self, queue: Queue, resources: Lifespan) -> None:
        self.name = f"test:{uuid4().hex}"
        self._errors: dict[UUID, Exception] = {}
        self._collected: list[Ready] = []
        tasks = _Watched(queue.tasks, self._errors)
        self._runner = Runner(tasks, resources, lambda: queue.store, queue.max_size)

    async def claim(self, store: JobStore, limit: int) -> list[Ready]:
        """Claim jobs that are due, from whatever queue."""
        if (await store.beat(self.name, _LEASE)).lost:
            await store.enter(self.name, b"", _LEASE)
        names = [each.name for each in await store.queues()]
        return (await store.exchange(self.name, (), names, limit)).jobs

    async def next(self, store: JobStore) -> list[Ready]:
        """Claim a job that is due, or, when there is none, the jobs of a chunk that were."""
        while ready := await self.claim(store, 1):
            if self._runner.chunk_of(ready[0]) is None:
                return ready
            self._collected += ready
        first, *rest = self.calls(self._collected) or [[]]
        self._collected = [job for each in rest for job in each]
        return first

    def calls(self, jobs: Sequence[Ready]) -> list[list[Ready]]:
        """Return which jobs are run together."""
        calls: list[list[Ready]] = []
        chunks: dict[Hashable, list[Ready]] = {}
        for job in jobs:
            found = self._runner.chunk_of(job)
            chunk = None if found is None else chunks.get(found[0])
            if chunk is not None and found is not None and len(chunk) < found[1].size:
                chunk.append(job)
                continue
            calls.append([job])
            if found is not None:
                chunks[found[0]] = calls[-1]
        return calls

    async def run(self, store: JobStore, jobs: Sequence[Ready], *, raise_errors: bool) -> list[Ran]:
        """Run a job, or those of a chunk, and let the store know."""
        running = self._runner.running(*jobs)
        # In a task of its own, as the worker's: what it sets in context variables stays there.
        running.task = asyncio.create_task(self._runner.run(running), name=jobs[0].task)
        try:
            await asyncio.wait([running.task])
        except asyncio.CancelledError:
            running.cancel("returned")
            await asyncio.wait([running.task])
            await self.give_back(store, jobs)
            raise
        outcomes = running.task.result()
        await store.exchange(self.name, outcomes, (), 0)
        ran = []
        by_id = {each.id: each for each in jobs}
        for outcome in outcomes:
            ready = by_id[outcome.id]
            error = self._errors.pop(ready.id, None)
            if raise_errors and outcome.error is not None:
                self._raise(ready, _failure.decode_msgpack(outcome.error), error)
            ran.append(Ran(ready.id, ready.task, ready.attempt, outcome.kind))
        return ran

    async def give_back(self, store: JobStore, jobs: Sequence[Ready]) -> None:
        """Let jobs that were claimed wait again."""
        back = [Outcome(id=each.id, attempt=each.attempt, kind="returned") for each in jobs]
        await store.exchange(self.name, back, (), 0)

    def _raise(self, ready: Ready, failure: Failure, error: Exception | None) -> None:
        if error is not None:
            raise error
        if failure.kind not in _BY_CHOICE:
            raise JobFailedError(f"The job {ready.id} of {ready.task} failed: {failure.summary}")


class _Watched(Tasks):
    """The tasks of a queue, as those whose errors are kept."""

    def __init__(self, tasks: Tasks, errors: dict[UUID, Exception]) -> None:
        super().__init__([])
        self._of = tasks
        self._errors = errors

    def find(self, name: str) -> Task[Any, Any]:
        """Return a task that does the same, in this process."""
        task = self._of.find(name)
        made: Task[Any, Any] = object.__new__(type(task))
        made.__dict__.update(task.__dict__)
        made.signature = _WatchedSignature(task.signature, self._errors)
        made.run = "auto"
        return made


class _WatchedSignature(Signature):
    def __init__(self, signature: Signature, errors: dict[UUID, Exception]) -> None:
        # It is the same one in all but its calls; made anew, every task would be read for every job.
        self.__dict__.update(signature.__dict__)
        self._errors = errors

    async def call(
        self, arguments: dict[str, object], job: JobContext, resources: Lifespan
    ) -> object:
        """Call the function, and keep what it raises."""
        try:
            return await super().call(arguments, job, resources)
        except Exception as exc:
            self._errors[job.id] = exc
            raise


@contextlib.asynccontextmanager
async def _open(resources: Lifespan | None) -> AsyncIterator[Lifespan]:
    """Have resources among which are threads, as those of an application are."""
    if resources is not None and resources.offers(ThreadPool):
        yield resources
        return
    lifespan = Lifespan() if resources is None else resources
    async with ThreadPool() as threads:
        lifespan.offer(threads)
        yield lifespan


# Assertions


@overload
async def assert_enqueued(queue: Queue, task: Task[Any, Any], /) -> StoredJob: ...
@overload
async def assert_enqueued(
    queue: Queue, task: Task[P, Any], /, *args: P.args, **kwargs: P.kwargs
) -> StoredJob: ...
async def assert_enqueued(
    queue: Queue, task: Task[Any, Any], /, *args: object, **kwargs: object
) -> StoredJob:
    """Assert that a job of a task was pushed with these arguments, and return the last such job.

    Without arguments any will do. It counts whether it waits, runs, or has ended.

    Raises:
        AssertionError: there is none; the message says which there are.
    """
    jobs = await _jobs(queue, task)
    fit = _fitting(task, jobs, args, kwargs)
    if fit:
        return fit[0]
    if jobs:
        there = ", ".join(_said(task, _arguments(task, each)) for each in jobs)
    else:
        there = ", ".join(sorted({each.task for each in await queue.counts()})) or "none"
    wanted = _wanted(task, args, kwargs)
    said = task.name if wanted is None else _said(task, wanted)
    raise AssertionError(f"There is no job {said}. There are: {there}.")


@overload
async def assert_not_enqueued(queue: Queue, task: Task[Any, Any], /) -> None: ...
@overload
async def assert_not_enqueued(
    queue: Queue, task: Task[P, Any], /, *args: P.args, **kwargs: P.kwargs
) -> None: ...
async def assert_not_enqueued(
    queue: Queue, task: Task[Any, Any], /, *args: object, **kwargs: object
) -> None:
    """Assert that no job of a task was pushed with these arguments; without arguments, none at all.

    Raises:
        AssertionError: there is one.
    """
    fit = _fitting(task, await _jobs(queue, task), args, kwargs)
    if fit:
        said = _said(task, _arguments(task, fit[0]))
        raise AssertionError(f"There is a job {said}, which is {fit[0].state.value}.")


async def _jobs(queue: Queue, task: Task[Any, Any]) -> list[StoredJob]:
    return [job async for job in queue.find(Filter(task=task.name))]


def _fitting(
    task: Task[Any, Any],
    jobs: Sequence[StoredJob],
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> list[StoredJob]:
    wanted = _wanted(task, args, kwargs)
    return [job for job in jobs if wanted is None or _arguments(task, job) == wanted]


def _wanted(
    task: Task[Any, Any], args: tuple[object, ...], kwargs: dict[str, object]
) -> dict[str, object] | None:
    if not args and not kwargs:
        return None
    # As a job carries them, so that defaults and conversions are the same on both sides.
    return task.signature.decode(task.signature.encode(args, kwargs))


def _arguments(task: Task[Any, Any], job: StoredJob) -> dict[str, object] | None:
    try:
        return task.upgraded(job.args, job.version)
    except JobArgumentsError:
        return None


def _said(task: Task[Any, Any], arguments: dict[str, object] | None) -> str:
    if arguments is None:
        return f"{task.name}(of a version that no longer fits)"
    inside = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return f"{task.name}({inside})"
