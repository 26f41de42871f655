"""How jobs are pushed: those that are not wanted twice, those of a batch, and what follows a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct, structs

from oxidite.db.connections.steps import Steps
from oxidite.queue.base import JobState, NewBatch, NewJob, Pushed, Unique
from oxidite.queue.stores.sql.rows import codes_of, follows_of, id_of, ids_of
from oxidite.queue.stores.sql.statements import Statements
from oxidite.queue.stores.sql.tables import LATER, PARKED, READY

__all__ = ["Batches", "PushSteps"]

_INSERT = (
    "{ignore} INTO ox_jobs (id, queue, task, state, grade, version, pushed_at, due_at, wake_at, timeout, "
    "keep, grp, batch, ukey, args, context, flow) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?){ignored}"
)
_INSERT_ARRAYS = (
    "INSERT INTO ox_jobs (id, queue, task, state, grade, version, pushed_at, due_at, wake_at, timeout, "
    "keep, grp, batch, ukey, args, context, flow) SELECT id, queue, task, CASE WHEN due <= {now} THEN 0 "
    "ELSE 1 END, grade, version, {now}, due, due, timeout, keep, grp, batch, ukey, args, context, flow "
    "FROM (SELECT *, coalesce(moment, {now} + delay) AS due FROM unnest(:id::uuid[], :queue::text[], "
    ":task::text[], :grade::int[], :version::int[], :delay::float8[], :moment::float8[], "
    ":timeout::float8[], :keep::float8[], :grp::text[], :batch::uuid[], :ukey::bytea[], :args::bytea[], "
    ":context::bytea[], :flow::bytea[]) AS u (id, queue, task, grade, version, delay, moment, timeout, "
    "keep, grp, batch, ukey, args, context, flow)) AS n ON CONFLICT (id) DO NOTHING RETURNING id"
)


class Batches(Struct):
    """What of batches has ended: completed and failed."""

    counts: dict[UUID, list[int]] = {}

    def add(self, id: UUID | None, *, is_completed: bool) -> None:
        """Count a job of a batch, if it is of one."""
        if id is not None:
            self.counts.setdefault(id, [0, 0])[not is_completed] += 1


class PushSteps(Statements):
    """What is done to push."""

    def now(self, *, apart: bool = False) -> Steps[float]:
        """Ask for the time of the database."""
        rows = yield from self._fetched("SELECT {now}", apart=apart)
        return float(rows[0][0])

    def push(self, jobs: Sequence[NewJob], batch: NewBatch | None) -> Steps[list[Pushed]]:
        """Keep jobs."""
        now = yield from self.now()
        if batch is not None:
            yield from self._begin_batch(batch, now)
        return (yield from self._push(jobs, now))

    def push_apart(self, jobs: Sequence[NewJob]) -> Steps[list[Pushed]]:
        """Keep jobs with one statement: none of them is unique."""
        fresh = yield from self._inserted_arrays(jobs, apart=True)
        return [Pushed(job.id, job.id in fresh) for job in jobs]

    def _push(self, jobs: Sequence[NewJob], now: float) -> Steps[list[Pushed]]:
        others: dict[UUID, UUID] = {}
        if any(job.unique is not None for job in jobs):
            jobs, others = yield from self._distinct(jobs, now)
        fresh = yield from self._inserted([job for job in jobs if job.id not in others], now)
        return [Pushed(others.get(job.id, job.id), job.id in fresh) for job in jobs]

    def _inserted(self, jobs: Sequence[NewJob], now: float) -> Steps[set[UUID]]:
        """Insert jobs, and return the ids of those that were not known."""
        if not jobs:
            return set()
        if self._has_arrays:
            return (yield from self._inserted_arrays(jobs))
        known: set[UUID] = set()
        ids = [job.id for job in jobs]
        for start in range(0, len(ids), 500):
            part = ids[start : start + 500]
            rows = yield from self._fetched("SELECT id FROM ox_jobs WHERE id IN :ids", ids=part)
            known.update(id_of(row[0]) for row in rows)
        yield from self._each(_INSERT, [_row(job, now) for job in jobs if job.id not in known])
        return set(ids) - known

    def _inserted_arrays(self, jobs: Sequence[NewJob], *, apart: bool = False) -> Steps[set[UUID]]:
        rows = yield from self._fetched(
            _INSERT_ARRAYS,
            apart=apart,
            id=[job.id for job in jobs],
            queue=[job.queue for job in jobs],
            task=[job.task for job in jobs],
            grade=[-job.priority for job in jobs],
            version=[job.version for job in jobs],
            delay=[job.delay for job in jobs],
            moment=[job.at for job in jobs],
            timeout=[job.timeout for job in jobs],
            keep=[job.keep for job in jobs],
            grp=[job.group for job in jobs],
            batch=[job.batch for job in jobs],
            ukey=[None if job.unique is None else job.unique.key for job in jobs],
            args=[job.args for job in jobs],
            context=[job.context for job in jobs],
            flow=[job.flow for job in jobs],
        )
        return {row[0] for row in rows}

    # Unique jobs

    def _distinct(
        self, jobs: Sequence[NewJob], now: float
    ) -> Steps[tuple[list[NewJob], dict[UUID, UUID]]]:
        """Return the jobs, changed by those that follow, and by their ids the ones in their way."""
        yield from self._lock_keys(sorted({job.unique.key for job in jobs if job.unique}))
        others: dict[UUID, UUID] = {}
        made: dict[UUID, NewJob] = {job.id: job for job in jobs}
        last: dict[bytes, UUID] = {}  # by key, what of these is pushed
        ended = Batches({})
        for job in jobs:
            unique = job.unique
            if unique is None:
                continue
            before = last.get(unique.key)
            if before is not None and JobState.WAITING in unique.states:
                made[before] = _replaced(made[before], job, unique, now)
                others[job.id] = before
            else:
                found = yield from self._in_the_way(job, unique, now)
                if found is None or found == job.id:
                    last[unique.key] = job.id
                    continue
                others[job.id] = found
            ended.add(job.batch, is_completed=True)
        yield from self._count_in_batches(ended.counts, now)
        return [made[job.id] for job in jobs], others

    def _in_the_way(self, job: NewJob, unique: Unique, now: float) -> Steps[UUID | None]:
        states = ", ".join(map(str, codes_of(unique.states)))
        rows = yield from self._fetched(
            "SELECT id, state, queue, grp FROM ox_jobs WHERE ukey = :ukey "  # noqa: S608 - numbers of ours
            f"AND state IN ({states or -1}) AND pushed_at > :since "
            "ORDER BY pushed_at DESC, id DESC LIMIT 1{update}",
            ukey=unique.key,
            since=0.0 if unique.period is None else now - unique.period,
        )
        if not rows:
            return None
        id, state, queue, group = rows[0]
        if unique.conflict != "skip" and state <= PARKED:
            yield from self._replace(id_of(id), job, unique, now)
            if group is not None:
                yield from self._unpark(queue, group, 1)
        return id_of(id)

    def _replace(self, id: UUID, job: NewJob, unique: Unique, now: float) -> Steps[None]:
        if unique.conflict != "replace_time":
            yield from self._changed(
                "UPDATE ox_jobs SET args = :args, version = :version, saved = NULL WHERE id = :id",
                args=job.args,
                version=job.version,
                id=id,
            )
            yield from self._changed("DELETE FROM ox_job_waits WHERE job = :id", id=id)
        if unique.conflict != "replace_args":
            due = _due(job, now)
            yield from self._changed(
                "UPDATE ox_jobs SET due_at = :due, wake_at = :wake, state = :state WHERE id = :id",
                due=due,
                wake=due,
                state=READY if due <= now else LATER,
                id=id,
            )

    def _lock_keys(self, keys: Sequence[bytes]) -> Steps[None]:
        """Let nobody else push jobs of these keys until the transaction has ended."""
        if self._has_arrays:
            numbers = [
                int.from_bytes(blake2b(b"ox_job" + key, digest_size=8).digest(), signed=True)
                for key in keys
            ]
            sql = "SELECT pg_advisory_xact_lock(n) FROM unnest(:numbers::bigint[]) AS n"
            yield from self._fetched(sql, numbers=sorted(numbers))
        elif self._dialect.is_mysql:
            sql = "INSERT INTO ox_job_keys (name) VALUES (?) ON DUPLICATE KEY UPDATE name = name"
            yield from self._each(sql, [(key,) for key in keys])

    # Batches

    def _begin_batch(self, batch: NewBatch, now: float) -> Steps[None]:
        follows = ((*batch.success, *batch.always), (*batch.failure, *batch.always))
        is_new = yield from self._changed(
            "{ignore} INTO ox_job_batches (id, total, about, follows) "
            "VALUES (:id, :total, :about, :follows){ignored}",
            id=batch.id,
            total=batch.total,
            about=batch.about,
            follows=msgspec.msgpack.encode(follows),
        )
        if is_new:
            yield from self._end_batch(batch.id, now)

    def _count_in_batches(self, counts: Mapping[UUID, Sequence[int]], now: float) -> Steps[None]:
        for id in sorted(counts):
            completed, failed = counts[id]
            known = yield from self._changed(
                "UPDATE ox_job_batches SET completed = completed + :completed, "
                "failed = failed + :failed WHERE id = :id AND ended_at IS NULL",
                completed=completed,
                failed=failed,
                id=id,
            )
            if known:
                yield from self._end_batch(id, now)

    def _end_batch(self, id: UUID, now: float) -> Steps[None]:
        has_ended = yield from self._changed(
            "UPDATE ox_job_batches SET ended_at = :now "
            "WHERE id = :id AND ended_at IS NULL AND completed + failed >= total",
            now=now,
            id=id,
        )
        if not has_ended:
            return
        rows = yield from self._fetched(
            "SELECT failed, follows FROM ox_job_batches WHERE id = :id", id=id
        )
        failed, follows = rows[0]
        yield from self._push(follows_of(follows)[bool(failed)], now)

    # Limits

    def _unpark(self, queue: str, group: str, count: int) -> Steps[None]:
        """Let so many jobs of a group that wait for another one to end be claimed."""
        rows = yield from self._fetched(
            "SELECT id FROM ox_jobs WHERE state = 2 AND queue = :queue AND grp = :group "  # noqa: S608 - a number
            f"ORDER BY grade, due_at, id LIMIT {count}{{update}}",
            queue=queue,
            group=group,
        )
        yield from self._changed_of(ids_of(rows), "UPDATE ox_jobs SET state = 0 WHERE id IN :ids")


def _due(job: NewJob, now: float) -> float:
    return now + job.delay if job.at is None else job.at


def _replaced(before: NewJob, job: NewJob, unique: Unique, now: float) -> NewJob:
    if unique.conflict in ("replace", "replace_args"):
        before = structs.replace(before, args=job.args, version=job.version)
    if unique.conflict in ("replace", "replace_time"):
        before = structs.replace(before, at=_due(job, now))
    return before


def _row(job: NewJob, now: float) -> Sequence[Any]:
    due = _due(job, now)
    return (
        job.id.bytes,
        job.queue,
        job.task,
        READY if due <= now else LATER,
        -job.priority,
        job.version,
        now,
        due,
        due,
        job.timeout,
        job.keep,
        job.group,
        None if job.batch is None else job.batch.bytes,
        None if job.unique is None else job.unique.key,
        job.args,
        job.context,
        job.flow,
    )
