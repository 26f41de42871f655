"""What a store of jobs is given, and what it tells: jobs, outcomes, queues, workers, batches, schedules."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias
from uuid import UUID

from msgspec import Struct

__all__ = [
    "Asked",
    "BatchState",
    "Claim",
    "Count",
    "Filter",
    "JobState",
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
    what is still waiting gets its arguments, its time, or both; with other arguments it has saved nothing.
    """

    key: bytes
    states: frozenset[JobState] = frozenset((JobState.WAITING, JobState.RUNNING))
    period: float | None = None
    conflict: Literal["skip", "replace_args", "replace_time", "replace"] = "skip"


class NewJob(Struct, frozen=True, kw_only=True):
    """A job to push.

    It is due at ``at``, or else ``delay`` seconds after it was pushed. Of those that are due the one with
    the larger ``priority`` (-32768 to 32767) runs first, and of equals the one that was due first. ``group``
    is what limits by key count, such as a tenant, and what takes turns in a fair queue. ``context`` and
    ``flow`` are the worker's: what the job takes along, and what follows it. A finished job is kept for
    ``keep`` seconds.
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
    ``state`` is what the job has saved for itself. ``trouble`` says why its data cannot be read, if so.
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
    trouble: str | None = None


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
    is in seconds, 0 for a job that is not to be kept. One that snoozes and ``waits`` is due as soon as the event
    is signalled that it has listened for, at once if that has happened, and after its ``delay`` at the latest.
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
    waits: bool = False


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
    saved: bytes | None = None
    """What it has kept for its next attempt: its steps, as the front makes them."""
    waits_for: bytes | None = None
    """What it said of the event that it waits for, if it waits for one."""


class Signal(Struct, frozen=True):
    """An event that has happened: it wakes the jobs that wait for it.

    ``event`` is up to 64 bytes, the same for those who wait and those who signal. ``value`` is kept for ``keep``
    seconds for jobs that wait later, instead of that of a signal before.
    """

    event: bytes
    value: bytes
    keep: float = 0.0


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
    in the way of others. In a queue that is ``fair`` its groups take turns, in the order of their names: of each
    one job, and then of the next. Which job of a group is next is as in other queues; the jobs of no group are
    one together.
    """

    running: int | None = None
    rate: Rate | None = None
    each: int | None = None
    each_rate: Rate | None = None
    fair: bool = False


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
