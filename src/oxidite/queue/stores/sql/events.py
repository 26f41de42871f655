"""Events, and the jobs that wait for them.

An event has a row, which is locked by who signals it and by who begins to wait: so one comes after the other, and
none is missed between. A job that waits has a row beside, with what it was given; ``parked`` is the attempt
in which it has left its place for it. Locks are taken in that order, and those of jobs come last; an exchange, which
has those of jobs, waits for no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from oxidite.db.connections.steps import Steps
from oxidite.queue.base import Outcome, Signal
from oxidite.queue.stores.sql.pushing import PushSteps
from oxidite.queue.stores.sql.rows import id_of, ids_of

__all__ = ["EventSteps"]

_SOON = 1.0
"""Seconds after which a job looks again that somebody signals in a transaction which is open still."""
_LOCK = 60.0
"""Seconds that a row is kept which is only there to be locked."""
_KEEP = (
    "INSERT INTO ox_job_events (event, data, expires) VALUES (:event, :data, {now} + :keep) "
    "ON CONFLICT (event) DO UPDATE SET data = excluded.data, expires = excluded.expires"
)
_KEEP_MYSQL = (
    "INSERT INTO ox_job_events (event, data, expires) VALUES (:event, :data, {now} + :keep) "
    "ON DUPLICATE KEY UPDATE data = VALUES(data), expires = VALUES(expires)"
)
_TOUCH = (
    "INSERT INTO ox_job_events (event, expires) VALUES (:event, {now} + :keep) "
    "ON CONFLICT (event) DO UPDATE SET event = excluded.event"
)
_TOUCH_MYSQL = (
    "INSERT INTO ox_job_events (event, expires) VALUES (:event, {now} + :keep) "
    "ON DUPLICATE KEY UPDATE event = VALUES(event)"
)
# `state + 0`, as the job is to be found by its id. MySQL goes from left to right: the event comes after what asks for it.
_LISTEN = (
    "INSERT INTO ox_job_waits (job, event, about, data, parked) SELECT id, :event, :about, :data, 0 "
    "FROM ox_jobs WHERE id = :id AND attempt = :attempt AND state + 0 = 3 "
)
_LISTEN_OVER = (
    "ON CONFLICT (job) DO UPDATE SET data = CASE WHEN ox_job_waits.event = excluded.event "
    "THEN COALESCE(ox_job_waits.data, excluded.data) ELSE excluded.data END, "
    "event = excluded.event, about = excluded.about, parked = 0"
)
_LISTEN_OVER_MYSQL = (
    "ON DUPLICATE KEY UPDATE data = CASE WHEN ox_job_waits.event = VALUES(event) "
    "THEN COALESCE(ox_job_waits.data, VALUES(data)) ELSE VALUES(data) END, "
    "event = VALUES(event), about = VALUES(about), parked = 0"
)


class EventSteps(PushSteps):
    """What is done for events."""

    def signal(self, signal: Signal) -> Steps[tuple[int, list[str]]]:
        """Keep an event, and wake the jobs that wait for it; return how many, and their queues."""
        event = signal.event
        yield from self._changed(
            _KEEP_MYSQL if self._dialect.is_mysql else _KEEP,
            event=event,
            data=signal.value,
            keep=signal.keep,
        )
        waiting = yield from self._fetched(
            "SELECT job, parked FROM ox_job_waits WHERE event = :event AND data IS NULL ORDER BY job{update}",
            event=event,
        )
        if not waiting:
            return 0, []
        ids = ids_of(waiting)
        yield from self._changed_of(
            ids, "UPDATE ox_job_waits SET data = :data WHERE job IN :ids", data=signal.value
        )
        # Not those that run still: MySQL would lock them, too, and their workers wait.
        ids = ids_of(row for row in waiting if row[1])
        parked: list[UUID] = []
        queues: set[str] = set()
        for start in range(0, len(ids), 500):
            rows = yield from self._fetched(
                "SELECT j.id, j.queue FROM ox_jobs AS j JOIN ox_job_waits AS w ON w.job = j.id "
                "WHERE j.id IN :ids AND j.state + 0 = 1 AND j.attempt = w.parked ORDER BY j.id{update}",
                ids=ids[start : start + 500],
            )
            parked += ids_of(rows)
            queues.update(row[1] for row in rows)
        now = yield from self.now()
        yield from self._due(parked, now)
        return len(parked), sorted(queues)

    def listen(self, id: UUID, attempt: int, event: bytes, about: bytes) -> Steps[bytes | None]:
        """Return the value of an event, or have a job given it."""
        is_mysql = self._dialect.is_mysql
        yield from self._changed(_TOUCH_MYSQL if is_mysql else _TOUCH, event=event, keep=_LOCK)
        kept = yield from self._fetched(
            "SELECT data FROM ox_job_events WHERE event = :event AND expires > {now}{update}",
            event=event,
        )
        yield from self._changed(
            _LISTEN + (_LISTEN_OVER_MYSQL if is_mysql else _LISTEN_OVER),
            event=event,
            about=about,
            data=kept[0][0] if kept else None,
            id=id,
            attempt=attempt,
        )
        rows = yield from self._fetched(
            "SELECT data FROM ox_job_waits WHERE job = :id AND event = :event", id=id, event=event
        )
        return rows[0][0] if rows else None

    def _park(self, outcomes: Sequence[Outcome], now: float) -> Steps[None]:
        """Let events wake those that wait for one, at once if that has come."""
        waiting = [(each.id, each.attempt) for each in outcomes if each.waits]
        if not waiting:
            return
        rows = yield from self._fetched(
            "SELECT job, data IS NULL FROM ox_job_waits WHERE job IN :ids{claim}",
            ids=[id for id, _ in waiting],
        )
        is_open = {id_of(job): bool(has_none) for job, has_none in rows}
        for id, attempt in waiting:
            if is_open.get(id):
                sql = "UPDATE ox_job_waits SET parked = :attempt WHERE job = :id"
                yield from self._changed(sql, attempt=attempt, id=id)
        yield from self._due([id for id, _ in waiting if is_open.get(id) is False], now)
        # Who has locked the others signals them in a transaction that is open still.
        yield from self._due([id for id, _ in waiting if id not in is_open], now + _SOON, state=1)

    def _due(self, ids: Sequence[UUID], due: float, *, state: int = 0) -> Steps[None]:
        yield from self._changed_of(
            ids,
            f"UPDATE ox_jobs SET state = {state}, due_at = :due, wake_at = :due "  # noqa: S608 - a number
            "WHERE id IN :ids AND state + 0 = 1",
            due=due,
        )

    def _unlisten(self, where: str, values: Mapping[str, Any]) -> Steps[None]:
        """Have jobs no longer be given what they have listened for; Any, as values are of any column."""
        yield from self._changed(
            f"DELETE FROM ox_job_waits WHERE job IN (SELECT id FROM ox_jobs WHERE {where})",  # noqa: S608 - ours
            **values,
        )

    def _forget_events(self) -> Steps[None]:
        """Forget what was kept long enough, and what jobs waited for that have ended."""
        yield from self._changed("DELETE FROM ox_job_events WHERE expires <= {now}")
        yield from self._changed(
            "DELETE FROM ox_job_waits WHERE NOT EXISTS "
            "(SELECT 1 FROM ox_jobs WHERE ox_jobs.id = ox_job_waits.job AND ox_jobs.state + 0 < 4)"
        )
