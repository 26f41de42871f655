"""From rows to jobs and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from oxidite.queue.base import JobState, NewJob, Ready, StoredJob
from oxidite.queue.stores.sql import tables

__all__ = [
    "READY_COLUMNS",
    "STATES",
    "STORED_COLUMNS",
    "codes_of",
    "errors_of",
    "follows_of",
    "id_of",
    "ids_of",
    "ready_of",
    "stored_of",
    "with_error",
]

_WAITING = (tables.READY, tables.LATER, tables.PARKED)
STATES = {
    **dict.fromkeys(_WAITING, JobState.WAITING),
    tables.RUNNING: JobState.RUNNING,
    tables.COMPLETED: JobState.COMPLETED,
    tables.CANCELLED: JobState.CANCELLED,
    tables.DEAD: JobState.DEAD,
}
READY_COLUMNS = (
    "id, queue, task, args, version, attempt, failures, crashes, grade, timeout, grp, batch, context, "
    "flow, pushed_at, due_at, saved"
)
STORED_COLUMNS = (
    "id, queue, task, args, version, attempt, failures, crashes, grade, timeout, grp, batch, context, "
    "flow, pushed_at, due_at, state, started_at, ended_at, worker, cancel_asked, progress, result, errors, "
    "saved, (SELECT w.about FROM ox_job_waits AS w WHERE w.job = ox_jobs.id AND w.data IS NULL "
    "AND w.parked = ox_jobs.attempt AND ox_jobs.state < 3)"
)
_errors = msgspec.msgpack.Decoder(list[bytes])
_follows = msgspec.msgpack.Decoder(tuple[tuple[NewJob, ...], tuple[NewJob, ...]])


def codes_of(states: frozenset[JobState]) -> list[int]:
    """Return what stands for these states in the column."""
    return [code for code, state in STATES.items() if state in states]


def id_of(value: Any) -> UUID:
    """Return an id as it is stored."""
    return value if isinstance(value, UUID) else UUID(bytes=bytes(value))


def ids_of(rows: Iterable[Sequence[Any]]) -> list[UUID]:
    """Return the ids that rows begin with."""
    return [id_of(row[0]) for row in rows]


def ready_of(row: Sequence[Any], *, attempt: int | None = None) -> Ready:
    """Return a job that was claimed; ``attempt`` if that is another one than in the row."""
    return Ready(
        id=id_of(row[0]),
        queue=row[1],
        task=row[2],
        args=row[3],
        version=row[4],
        attempt=row[5] if attempt is None else attempt,
        failures=row[6],
        crashes=row[7],
        priority=-row[8],
        timeout=row[9],
        group=row[10],
        batch=None if row[11] is None else id_of(row[11]),
        context=row[12],
        flow=row[13],
        pushed_at=row[14],
        due_at=row[15],
        state=row[16],
    )


def stored_of(row: Sequence[Any]) -> StoredJob:
    """Return everything that is known of a job."""
    return StoredJob(
        id=id_of(row[0]),
        queue=row[1],
        task=row[2],
        args=row[3],
        version=row[4],
        attempt=row[5],
        failures=row[6],
        crashes=row[7],
        priority=-row[8],
        timeout=row[9],
        group=row[10],
        batch=None if row[11] is None else id_of(row[11]),
        context=row[12],
        flow=row[13],
        pushed_at=row[14],
        due_at=row[15],
        state=STATES[row[16]],
        started_at=row[17],
        ended_at=row[18],
        worker=row[19],
        cancel_asked=bool(row[20]),
        progress=row[21],
        result=row[22],
        errors=errors_of(row[23]),
        saved=row[24],
        waits_for=row[25],
    )


def errors_of(data: bytes | None) -> list[bytes]:
    """Return the errors of a job."""
    return [] if data is None else _errors.decode(data)


def with_error(data: bytes | None, error: bytes, most: int) -> bytes:
    """Return the errors of a job with one more."""
    return msgspec.msgpack.encode([*errors_of(data), error][-most:])


def follows_of(data: bytes) -> tuple[tuple[NewJob, ...], tuple[NewJob, ...]]:
    """Return what is pushed when a batch has ended: all well, or not."""
    return _follows.decode(data)
