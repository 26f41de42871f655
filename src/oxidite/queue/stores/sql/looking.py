"""How people see jobs and queues, and change them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from oxidite.db.connections.steps import Steps
from oxidite.queue.base import (
    BatchState,
    Count,
    Filter,
    JobState,
    Limits,
    QueueState,
    StoredJob,
    TaskMinute,
    WorkerState,
)
from oxidite.queue.stores.sql.claiming import NO_SETTING
from oxidite.queue.stores.sql.pushing import Batches
from oxidite.queue.stores.sql.rows import STATES, STORED_COLUMNS, codes_of, id_of, ids_of, stored_of
from oxidite.queue.stores.sql.tables import COMPLETED
from oxidite.queue.stores.sql.working import WorkSteps

__all__ = ["LookSteps"]

_PAGE = 500
_MINUTES = 86_400.0
"""Seconds that statistics are kept."""
_BATCHES = 7 * 86_400.0
"""Seconds that a batch is known after it has ended."""


class LookSteps(WorkSteps):
    """What is done for people."""

    def get(self, ids: Sequence[UUID]) -> Steps[dict[UUID, StoredJob]]:
        """Return jobs by id."""
        rows = yield from self._fetched(
            f"SELECT {STORED_COLUMNS} FROM ox_jobs WHERE id IN :ids",  # noqa: S608 - ours
            apart=True,
            ids=list(ids),
        )
        found = map(stored_of, rows)
        return {job.id: job for job in found}

    def ended(self, ids: Sequence[UUID]) -> Steps[dict[UUID, StoredJob]]:
        """Return those that have ended, by id."""
        rows = yield from self._fetched(
            f"SELECT {STORED_COLUMNS} FROM ox_jobs WHERE id IN :ids AND state > 3",  # noqa: S608 - ours
            apart=True,
            ids=list(ids),
        )
        found = map(stored_of, rows)
        return {job.id: job for job in found}

    def page(self, filter: Filter, before: UUID | None) -> Steps[list[StoredJob]]:
        """Return the next jobs, from the newest on."""
        where, values = _where(filter)
        if before is not None:
            where, values = f"{where} AND id < :before", {**values, "before": before}
        rows = yield from self._fetched(
            f"SELECT {STORED_COLUMNS} FROM ox_jobs WHERE {where} "  # noqa: S608 - ours
            f"ORDER BY id DESC LIMIT {_PAGE}",
            apart=True,
            **values,
        )
        return [stored_of(row) for row in rows]

    def counts(self, filter: Filter) -> Steps[list[Count]]:
        """Count jobs."""
        where, values = _where(filter)
        rows = yield from self._fetched(
            f"SELECT queue, task, state, COUNT(*) FROM ox_jobs WHERE {where} "  # noqa: S608 - ours
            "GROUP BY queue, task, state",
            apart=True,
            **values,
        )
        counts: dict[tuple[str, str, JobState], int] = defaultdict(int)
        for queue, task, state, count in rows:
            counts[queue, task, STATES[state]] += count
        return [Count(*key, counts[key]) for key in sorted(counts)]

    def cancel(self, filter: Filter) -> Steps[int]:
        """Cancel jobs."""
        now = yield from self.now()
        settings = yield from self.settings()
        where, values = _where(filter)
        cancelled = 0
        while True:
            rows = yield from self._fetched(
                f"SELECT id, batch, keep, queue FROM ox_jobs WHERE {where} AND state < 3 "  # noqa: S608 - ours
                f"ORDER BY id LIMIT {_PAGE}{{update}}",
                **values,
            )
            if not rows:
                break
            cancelled += len(rows)
            gone = [row for row in rows if not row[2]]
            yield from self._changed_of(ids_of(gone), "DELETE FROM ox_jobs WHERE id IN :ids")
            yield from self._changed_of(
                [id_of(row[0]) for row in rows if row[2]],
                "UPDATE ox_jobs SET state = 5, ended_at = :now, expires = :now + keep WHERE id IN :ids",
                now=now,
            )
            yield from self._left([row[1] for row in rows], now)
            for queue in sorted({row[3] for row in rows}):
                if settings.get(queue, NO_SETTING).parks:
                    yield from self._unpark_all(queue)
        cancelled += yield from self._changed(
            f"UPDATE ox_jobs SET cancel_asked = 1 WHERE {where} AND state = 3 AND cancel_asked = 0",  # noqa: S608 - ours
            **values,
        )
        return cancelled

    def retry(
        self,
        filter: Filter,
        *,
        args: bytes | None,
        version: int | None,
        saved: bytes | None,
        attempt: int | None,
    ) -> Steps[int]:
        """Let jobs run again."""
        now = yield from self.now()
        where, values = _where(filter)
        if attempt is not None:
            where, values = f"{where} AND attempt = :attempt", {**values, "attempt": attempt}
        is_new = args is not None or saved is not None
        if is_new:
            yield from self._unlisten(f"{where} AND state <> 3", values)
        yield from self._uncount(where, values)
        return (
            yield from self._changed(
                "UPDATE ox_jobs SET state = 0, due_at = :now, wake_at = :now, failures = 0, "  # noqa: S608 - ours
                "crashes = 0, ended_at = NULL, expires = NULL, result = NULL, progress = NULL, "
                "args = COALESCE(:args, args), "
                # What was saved with other arguments is of no use.
                "saved = CASE WHEN :is_new = 1 THEN :saved ELSE saved END, "
                f"version = COALESCE(:version, version) WHERE {where} AND state <> 3",
                now=now,
                args=args,
                version=version,
                is_new=int(is_new),
                saved=saved,
                **values,
            )
        )

    def _uncount(self, where: str, values: Mapping[str, Any]) -> Steps[None]:
        """Have batches that have not ended wait again for jobs that had; Any, as values are of any column."""
        rows = yield from self._fetched(
            f"SELECT batch, state FROM ox_jobs WHERE {where} AND state > 3 AND batch IN "  # noqa: S608 - ours
            "(SELECT id FROM ox_job_batches WHERE ended_at IS NULL) "
            # One that another job stands for was not counted.
            f"AND (state <> {COMPLETED} OR LENGTH(flow) = 0) ORDER BY id{{update}}",
            **values,
        )
        counts = Batches({})
        for batch, state in rows:
            counts.add(id_of(batch), is_completed=state == COMPLETED)
        for id in sorted(counts.counts):
            completed, failed = counts.counts[id]
            yield from self._changed(
                "UPDATE ox_job_batches SET completed = completed - :completed, failed = failed - :failed "
                "WHERE id = :id AND ended_at IS NULL",
                completed=completed,
                failed=failed,
                id=id,
            )

    def delete(self, filter: Filter) -> Steps[int]:
        """Forget jobs."""
        now = yield from self.now()
        settings = yield from self.settings()
        where, values = _where(filter)
        deleted = 0
        while True:
            rows = yield from self._fetched(
                f"SELECT id, batch, state, queue FROM ox_jobs WHERE {where} AND state <> 3 "  # noqa: S608 - ours
                f"ORDER BY id LIMIT {_PAGE}{{update}}",
                **values,
            )
            if not rows:
                return deleted
            deleted += len(rows)
            yield from self._changed_of(ids_of(rows), "DELETE FROM ox_jobs WHERE id IN :ids")
            waiting = [row for row in rows if STATES[row[2]] is JobState.WAITING]
            yield from self._left([row[1] for row in waiting], now)
            for queue in sorted({row[3] for row in waiting}):
                if settings.get(queue, NO_SETTING).parks:
                    yield from self._unpark_all(queue)

    def _left(self, batches: Sequence[object], now: float) -> Steps[None]:
        """Count jobs of batches that will not run."""
        counts = Batches({})
        for batch in batches:
            counts.add(None if batch is None else id_of(batch), is_completed=False)
        yield from self._count_in_batches(counts.counts, now)

    def _unpark_all(self, queue: str) -> Steps[None]:
        """Let all be looked at again that wait for another one."""
        yield from self._changed(
            "UPDATE ox_jobs SET state = 0 WHERE state = 2 AND queue = :queue", queue=queue
        )

    def prune(self) -> Steps[int]:
        """Forget some jobs that were kept long enough."""
        rows = yield from self._fetched(
            "SELECT id FROM ox_jobs WHERE expires <= {now} "  # noqa: S608 - a number
            f"ORDER BY expires LIMIT {_PAGE}{{claim}}"
        )
        return (yield from self._changed_of(ids_of(rows), "DELETE FROM ox_jobs WHERE id IN :ids"))

    def prune_rest(self) -> Steps[None]:
        """Forget what else is old."""
        yield from self._forget_events()
        for sql, age in (
            ("DELETE FROM ox_job_minutes WHERE minute < {now} - :age", _MINUTES),
            ("DELETE FROM ox_job_batches WHERE ended_at < {now} - :age", _BATCHES),
            ("DELETE FROM ox_job_rates WHERE full_at < {now} - :age", 0.0),
            ("DELETE FROM ox_job_roles WHERE lease_until < {now} - :age", _MINUTES),
        ):
            yield from self._changed(sql, age=age)
        if self._dialect.is_mysql:
            yield from self._changed(
                "DELETE FROM ox_job_keys WHERE name NOT IN "
                "(SELECT ukey FROM ox_jobs WHERE ukey IS NOT NULL)"
            )

    # Queues

    def queues(self) -> Steps[list[QueueState]]:
        """Return the queues."""
        now = yield from self.now(apart=True)
        settings = yield from self.settings()
        rows = yield from self._fetched(
            "SELECT queue, state, COUNT(*), MIN(due_at) FROM ox_jobs GROUP BY queue, state"
        )
        counts: dict[str, dict[JobState, int]] = {name: {} for name in settings}
        oldest: dict[str, float] = {}
        for queue, code, count, due in rows:
            state = STATES[code]
            of = counts.setdefault(queue, {})
            of[state] = of.get(state, 0) + count
            if state is JobState.WAITING:
                oldest[queue] = max(oldest.get(queue, 0.0), now - due)
        return [
            QueueState(
                name,
                settings.get(name, NO_SETTING).is_paused,
                settings.get(name, NO_SETTING).limits or Limits(),
                counts[name],
                oldest.get(name, 0.0),
            )
            for name in sorted(counts)
        ]

    def pause(self, queue: str, *, paused: bool) -> Steps[None]:
        """Pause a queue, or let it go on."""
        yield from self._know_queue(queue)
        yield from self._changed(
            "UPDATE ox_job_queues SET paused = :paused WHERE name = :queue",
            paused=int(paused),
            queue=queue,
        )

    def limit(self, queue: str, limits: Limits) -> Steps[None]:
        """Set what a queue allows."""
        yield from self._know_queue(queue)
        yield from self._changed(
            "UPDATE ox_job_queues SET limits = :limits WHERE name = :queue",
            limits=None if limits == Limits() else msgspec.msgpack.encode(limits),
            queue=queue,
        )
        # What was put off by the limits of before is looked at by the new ones.
        yield from self._unpark_all(queue)
        yield from self._changed(
            "UPDATE ox_jobs SET wake_at = due_at WHERE state = 1 AND queue = :queue AND wake_at > due_at",
            queue=queue,
        )
        yield from self._changed("DELETE FROM ox_job_rates WHERE queue = :queue", queue=queue)

    def _know_queue(self, queue: str) -> Steps[None]:
        yield from self._changed(
            "{ignore} INTO ox_job_queues (name) VALUES (:queue){ignored}", queue=queue
        )

    def next_due(self, queues: Sequence[str]) -> Steps[float | None]:
        """Return in how many seconds the first job is due that is not yet, ``None`` for no such job."""
        rows = yield from self._fetched(
            "SELECT MIN(wake_at), {now} FROM ox_jobs "
            "WHERE state = 1 AND queue IN :names AND wake_at > {now}",
            apart=True,
            names=list(queues),
        )
        due, now = rows[0]
        return None if due is None else max(due - now, 0.0)

    def workers(self) -> Steps[list[WorkerState]]:
        """Return the workers."""
        rows = yield from self._fetched(
            "SELECT name, about, lease_until, (SELECT COUNT(*) FROM ox_jobs "
            "WHERE worker = w.name AND state = 3) FROM ox_job_workers w ORDER BY name",
            apart=True,
        )
        return [WorkerState(*row) for row in rows]

    def statistics(self, since: float) -> Steps[list[TaskMinute]]:
        """Return what happened."""
        rows = yield from self._fetched(
            "SELECT minute, queue, task, SUM(completed), SUM(retried), SUM(dead), SUM(seconds), "
            "MAX(slowest), SUM(waited) FROM ox_job_minutes WHERE minute >= :since "
            "GROUP BY minute, queue, task ORDER BY minute, queue, task",
            apart=True,
            since=since // 60 * 60,
        )
        return [TaskMinute(*row[:3], *map(int, row[3:6]), *row[6:]) for row in rows]

    def batch(self, id: UUID) -> Steps[BatchState | None]:
        """Tell how far a batch is."""
        rows = yield from self._fetched(
            "SELECT total, completed, failed, about, ended_at FROM ox_job_batches WHERE id = :id",
            apart=True,
            id=id,
        )
        return BatchState(id, *rows[0]) if rows else None


def _where(filter: Filter) -> tuple[str, dict[str, Any]]:
    """Return what a filter says as SQL, and its values; Any, as they are of any column."""
    words: list[str] = ["1 = 1"]
    values: dict[str, Any] = {}
    if filter.ids is not None:
        if not filter.ids:
            return "1 = 0", {}
        words.append("id IN :ids")
        values["ids"] = list(filter.ids)
    for name, column, value in (
        ("queue", "queue", filter.queue),
        ("task", "task", filter.task),
        ("batch", "batch", filter.batch),
        ("group", "grp", filter.group),
    ):
        if value is not None:
            words.append(f"{column} = :{name}")
            values[name] = value
    if filter.states is not None:
        codes = ", ".join(map(str, codes_of(filter.states)))
        words.append(f"state IN ({codes or -1})")
    return " AND ".join(words), values
