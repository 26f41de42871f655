"""What is done for workers: leases, outcomes, and what becomes of the jobs of one that is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from oxidite.db.connections.steps import Steps, changed
from oxidite.queue.base import Asked, Claim, NewJob, Outcome, OutcomeKind, Ready
from oxidite.queue.stores.sql.claiming import NO_SETTING, ClaimSteps, Setting
from oxidite.queue.stores.sql.pushing import Batches
from oxidite.queue.stores.sql.rows import READY_COLUMNS, id_of, ids_of, ready_of, with_error
from oxidite.queue.stores.sql.tables import (
    CANCELLED,
    COMPLETED,
    DEAD,
    LATER,
    READY,
    RUNNING,
)

__all__ = ["ENDS", "WorkSteps"]

_ERRORS = 10  # of one job that are kept
ENDS: dict[OutcomeKind, int] = {"completed": COMPLETED, "cancelled": CANCELLED, "dead": DEAD}
_COLUMNS = "id, attempt, queue, task, grp, batch, due_at, waited, keep, cancel_asked, failures, crashes, errors"
_CHANGE = (
    "UPDATE ox_jobs SET state = ?, failures = ?, crashes = ?, due_at = ?, wake_at = ?, ended_at = ?, "
    "expires = ?, result = ?, errors = ?, worker = NULL, cancel_asked = 0 WHERE id = ?"
)
_CHANGE_ARRAYS = (
    "UPDATE ox_jobs AS j SET state = u.state, failures = u.failures, crashes = u.crashes, "
    "due_at = u.due_at, wake_at = u.due_at, ended_at = u.ended_at, expires = u.expires, "
    "result = u.result, errors = u.errors, worker = NULL, cancel_asked = 0 "
    "FROM unnest(:state::int[], :failures::int[], :crashes::int[], :due_at::float8[], "
    ":ended_at::float8[], :expires::float8[], :result::bytea[], :errors::bytea[], :id::uuid[]) "
    "AS u (state, failures, crashes, due_at, ended_at, expires, result, errors, id) WHERE j.id = u.id"
)
_MINUTE = (
    "INSERT INTO ox_job_minutes (minute, queue, task, shard, completed, retried, dead, seconds, slowest, "
    "waited) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
)
_MINUTE_OVER = (
    "ON CONFLICT (minute, queue, task, shard) DO UPDATE SET "
    "completed = ox_job_minutes.completed + excluded.completed, "
    "retried = ox_job_minutes.retried + excluded.retried, dead = ox_job_minutes.dead + excluded.dead, "
    "seconds = ox_job_minutes.seconds + excluded.seconds, "
    "slowest = CASE WHEN ox_job_minutes.slowest > excluded.slowest THEN ox_job_minutes.slowest "
    "ELSE excluded.slowest END, waited = ox_job_minutes.waited + excluded.waited"
)
_MINUTE_OVER_MYSQL = (
    "ON DUPLICATE KEY UPDATE completed = completed + VALUES(completed), "
    "retried = retried + VALUES(retried), dead = dead + VALUES(dead), "
    "seconds = seconds + VALUES(seconds), slowest = GREATEST(slowest, VALUES(slowest)), "
    "waited = waited + VALUES(waited)"
)
_MINUTE_ARRAYS = (
    "INSERT INTO ox_job_minutes (minute, queue, task, shard, completed, retried, dead, seconds, slowest, "
    "waited) SELECT * FROM unnest(:minute::float8[], :queue::text[], :task::text[], :shard::int[], "
    ":completed::int[], :retried::int[], :dead::int[], :seconds::float8[], :slowest::float8[], "
    ":waited::float8[]) "
)


class _Running(Struct):
    """A job that is running, and what is to become of it."""

    id: UUID
    attempt: int
    queue: str
    task: str
    group: str | None
    batch: UUID | None
    due_at: float
    waited: float
    keep: float
    cancel_asked: int
    failures: int
    crashes: int
    errors: bytes | None
    state: int = RUNNING
    ended_at: float | None = None
    result: bytes | None = None
    goes_on: bool = False
    """Whether another job of its batch stands for it from now on."""

    def end(self, state: int, now: float) -> None:
        """Let it have ended."""
        self.state, self.ended_at = state, now

    def wait(self, due: float, now: float) -> None:
        """Let it wait again, unless it is to be cancelled."""
        if self.cancel_asked:
            self.end(CANCELLED, now)
        else:
            self.due_at, self.state = due, READY if due <= now else LATER


_new: Any = _Running  # Any: a row has what its columns say


def _running(row: Sequence[Any]) -> _Running:
    batch = None if row[5] is None else id_of(row[5])
    job: _Running = _new(id_of(row[0]), *row[1:5], batch, *row[6:])
    return job


class WorkSteps(ClaimSteps):
    """What is done for workers. ``shard`` is where this process counts."""

    shard: int = 0

    def enter(self, worker: str, about: bytes, lease: float) -> Steps[None]:
        """Make a worker known."""
        yield from self._changed("DELETE FROM ox_job_workers WHERE name = :worker", worker=worker)
        yield from self._changed(
            "INSERT INTO ox_job_workers (name, about, lease_until) VALUES (:worker, :about, {now} + :lease)",
            worker=worker,
            about=about,
            lease=lease,
        )

    def beat(self, worker: str, lease: float) -> Steps[Asked]:
        """Prolong a lease."""
        # Apart: nobody whose network is gone must keep the row locked, in which others would wait for him.
        is_known = yield from self._changed(
            "UPDATE ox_job_workers SET lease_until = {now} + :lease "
            "WHERE name = :worker AND lease_until > {now}",
            lease=lease,
            worker=worker,
            apart=True,
        )
        if not is_known:
            return Asked([], [], lost=True)
        asked = yield from self._fetched(
            "SELECT id FROM ox_jobs WHERE worker = :worker AND state = 3 AND cancel_asked = 1",
            worker=worker,
        )
        paused = yield from self._fetched("SELECT name FROM ox_job_queues WHERE paused = 1")
        return Asked(ids_of(asked), [row[0] for row in paused])

    def exit(self, worker: str) -> Steps[None]:
        """Forget a worker."""
        now = yield from self.now()
        settings = yield from self.settings()
        rows = yield from self._fetched(
            f"SELECT {_COLUMNS} FROM ox_jobs WHERE worker = :worker AND state = 3{{update}}",  # noqa: S608 - ours
            worker=worker,
        )
        jobs = [_running(row) for row in rows]
        for job in jobs:
            job.wait(job.due_at, now)
        yield from self._settle(jobs, now, settings)
        yield from self._changed("DELETE FROM ox_job_workers WHERE name = :worker", worker=worker)

    def rescue(self, poison: int) -> Steps[int]:
        """Have the jobs of lost workers run again."""
        now = yield from self.now()
        settings = yield from self.settings()
        # Also of one that is not known: it had claimed while it was being forgotten.
        rows = yield from self._fetched(
            f"SELECT {_COLUMNS} FROM ox_jobs WHERE state = 3 AND worker NOT IN "  # noqa: S608 - ours
            "(SELECT name FROM ox_job_workers WHERE lease_until > :now) ORDER BY id{claim}",
            now=now,
        )
        jobs = [_running(row) for row in rows]
        for job in jobs:
            job.crashes += 1
            if job.crashes >= poison:
                job.end(DEAD, now)
            else:
                job.wait(job.due_at, now)
        yield from self._settle(jobs, now, settings)
        # Those that somebody has locked, and has not let go of, are forgotten another time.
        gone = yield from self._fetched(
            "SELECT name FROM ox_job_workers WHERE lease_until <= :now ORDER BY name{claim}",
            now=now,
        )
        for (name,) in gone:
            yield from self._changed("DELETE FROM ox_job_workers WHERE name = :worker", worker=name)
        return len(jobs)

    # The exchange

    def exchange(
        self, worker: str, outcomes: Sequence[Outcome], queues: Sequence[str], limit: int
    ) -> Steps[Claim]:
        """Take over outcomes and claim jobs."""
        now, is_live = yield from self._begin(worker)
        settings = yield from self.settings()
        refused: list[UUID] = []
        if outcomes:
            refused = yield from self._take_over(outcomes, now, settings)
        jobs: list[Ready] = []
        for queue in queues if is_live else ():
            if len(jobs) < limit:
                setting = settings.get(queue, NO_SETTING)
                jobs += yield from self._claim(worker, queue, limit - len(jobs), now, setting)
        return Claim(jobs, refused)

    def claimed_before(self, worker: str) -> Steps[list[Ready]]:
        """Return what a worker has claimed, as the store knows it."""
        rows = yield from self._fetched(
            f"SELECT {READY_COLUMNS} FROM ox_jobs WHERE worker = :worker AND state = 3",  # noqa: S608 - ours
            apart=True,
            worker=worker,
        )
        return [ready_of(row) for row in rows]

    def _begin(self, worker: str) -> Steps[tuple[float, bool]]:
        """Return the time, and whether a worker has a lease."""
        rows = yield from self._fetched(
            "SELECT {now}, (SELECT lease_until FROM ox_job_workers WHERE name = :worker)",
            worker=worker,
        )
        now, until = rows[0]
        return now, until is not None and until > now

    def _take_over(
        self, outcomes: Sequence[Outcome], now: float, settings: Mapping[str, Setting]
    ) -> Steps[list[UUID]]:
        """Let outcomes count that are of the attempt that runs; return the ids of the others."""
        jobs = yield from self._those_that_run([outcome.id for outcome in outcomes])
        refused: list[UUID] = []
        counted: dict[UUID, tuple[_Running, Outcome]] = {}
        for outcome in outcomes:
            job = jobs.get(outcome.id)
            if job is None or job.attempt != outcome.attempt or outcome.id in counted:
                refused.append(outcome.id)
                continue
            _apply(job, outcome, now)
            counted[job.id] = job, outcome
        if counted:
            yield from self._settle([job for job, _ in counted.values()], now, settings)
            yield from self._count(counted.values(), now)
            yield from self._park([outcome for _, outcome in counted.values()], now)
            then: list[NewJob] = [
                each
                for job, outcome in counted.values()
                if job.state != CANCELLED
                for each in outcome.then
            ]
            yield from self._push(then, now)
        return refused

    # `state + 0`, as jobs are to be found by their ids and not among all that run.
    def _those_that_run(self, ids: Sequence[UUID]) -> Steps[dict[UUID, _Running]]:
        rows = yield from self._fetched(
            f"SELECT {_COLUMNS} FROM ox_jobs WHERE id IN :ids AND state + 0 = 3 ORDER BY id{{update}}",  # noqa: S608 - ours
            ids=list(ids),
        )
        jobs = [_running(row) for row in rows]
        return {job.id: job for job in jobs}

    def _settle(
        self, jobs: Sequence[_Running], now: float, settings: Mapping[str, Setting]
    ) -> Steps[None]:
        """Store what has become of jobs that ran, and let go on what waited for it."""
        gone = [job.id for job in jobs if job.ended_at is not None and not job.keep]
        yield from self._changed_of(gone, "DELETE FROM ox_jobs WHERE id IN :ids")
        left = [job for job in jobs if job.ended_at is None or job.keep]
        if left:
            yield from self._store(left)
        batches = Batches({})
        for job in jobs:
            if job.ended_at is not None and not job.goes_on:
                batches.add(job.batch, is_completed=job.state == COMPLETED)
        yield from self._count_in_batches(batches.counts, now)
        freed = Counter((job.queue, job.group) for job in jobs if job.group is not None)
        for (queue, group), count in sorted(freed.items()):
            if settings.get(queue, NO_SETTING).parks and group is not None:
                yield from self._unpark(queue, group, count)

    def _store(self, jobs: Sequence[_Running]) -> Steps[None]:
        if not self._has_arrays:
            yield from self._each(_CHANGE, [_changes(job) for job in jobs])
            return
        yield from self._changed(
            _CHANGE_ARRAYS,
            state=[job.state for job in jobs],
            failures=[job.failures for job in jobs],
            crashes=[job.crashes for job in jobs],
            due_at=[job.due_at for job in jobs],
            ended_at=[job.ended_at for job in jobs],
            expires=[_expires(job) for job in jobs],
            result=[job.result for job in jobs],
            errors=[job.errors for job in jobs],
            id=[job.id for job in jobs],
        )

    def _count(self, counted: Iterable[tuple[_Running, Outcome]], now: float) -> Steps[None]:
        """Add to the statistics, by task."""
        sums: dict[tuple[str, str], list[float]] = {}
        for job, outcome in counted:
            if outcome.kind in ("snooze", "returned"):
                continue
            of = sums.setdefault((job.queue, job.task), [0, 0, 0, 0.0, 0.0, 0.0])
            of[0] += outcome.kind == "completed"
            of[1] += outcome.kind == "retry"
            of[2] += outcome.kind == "dead"
            of[3] += outcome.seconds
            of[4] = max(of[4], outcome.seconds)
            of[5] += max(job.waited, 0.0)
        minute = now // 60 * 60
        rows = [(minute, *key, self.shard, *sums[key]) for key in sorted(sums)]
        if not rows:
            return
        if not self._has_arrays:
            over = _MINUTE_OVER_MYSQL if self._dialect.is_mysql else _MINUTE_OVER
            for row in rows:
                yield from changed(_MINUTE + over, row)
            return
        names = [
            "minute",
            "queue",
            "task",
            "shard",
            "completed",
            "retried",
            "dead",
            "seconds",
            "slowest",
            "waited",
        ]
        columns: list[Any] = [list(column) for column in zip(*rows, strict=True)]  # of any type
        yield from self._changed(
            _MINUTE_ARRAYS + _MINUTE_OVER, **dict(zip(names, columns, strict=True))
        )

    def save(
        self, id: UUID, attempt: int, progress: bytes | None, state: bytes | None
    ) -> Steps[bool]:
        """Keep how far a job is."""
        count = yield from self._changed(
            "UPDATE ox_jobs SET progress = COALESCE(:progress, progress), saved = COALESCE(:saved, saved) "
            "WHERE id = :id AND attempt = :attempt AND state + 0 = 3",
            progress=progress,
            saved=state,
            id=id,
            attempt=attempt,
            apart=True,
        )
        return bool(count)


def _apply(job: _Running, outcome: Outcome, now: float) -> None:
    if outcome.error is not None:
        job.errors = with_error(job.errors, outcome.error, _ERRORS)
    job.failures += outcome.kind in ("retry", "dead")
    state = ENDS.get(outcome.kind)
    if state is None:
        job.wait(now + outcome.delay, now)
        return
    if job.cancel_asked and outcome.then:
        # It was too late for this job, and not for what follows it.
        job.end(CANCELLED, now)
        return
    job.result = outcome.result
    job.goes_on = any(each.batch == job.batch for each in outcome.then)
    job.keep = job.keep if outcome.keep is None else outcome.keep
    job.end(state, now)


def _expires(job: _Running) -> float | None:
    return None if job.ended_at is None else job.ended_at + job.keep


def _changes(job: _Running) -> Sequence[object]:
    return (
        job.state,
        job.failures,
        job.crashes,
        job.due_at,
        job.due_at,
        job.ended_at,
        _expires(job),
        job.result,
        job.errors,
        job.id.bytes,
    )
