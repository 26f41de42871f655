"""What a store of jobs does. Bytes in, bytes out: no task is imported, no argument is decoded here.

A job is *waiting* (to be run when its time has come), *running*, and in the end *completed*, *cancelled* or *dead*. Whoever runs it is a worker, known to the store
by a name and a lease: a worker whose lease has lapsed is gone, and its jobs run again.

Each run of a job is an **attempt** with a number that no other run of it ever has, and what a worker says of
a job counts only if the job is still running in that attempt. So a worker that was stopped past its lease,
and wakes, changes nothing (fencing). How often a job *failed* is counted apart: a snooze, a worker that stops
or one that crashes is no failure of the job.

Every method is atomic, for all processes that use the same store. A service that fails raises
``BackendError`` or one below it, and then it is not known whether what was asked was done: each method may be
called again with the same arguments, and does nothing a second time, as ids, attempts and slots tell.

Time is that of the store, in seconds since 1970; it moves with ``oxidite.clock``, so tests travel in it. What
goes to and fro is in ``records.py``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from oxidite.queue.records import (
    Asked,
    BatchState,
    Claim,
    Count,
    Filter,
    JobState,
    Limits,
    NewBatch,
    NewJob,
    Outcome,
    OutcomeKind,
    Pushed,
    QueueState,
    Rate,
    Ready,
    Schedule,
    Signal,
    StoredJob,
    TaskMinute,
    Unique,
    WorkerState,
)

__all__ = [
    "Asked",
    "BatchState",
    "Claim",
    "Count",
    "Filter",
    "JobState",
    "JobStore",
    "Limits",
    "NewBatch",
    "NewJob",
    "Outcome",
    "OutcomeKind",
    "Pushed",
    "QueueState",
    "Rate",
    "Ready",
    "Schedule",
    "Signal",
    "StoredJob",
    "TaskMinute",
    "Unique",
    "WorkerState",
]


class JobStore(AbstractAsyncContextManager["JobStore", None], Protocol):
    """Keeps jobs until they are done, for one process or for many.

    Subclass it by name; ``oxidite.testing.contracts`` has the tests that every store passes.
    """

    is_shared: bool
    """Whether other processes see what this one stores."""
    is_durable: bool
    """Whether a job that was pushed is still there when every process has ended."""
    address: str | None = None
    """Once it is open, the URL by which others open the same store, if that is another than its own.

    As a store in the database of the application has one: workers keep their leases by connections apart.
    """
    place: str = ""
    """Where it is, for people, and to tell two stores from each other: without a password."""

    async def now(self) -> float:
        """Return the time of the store."""
        ...

    def joins(self, database: object) -> bool:
        """Tell whether a push is part of the transaction that is open in ``database``.

        If not, what is enqueued in a transaction goes through the outbox of that database.
        """
        return False

    # Pushing

    async def push(self, jobs: Sequence[NewJob], batch: NewBatch | None = None) -> list[Pushed]:
        """Keep jobs, in one step; in the caller's transaction where they share a database.

        An id that is known already changes nothing. With a ``batch`` that begins with them.
        """
        ...

    # Working

    async def enter(self, worker: str, about: bytes, lease: float) -> None:
        """Make a worker known, for ``lease`` seconds; again, once its lease had lapsed."""
        ...

    async def beat(self, worker: str, lease: float) -> Asked:
        """Prolong the lease of a worker, if it has not lapsed, and tell what it is to know.

        A lease of 0 seconds has lapsed: so a worker is given up that is known to have crashed.
        """
        ...

    async def exit(self, worker: str) -> None:
        """Forget a worker; what it still has runs again."""
        ...

    async def exchange(
        self, worker: str, outcomes: Sequence[Outcome], queues: Sequence[str], limit: int
    ) -> Claim:
        """Take over outcomes, and claim up to ``limit`` jobs that are due, in one step.

        From the first of ``queues`` as many as there are, then from the next. Not from one that is paused,
        nor beyond the limits of one. In a fair one the turn is that of the group that follows, by name, the one
        of the job that began last, whoever claimed that. A worker whose lease has lapsed gets none.
        """
        ...

    async def wait(
        self, queues: Sequence[str], within: float, *, worker: str = "", limit: int = 0
    ) -> Sequence[Ready]:
        """Return when there may be something to claim, or after ``within`` seconds.

        Of a store that can do so ``worker`` is given up to ``limit`` jobs meanwhile, as they are pushed, and
        they are returned; who is cancelled and was given some has not got them, and its next exchange says so.
        """
        ...

    async def rescue(self, poison: int) -> int:
        """Have the jobs of workers run again whose lease has lapsed; return how many.

        It is a crash, no failure; with ``poison`` of them a job is dead.
        """
        ...

    async def save(
        self, id: UUID, attempt: int, *, progress: bytes | None = None, state: bytes | None = None
    ) -> bool:
        """Keep how far a running job is, or what it is to go on from; return whether it counted."""
        ...

    # Events

    async def signal(self, signal: Signal) -> int:
        """Keep an event, and let the jobs run that wait for it; return how many it woke.

        In one step, and in the caller's transaction where they share a database. A job is given the value of the
        first signal that reaches it, from the moment on at which it listens. A store that keeps it for those who
        come later has the newest.
        """
        ...

    async def listen(
        self, id: UUID, attempt: int, event: bytes, about: bytes, within: float
    ) -> bytes | None:
        """Return the value of an event that a running job waits for, or have it given one that is signalled now.

        In one step with whoever signals it, so that none is missed between. The job gives up what it listened
        for before. ``about`` is for people; it will not listen for more than ``within`` seconds. For a job that
        does not run, or no longer in this attempt, nothing is noted.
        """
        ...

    # Looking and changing

    async def get(self, ids: Sequence[UUID]) -> list[StoredJob | None]:
        """Return jobs, in the order of ``ids``."""
        ...

    def find(self, filter: Filter) -> AsyncIterator[StoredJob]:
        """Go through jobs, the newest first."""
        ...

    async def counts(self, filter: Filter) -> list[Count]:
        """Count jobs by queue, task and state."""
        ...

    async def cancel(self, filter: Filter) -> int:
        """Cancel what waits, and ask the workers to cancel what runs; return how many."""
        ...

    async def retry(
        self,
        filter: Filter,
        *,
        args: bytes | None = None,
        version: int | None = None,
        saved: bytes | None = None,
        attempt: int | None = None,
    ) -> int:
        """Let ended jobs wait anew, as if they had never run, or those that wait run now.

        A batch that has not ended waits for them again.
        With ``args`` they get new arguments, which are of ``version`` if that is said, and what they have saved
        is forgotten: it was made of the old ones. With ``saved`` they go on from that. In both cases they have
        listened for nothing. With ``attempt`` only a job that has not begun another since. Returns how many.
        """
        ...

    async def delete(self, filter: Filter) -> int:
        """Forget jobs that are not running; return how many."""
        ...

    async def prune(self) -> int:
        """Forget ended jobs that were kept long enough, and old statistics; return how many jobs."""
        ...

    # Queues

    async def queues(self) -> list[QueueState]:
        """Return the queues that have jobs or settings."""
        ...

    async def pause(self, queue: str, *, paused: bool) -> None:
        """Let nobody claim from a queue, or let them again."""
        ...

    async def limit(self, queue: str, limits: Limits) -> None:
        """Set what a queue allows."""
        ...

    async def workers(self) -> list[WorkerState]:
        """Return the workers that are known."""
        ...

    async def statistics(self, since: float) -> list[TaskMinute]:
        """Return what happened from ``since`` on, by minute, queue and task."""
        ...

    # Batches

    async def batch(self, id: UUID) -> BatchState | None:
        """Tell how far a batch is."""
        ...

    # Schedules

    async def schedules(self) -> list[Schedule]:
        """Return the schedules."""
        ...

    async def save_schedule(self, schedule: Schedule) -> None:
        """Keep a schedule under its name; ``since`` and ``last`` of one that is there stay."""
        ...

    async def remove_schedule(self, name: str) -> bool:
        """Forget a schedule; return whether there was one."""
        ...

    async def fire(self, name: str, slot: float, jobs: Sequence[NewJob]) -> bool:
        """Push the jobs of a slot, in one step, unless somebody has; return whether it was this call."""
        ...

    # Being the one

    async def lead(self, role: str, worker: str, lease: float) -> bool:
        """Tell whether ``worker`` has a role, of which there is one, for ``lease`` seconds from now."""
        ...

    # What the store offers beside

    async def results(self, ids: Sequence[UUID], within: float) -> Mapping[UUID, StoredJob]:
        """Wait until one of these jobs has ended, or ``within`` seconds; return those that have."""
        ...
