"""The exchange in PostgreSQL: one statement, so one way to the server, for all that is usual.

What is not, such as a job that waits again or a queue with limits, is left to the steps that every database
takes; the statement says so, and changes nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from oxidite.db.connections.steps import Steps
from oxidite.queue.base import Outcome, Ready
from oxidite.queue.stores.sql.planning import StoreSteps
from oxidite.queue.stores.sql.rows import ready_of
from oxidite.queue.stores.sql.working import ENDS

__all__ = ["Exchanged", "PostgreSQLSteps", "is_usual"]

_COLUMNS = (
    ("id", "uuid"),
    ("queue", "text"),
    ("task", "text"),
    ("args", "bytea"),
    ("version", "int"),
    ("attempt", "int"),
    ("failures", "int"),
    ("crashes", "int"),
    ("grade", "int"),
    ("timeout", "float8"),
    ("grp", "text"),
    ("batch", "uuid"),
    ("context", "bytea"),
    ("flow", "bytea"),
    ("pushed_at", "float8"),
    ("due_at", "float8"),
    ("saved", "bytea"),
)
_NULLS = ", ".join(f"NULL::{kind}" for _, kind in _COLUMNS)
_JOB = ", ".join(f"j.{name}" for name, _ in _COLUMNS)
_NAMES = ", ".join(name for name, _ in _COLUMNS)
_HAS_LIMITS = (
    "EXISTS (SELECT FROM ox_job_queues AS s WHERE s.name = {name} AND s.limits IS NOT NULL)"
)
# Lists are sub-queries, so that their lengths are not seen: for one that is shorter than what PostgreSQL
# takes as usual it would plan anew each time, which takes longer than the statement.
# `state + 0`, as jobs are to be found by their ids and not among all that run.
_DONE = (
    "done AS (UPDATE ox_jobs AS j SET state = o.state, failures = j.failures + (o.state = 6)::int, "  # noqa: S608 - ours
    "ended_at = t.now, expires = t.now + coalesce(o.keep, j.keep), worker = NULL, cancel_asked = 0, "
    "result = o.result FROM t, unnest((SELECT :ids::uuid[]), (SELECT :attempts::int[]), "
    "(SELECT :states::int[]), (SELECT :keeps::float8[]), "
    "(SELECT :results::bytea[]), (SELECT :seconds::float8[])) AS o (id, attempt, state, keep, result, seconds) "
    "WHERE j.id = o.id AND j.state + 0 = 3 AND j.attempt = o.attempt AND j.batch IS NULL "
    f"AND coalesce(o.keep, j.keep) > 0 AND NOT {_HAS_LIMITS.replace('{name}', 'j.queue')} "
    "RETURNING j.id, j.queue, j.task, j.waited, o.state, o.seconds), "
    "counted AS (INSERT INTO ox_job_minutes AS m (minute, queue, task, shard, completed, retried, dead, "
    "seconds, slowest, waited) SELECT floor(min(t.now) / 60) * 60, queue, task, :shard::int, "
    "count(*) FILTER (WHERE state = 4), 0, count(*) FILTER (WHERE state = 6), sum(seconds), "
    "max(seconds), sum(greatest(waited, 0)) FROM done, t GROUP BY queue, task ORDER BY queue, task "
    "ON CONFLICT (minute, queue, task, shard) DO UPDATE SET completed = m.completed + excluded.completed, "
    "dead = m.dead + excluded.dead, seconds = m.seconds + excluded.seconds, "
    "slowest = greatest(m.slowest, excluded.slowest), waited = m.waited + excluded.waited), "
)
# The places are taken from one queue after the other, and only as many rows are locked as are taken.
_CLAIMED = (
    "live AS (SELECT FROM ox_job_workers AS w, t WHERE w.name = :worker AND w.lease_until > t.now), "  # noqa: S608 - ours
    "picked AS MATERIALIZED (SELECT r.id FROM unnest((SELECT :queues::text[])) AS q (name) "
    "CROSS JOIN LATERAL (SELECT id FROM ox_jobs WHERE queue = q.name AND state = 0 "
    "ORDER BY grade, due_at, id LIMIT {limit} FOR UPDATE SKIP LOCKED) AS r "
    "WHERE EXISTS (SELECT FROM live) AND NOT EXISTS (SELECT FROM ox_job_queues AS s "
    "WHERE s.name = q.name AND (s.paused = 1 OR s.limits IS NOT NULL)) LIMIT {limit}), "
    "started AS (UPDATE ox_jobs AS j SET state = 3, attempt = j.attempt + 1, started_at = t.now, "
    "worker = :worker, waited = t.now - j.due_at FROM t, picked WHERE j.id = picked.id "
    f"RETURNING {_JOB}) "
)
_TIME = "WITH t AS MATERIALIZED (SELECT {now} AS now), "
_HEAD = (
    "EXISTS (SELECT FROM live), EXISTS (SELECT FROM ox_jobs, t WHERE state = 1 "  # noqa: S608 - ours
    "AND queue = ANY((SELECT :queues::text[])::text[]) AND wake_at <= t.now), "
    "EXISTS (SELECT FROM ox_job_queues "
    f"WHERE name = ANY((SELECT :queues::text[])::text[]) AND limits IS NOT NULL), {_NULLS} "
    f"UNION ALL SELECT NULL, NULL, NULL, NULL, {_NAMES} FROM started"
)
_EXCHANGE = f"{_TIME}{_DONE}{_CLAIMED}SELECT (SELECT array_agg(id) FROM done), {_HEAD}"  # noqa: S608 - ours
_CLAIM = f"{_TIME}{_CLAIMED}SELECT NULL::uuid[], {_HEAD}"
_MAKE_READY = (
    "UPDATE ox_jobs SET state = 0 WHERE id IN (SELECT id FROM ox_jobs WHERE state = 1 "
    "AND queue = ANY(:queues::text[]) AND wake_at <= {now} ORDER BY wake_at LIMIT 1000 "
    "FOR UPDATE SKIP LOCKED)"
)


class Exchanged(Struct, frozen=True):
    """What one statement has done.

    ``taken`` are the outcomes that counted. ``has_due``: jobs have become due that are to be made ready.
    ``has_limits``: a queue has limits, and nothing was claimed from it.
    """

    jobs: list[Ready]
    taken: set[UUID]
    is_live: bool
    has_due: bool
    has_limits: bool


class PostgreSQLSteps(StoreSteps):
    """What is done with one statement."""

    def exchange_usual(
        self, worker: str, outcomes: Sequence[Outcome], queues: Sequence[str], limit: int
    ) -> Steps[Exchanged]:
        """Take over what is usual, and claim from queues without limits."""
        # The limit is written out: with a parameter PostgreSQL plans for a tenth of the table.
        claim: dict[str, Any] = {"worker": worker, "queues": list(queues)}  # of any type
        if outcomes:
            claim |= {
                "ids": [outcome.id for outcome in outcomes],
                "attempts": [outcome.attempt for outcome in outcomes],
                "states": [ENDS[outcome.kind] for outcome in outcomes],
                "keeps": [outcome.keep for outcome in outcomes],
                "results": [outcome.result for outcome in outcomes],
                "seconds": [outcome.seconds for outcome in outcomes],
                "shard": self.shard,
            }
        sql = (_EXCHANGE if outcomes else _CLAIM).replace("{limit}", str(int(limit)))
        rows = yield from self._fetched(sql, apart=True, **claim)
        head = next(row for row in rows if row[1] is not None)
        found = [ready_of(row[4:]) for row in rows if row[1] is None]
        order = {name: place for place, name in enumerate(queues)}
        found.sort(key=lambda job: (order[job.queue], -job.priority, job.due_at, job.id))
        return Exchanged(found, set(head[0] or ()), *head[1:4])

    def make_ready(self, queues: Sequence[str]) -> Steps[int]:
        """Let what has become due be claimed."""
        return self._changed(_MAKE_READY, apart=True, queues=list(queues))


def is_usual(outcome: Outcome) -> bool:
    """Tell whether an outcome can be taken over by the one statement."""
    return outcome.kind in ENDS and outcome.error is None and not outcome.then
