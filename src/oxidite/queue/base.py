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

Time is that of the store, in seconds since 1970; it moves with ``oxidite.clock``, so tests travel in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Literal, Protocol, TypeAlias
from uuid import UUID

from msgspec import Struct

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
    "StoredJob",
    "TaskMinute",
    "Unique",
    "WorkerState",
]


class JobState(StrEnum):
    """Where a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DEAD = "dead"


class Unique(Struct, frozen=True):
    """A job that is not wanted twice.

    Another one with the same ``key`` stands in its way as long as it is in one of ``states`` and, if there
    is a ``period``, was pushed less than so many seconds ago. Then the new one is dropped (``skip``), or
    what is still waiting gets its arguments, its time, or both.
    """

    key: bytes
    states: frozenset[JobState] = frozenset((JobState.WAITING, JobState.RUNNING))
    period: float | None = None
    conflict: Literal["skip", "replace_args", "replace_time", "replace"] = "skip"


class NewJob(Struct, frozen=True, kw_only=True):
    """A job to push.

    It is due at ``at``, or else ``delay`` seconds after it was pushed. Of those that are due the one with
    the larger ``priority`` (-32768 to 32767) runs first, and of equals the one that was due first. ``group``
    is what limits by key count, such as a tenant. ``context`` and ``flow`` are the worker's: what the job
    takes along, and what follows it. A finished job is kept for ``keep`` seconds.
    """

    id: UUID
    queue: str
    task: str
    args: bytes
    version: int = 1
    priority: int = 0
    delay: float = 0.0
    at: float | None = None
    timeout: float = 600.0
    keep: float = 86_400.0
    unique: Unique | None = None
    group: str | None = None
    batch: UUID | None = None
    context: bytes = b""
    flow: bytes = b""


class Pushed(Struct, frozen=True):
    """What became of a push: the id of the job that there is now.

    ``is_new`` is false for one that stood in its way, and for an id that the store knows already.
    """

    id: UUID
    is_new: bool


class Ready(Struct, frozen=True, kw_only=True):
    """A job that a worker has claimed: it is running now, in ``attempt``, counted from 1.

    ``failures`` is how many attempts failed before, and ``crashes`` in how many of them the worker ended.
    ``state`` is what the job has saved for itself.
    """

    id: UUID
    queue: str
    task: str
    args: bytes
    version: int
    attempt: int
    failures: int
    crashes: int
    priority: int
    timeout: float
    group: str | None
    batch: UUID | None
    context: bytes
    flow: bytes
    pushed_at: float
    due_at: float
    state: bytes | None = None


OutcomeKind: TypeAlias = Literal["completed", "retry", "snooze", "returned", "cancelled", "dead"]
"""How an attempt ended.

``retry``, ``snooze`` and ``returned`` (its worker stops) wait again, until ``delay`` seconds from now; the
first of them, and ``dead``, count as a failure.
"""


class Outcome(Struct, frozen=True, kw_only=True):
    """What a worker says of a job that it ran.

    ``then`` is pushed in the same step, if the outcome counts: the next of a chain, for one. If that is of the
    same batch, it stands for this job there: it is counted when it ends, and this one is not. Nothing follows a
    job that was to be cancelled, which is so then. ``error`` is kept beside those of other attempts. ``keep``
    is in seconds, 0 for a job that is not to be kept.
    """

    id: UUID
    attempt: int
    kind: OutcomeKind
    delay: float = 0.0
    result: bytes | None = None
    error: bytes | None = None
    keep: float | None = None
    then: tuple[NewJob, ...] = ()
    seconds: float = 0.0
    """How long it ran, for the statistics."""


class Claim(Struct, frozen=True):
    """What an exchange brought: jobs to run, and the outcomes that no longer counted, by id."""

    jobs: list[Ready]
    refused: list[UUID]


class Asked(Struct, frozen=True):
    """What a worker is to know: jobs of its own that are to be cancelled, and which queues pause.

    ``lost``: its lease had lapsed, and its jobs are others' now.
    """

    cancel: list[UUID]
    paused: list[str]
    lost: bool = False


class StoredJob(Struct, frozen=True, kw_only=True):
    """Everything that is known of a job. Times are in seconds since 1970, ``None`` if not yet."""

    id: UUID
    queue: str
    task: str
    state: JobState
    args: bytes
    version: int
    priority: int
    attempt: int
    failures: int
    crashes: int
    pushed_at: float
    due_at: float
    started_at: float | None
    ended_at: float | None
    worker: str | None
    group: str | None
    batch: UUID | None
    timeout: float
    cancel_asked: bool
    progress: bytes | None
    result: bytes | None
    errors: list[bytes]
    """The last ten, the newest last."""
    context: bytes
    flow: bytes


class Filter(Struct, frozen=True, kw_only=True):
    """Which jobs are meant: those that fit all that is said."""

    ids: tuple[UUID, ...] | None = None
    queue: str | None = None
    task: str | None = None
    states: frozenset[JobState] | None = None
    batch: UUID | None = None
    group: str | None = None


class Rate(Struct, frozen=True):
    """So many in so many seconds, evenly, up to all of them at once (GCRA)."""

    count: int
    per: float


class Limits(Struct, frozen=True):
    """What a queue allows, over all workers: running at once, and begun in a time.

    ``each`` and ``each_rate`` are the same for the jobs of one ``group``. Jobs beyond a limit do not stand
    in the way of others.
    """

    running: int | None = None
    rate: Rate | None = None
    each: int | None = None
    each_rate: Rate | None = None


class QueueState(Struct, frozen=True):
    """A queue, as people see it: jobs by state; ``oldest`` is the age of what is due, in seconds."""

    name: str
    paused: bool
    limits: Limits
    counts: dict[JobState, int]
    oldest: float


class WorkerState(Struct, frozen=True):
    """A worker, as people see it. ``about`` is what it says of itself: host, process, queues."""

    name: str
    about: bytes
    lease_until: float
    running: int


class TaskMinute(Struct, frozen=True):
    """What happened to the jobs of one task in one minute, which began at ``minute``."""

    minute: float
    queue: str
    task: str
    completed: int
    retried: int
    dead: int
    seconds: float
    slowest: float
    waited: float
    """The seconds from due to start, of all attempts together."""


class Count(Struct, frozen=True):
    """How many jobs of a task are in a state."""

    queue: str
    task: str
    state: JobState
    count: int


class NewBatch(Struct, frozen=True):
    """Jobs that belong together: what to push once all have ended, by how they did.

    ``total`` jobs are expected, so it cannot end while they are still being pushed.
    """

    id: UUID
    total: int
    success: tuple[NewJob, ...] = ()
    """If all were completed."""
    failure: tuple[NewJob, ...] = ()
    """If one was not."""
    always: tuple[NewJob, ...] = ()
    about: bytes = b""


class BatchState(Struct, frozen=True):
    """How far a batch is."""

    id: UUID
    total: int
    completed: int
    failed: int
    about: bytes
    ended_at: float | None


class Schedule(Struct, frozen=True, kw_only=True):
    """A plan of times, and the job that is pushed at each; kept in the store, by name.

    ``plan`` is what the front makes of it. ``last`` is the slot that was fired last, ``None`` before the
    first; ``origin`` tells those of the program from those that were made at run time.
    """

    name: str
    plan: bytes
    origin: Literal["code", "run_time"] = "code"
    enabled: bool = True
    since: float = 0.0
    """When it was saved first: no slot before that is missed."""
    last: float | None = None


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
        nor beyond the limits of one. A worker whose lease has lapsed gets none.
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
        self, filter: Filter, *, args: bytes | None = None, version: int | None = None
    ) -> int:
        """Let ended jobs wait anew, as if they had never run, or those that wait run now.

        A batch that has not ended waits for them again.
        With ``args`` they get new arguments, which are of ``version`` if that is said. Returns how many.
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
