"""Jobs as Redis has them: a head that scripts read, and what they hand on as it is."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import TypeAlias, cast
from uuid import UUID

import msgspec
from msgspec import Struct

from oxidite.drivers.redis import Argument
from oxidite.queue.base import (
    BatchState,
    Count,
    Filter,
    JobState,
    Limits,
    NewBatch,
    NewJob,
    Outcome,
    QueueState,
    Ready,
    Schedule,
    StoredJob,
    TaskMinute,
)

__all__ = [
    "LETTERS",
    "arguments_of",
    "batch_arguments",
    "batch_state",
    "counts",
    "filter_argument",
    "limit_arguments",
    "minutes",
    "outcome_arguments",
    "queue_states",
    "ready",
    "schedule",
    "stored",
]

Row: TypeAlias = "Sequence[bytes | None]"

LETTERS = {
    JobState.WAITING: "w",
    JobState.RUNNING: "r",
    JobState.COMPLETED: "c",
    JobState.CANCELLED: "x",
    JobState.DEAD: "d",
}
_STATES = {letter.encode(): state for state, letter in LETTERS.items()}
_KINDS = {
    "completed": "c",
    "retry": "R",
    "snooze": "S",
    "returned": "B",
    "cancelled": "x",
    "dead": "d",
}
_STATISTICS = struct.Struct(">dddddd")
_due_of = struct.Struct(">d").unpack_from
_pack = msgspec.msgpack.Encoder().encode


class _Head(Struct, frozen=True, array_like=True):
    """What scripts read of a job: numbers and texts only, as Lua has no others."""

    id: str
    queue: str
    task: str
    priority: int
    delay: float
    at: float | None
    keep: float
    group: str | None
    batch: str | None
    unique: str | None
    states: str | None
    period: float | None
    conflict: str | None


class _Body(Struct, frozen=True, array_like=True):
    """What no script reads."""

    version: int
    timeout: float
    context: bytes
    flow: bytes


_head_of = msgspec.msgpack.Decoder(_Head).decode
_body_of = msgspec.msgpack.Decoder(_Body).decode


def arguments_of(jobs: Iterable[NewJob]) -> list[Argument]:
    """Return jobs as scripts take them: three parts of each."""
    parts: list[Argument] = []
    for job in jobs:
        unique = job.unique
        head = _Head(
            job.id.hex,
            job.queue,
            job.task,
            job.priority,
            job.delay,
            job.at,
            job.keep,
            job.group,
            None if job.batch is None else job.batch.hex,
            None if unique is None else unique.key.hex(),
            None if unique is None else "".join(LETTERS[each] for each in unique.states),
            None if unique is None else unique.period,
            None if unique is None else unique.conflict,
        )
        body = _Body(job.version, job.timeout, job.context, job.flow)
        parts += (_pack(head), job.args, _pack(body))
    return parts


def version_argument(version: int | None) -> Argument:
    """Return a version as the body of a job has it; empty for none."""
    return b"" if version is None else _pack(version)


def outcome_arguments(outcomes: Iterable[Outcome]) -> list[Argument]:
    """Return outcomes as a script takes them, with the jobs that follow."""
    parts: list[Argument] = []
    for each in outcomes:
        said = (
            each.id.hex,
            each.attempt,
            _KINDS[each.kind],
            each.delay,
            each.seconds,
            each.result is not None,
            each.error is not None,
            each.keep,
            len(each.then),
            each.waits,
        )
        parts += (_pack(said), each.result or b"", each.error or b"")
        if each.then:
            parts += arguments_of(each.then)
    return parts


def batch_arguments(batch: NewBatch) -> list[Argument]:
    """Return a batch as a script takes it."""
    parts: list[Argument] = [batch.id.hex, batch.total, batch.about]
    for jobs in (batch.success, batch.failure, batch.always):
        parts += (len(jobs), *arguments_of(jobs))
    return parts


def filter_argument(filter: Filter) -> bytes:
    """Return a filter as scripts read it; of its ids they are told otherwise."""
    states = filter.states
    letters = None if states is None else "".join(LETTERS[each] for each in states)
    batch = None if filter.batch is None else filter.batch.hex
    return _pack((filter.queue, filter.task, batch, filter.group, letters))


def limit_arguments(limits: Limits) -> list[Argument]:
    """Return limits as a script takes them, and as they are read again."""
    rate, each_rate = limits.rate, limits.each_rate
    values = (
        limits.running,
        *((rate.count, rate.per) if rate else (None, None)),
        limits.each,
        *((each_rate.count, each_rate.per) if each_rate else (None, None)),
    )
    said = ("" if each is None else repr(each) for each in values)
    return [_pack(limits), *said, int(limits.fair)]


READY = 9
"""The parts of a job that was claimed."""


def parts_of(message: bytes) -> list[bytes | None]:
    """Return what a script has framed: each part after its length, and a dash for none."""
    parts: list[bytes | None] = []
    at = 0
    while at < len(message):
        if message[at : at + 1] == b"-":
            parts.append(None)
            at += 1
            continue
        colon = message.index(b":", at)
        end = colon + 1 + int(message[at:colon])
        parts.append(message[colon + 1 : end])
        at = end
    return parts


def ready(row: Row) -> Ready:
    """Return a job that was claimed."""
    packed, args, body, pushed, place, attempt, failures, crashes, saved = row
    head, rest = _head_of(packed or b""), _body_of(body or b"")
    (due,) = _due_of(place or b"")
    return Ready(
        id=UUID(head.id),
        queue=head.queue,
        task=head.task,
        args=args or b"",
        version=rest.version,
        attempt=_int(attempt),
        failures=_int(failures),
        crashes=_int(crashes),
        priority=head.priority,
        timeout=rest.timeout,
        group=head.group,
        batch=_uuid(head.batch),
        context=rest.context,
        flow=rest.flow,
        pushed_at=float(pushed or 0),
        due_at=due,
        state=saved,
    )


def stored(row: Row) -> StoredJob:
    """Return everything that is known of a job."""
    packed, state, args, body, attempt, failures, crashes, pushed, place = row[:9]
    started, ended, worker, cancel, progress, result, saved, waits_for = row[9:17]
    head, rest = _head_of(packed or b""), _body_of(body or b"")
    (due,) = _due_of(place or b"")
    return StoredJob(
        id=UUID(head.id),
        queue=head.queue,
        task=head.task,
        state=_STATES[state or b""],
        args=args or b"",
        version=rest.version,
        priority=head.priority,
        attempt=_int(attempt),
        failures=_int(failures),
        crashes=_int(crashes),
        pushed_at=float(pushed or 0),
        due_at=due,
        started_at=_float(started),
        ended_at=_float(ended),
        worker=None if worker is None else worker.decode(),
        group=head.group,
        batch=_uuid(head.batch),
        timeout=rest.timeout,
        cancel_asked=cancel is not None,
        progress=progress,
        result=result,
        errors=cast("list[bytes]", row[17]),
        context=rest.context,
        flow=rest.flow,
        saved=saved,
        waits_for=waits_for,
    )


def counts(pairs: Sequence[bytes | int]) -> list[Count]:
    """Return counts by queue, task and state: of each its field, and how many."""
    found = []
    for field, many in zip(pairs[::2], pairs[1::2], strict=True):
        queue, rest = _two(cast("bytes", field))
        found.append(Count(queue, rest[:-1].decode(), _STATES[rest[-1:]], int(many)))
    return sorted(found, key=lambda each: (each.queue, each.task, each.state))


def queue_states(pairs: Sequence[bytes], rows: Sequence[Sequence[object]]) -> list[QueueState]:
    """Return queues, of the counts and of what is known of each."""
    by_queue: dict[str, dict[JobState, int]] = {}
    for each in counts(pairs):
        states = by_queue.setdefault(each.queue, {})
        states[each.state] = states.get(each.state, 0) + each.count
    found = []
    for name, paused, packed, oldest in cast("list[tuple[bytes, int, bytes | None, bytes]]", rows):
        queue = name.decode()
        limits = msgspec.msgpack.decode(packed, type=Limits) if packed else Limits()
        states = by_queue.get(queue, {})
        found.append(QueueState(queue, paused == 1, limits, states, float(oldest)))
    return sorted(found, key=lambda each: each.name)


def minutes(minute: float, pairs: Sequence[bytes]) -> list[TaskMinute]:
    """Return the statistics of a minute."""
    found = []
    for field, packed in zip(pairs[::2], pairs[1::2], strict=True):
        queue, task = _two(field)
        completed, retried, dead, seconds, slowest, waited = _STATISTICS.unpack(packed)
        numbers = (int(completed), int(retried), int(dead), seconds, slowest, waited)
        found.append(TaskMinute(minute, queue, task.decode(), *numbers))
    return sorted(found, key=lambda each: (each.queue, each.task))


def batch_state(id: UUID, row: Row) -> BatchState | None:
    """Return how far a batch is, if there is one."""
    total, completed, failed, about, ended = row
    if total is None:
        return None
    return BatchState(id, int(total), _int(completed), _int(failed), about or b"", _float(ended))


def schedule(name: bytes, row: Row) -> Schedule | None:
    """Return a schedule, if it is still there."""
    plan, origin, enabled, since, last = row
    if plan is None:
        return None
    return Schedule(
        name=name.decode(),
        plan=plan,
        origin="code" if origin == b"code" else "run_time",
        enabled=enabled == b"1",
        since=float(since or 0),
        last=_float(last),
    )


def _two(field: bytes) -> tuple[str, bytes]:
    """Return what was made one: the first name, and the rest."""
    length, _, rest = field.partition(b":")
    return rest[: int(length)].decode(), rest[int(length) :]


def _int(raw: bytes | None) -> int:
    return int(raw or 0)


def _float(raw: bytes | None) -> float | None:
    return None if raw is None else float(raw)


def _uuid(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)
