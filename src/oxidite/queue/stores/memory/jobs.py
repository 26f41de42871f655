"""Jobs, workers, batches and queues, as the memory has them."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from msgspec import Struct

from oxidite.queue.base import Filter, JobState, Limits, NewBatch, NewJob, StoredJob
from oxidite.queue.stores.memory.due import Due
from oxidite.queue.stores.memory.limits import Gate

__all__ = [
    "FINISHED",
    "Batch",
    "Job",
    "Listening",
    "Queue",
    "Worker",
    "fits",
    "is_parked",
    "stored",
]

FINISHED = frozenset((JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD))


class Listening(Struct):
    """The event that a job listens for, in which attempt it waits for it, and what that has brought."""

    event: bytes
    about: bytes
    value: bytes | None = None
    parked: int = 0


class Job(Struct, kw_only=True):
    """A job, and how it is."""

    new: NewJob
    args: bytes
    state: JobState
    pushed_at: float
    due_at: float
    place: int = -1
    """Which entry of the heaps is its own: those of other numbers were left behind."""
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    worker: str | None = None
    cancel_asked: bool = False
    progress: bytes | None = None
    saved: bytes | None = None
    listening: Listening | None = None
    result: bytes | None = None
    errors: list[bytes] = []
    keep: float = 0.0


class Worker(Struct):
    """Who has a lease."""

    about: bytes
    lease_until: float


class Batch(Struct):
    """What belongs together, and how far it is."""

    new: NewBatch
    completed: int = 0
    failed: int = 0
    ended_at: float | None = None


class Queue:
    """What of a queue can be claimed: by priority and time what is due, by time what is not yet."""

    def __init__(self) -> None:
        self.due: Due = Due()
        self.later: list[tuple[float, int, UUID]] = []
        self.parked: dict[str | None, list[UUID]] = defaultdict(list)
        self.paused: bool = False
        self.gate: Gate = Gate(Limits())


def fits(job: Job, filter: Filter) -> bool:
    """Tell whether a job is one of those that are meant."""
    wanted = (
        (filter.queue, job.new.queue),
        (filter.task, job.new.task),
        (filter.batch, job.new.batch),
        (filter.group, job.new.group),
    )
    if any(wish is not None and wish != value for wish, value in wanted):
        return False
    return filter.states is None or job.state in filter.states


def is_parked(job: Job) -> bool:
    """Tell whether a job waits for an event that has not come."""
    awaited = job.listening
    is_waiting = awaited is not None and awaited.value is None and awaited.parked == job.attempt
    return is_waiting and job.state is JobState.WAITING


def stored(job: Job) -> StoredJob:
    """Return everything that is known of a job."""
    awaited = job.listening
    return StoredJob(
        id=job.new.id,
        queue=job.new.queue,
        task=job.new.task,
        state=job.state,
        args=job.args,
        version=job.new.version,
        priority=job.new.priority,
        attempt=job.attempt,
        failures=job.failures,
        crashes=job.crashes,
        pushed_at=job.pushed_at,
        due_at=job.due_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        worker=job.worker,
        group=job.new.group,
        batch=job.new.batch,
        timeout=job.new.timeout,
        cancel_asked=job.cancel_asked,
        progress=job.progress,
        result=job.result,
        errors=list(job.errors),
        context=job.new.context,
        flow=job.new.flow,
        saved=job.saved,
        waits_for=awaited.about if awaited is not None and is_parked(job) else None,
    )
