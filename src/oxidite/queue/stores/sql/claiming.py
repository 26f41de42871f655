"""How jobs are claimed, as far as their queues allow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from oxidite.db.connections.steps import Steps
from oxidite.queue.base import Limits, Ready
from oxidite.queue.stores.sql.events import EventSteps
from oxidite.queue.stores.sql.limits import Gate
from oxidite.queue.stores.sql.rows import READY_COLUMNS, id_of, ids_of, ready_of
from oxidite.queue.stores.sql.turns import NO_GROUP, TurnSteps

__all__ = ["ClaimSteps", "Setting"]

_DUE = 1000
"""How many whose time has come are made ready at once."""
_WINDOW = 200
_WINDOWS = 50
"""How many of a queue with limits are looked at together, and how often, in one exchange."""
_limits = msgspec.msgpack.Decoder(Limits)


class Setting(Struct, frozen=True):
    """What is set of a queue."""

    is_paused: bool
    limits: Limits | None

    @property
    def parks(self) -> bool:
        """Whether jobs may wait until another one of their group ends."""
        return self.limits is not None and self.limits.each is not None


NO_SETTING = Setting(False, None)


def limits_of(data: bytes | None) -> Limits | None:
    """Return limits as they are stored."""
    return None if data is None else _limits.decode(data)


class ClaimSteps(TurnSteps, EventSteps):
    """What is done to claim."""

    def settings(self) -> Steps[dict[str, Setting]]:
        """Return the queues of which something is set."""
        rows = yield from self._fetched("SELECT name, paused, limits FROM ox_job_queues")
        return {name: Setting(bool(paused), limits_of(limits)) for name, paused, limits in rows}

    def _claim(
        self, worker: str, queue: str, limit: int, now: float, setting: Setting
    ) -> Steps[list[Ready]]:
        if setting.is_paused:
            return []
        yield from self._make_ready(queue, now)
        if setting.limits is not None:
            return (yield from self._claim_limited(worker, queue, limit, now))
        rows = yield from self._ready(queue, limit)
        return (yield from self._started(worker, rows, now))

    def _ready(self, queue: str, limit: int) -> Steps[Sequence[Any]]:
        # The limit is written out: with a parameter PostgreSQL plans for a tenth of the table.
        return self._fetched(
            f"SELECT {READY_COLUMNS} FROM ox_jobs WHERE state = 0 AND queue = :queue "  # noqa: S608 - ours
            f"ORDER BY grade, due_at, id LIMIT {limit}{{claim}}",
            queue=queue,
        )

    def _started(self, worker: str, rows: Sequence[Any], now: float) -> Steps[list[Ready]]:
        jobs = [ready_of(row, attempt=row[5] + 1) for row in rows]
        yield from self._changed_of(
            [job.id for job in jobs],
            "UPDATE ox_jobs SET state = 3, attempt = attempt + 1, started_at = :now, worker = :worker, "
            "waited = :now - due_at WHERE id IN :ids",
            now=now,
            worker=worker,
        )
        return jobs

    def _make_ready(self, queue: str, now: float) -> Steps[int]:
        """Let what has become due be claimed."""
        rows = yield from self._fetched(
            "SELECT id FROM ox_jobs WHERE state = 1 AND queue = :queue AND wake_at <= :now "  # noqa: S608 - a number
            f"ORDER BY wake_at LIMIT {_DUE}{{claim}}",
            queue=queue,
            now=now,
        )
        return (
            yield from self._changed_of(
                ids_of(rows), "UPDATE ox_jobs SET state = 0 WHERE id IN :ids"
            )
        )

    # With limits

    def _claim_limited(self, worker: str, queue: str, limit: int, now: float) -> Steps[list[Ready]]:
        locked = yield from self._fetched(
            "SELECT limits, turn FROM ox_job_queues WHERE name = :queue{update}", queue=queue
        )
        limits = (limits_of(locked[0][0]) if locked else None) or Limits()
        turn: str | None = locked[0][1] if locked else None
        gate = yield from self._gate(queue, limits, now)
        jobs: list[Ready] = []
        for _ in range(_WINDOWS):
            left = limit - len(jobs)
            if left <= 0 or gate.is_closed:
                break
            rows: Sequence[Any]
            if limits.fair:
                rows = yield from self._in_turn(queue, turn, _window(limits, left))
            else:
                rows = yield from self._ready(queue, max(_WINDOW, limit))
            if not rows:
                break
            jobs += yield from self._admitted(worker, gate, rows, left, now)
            turn = (jobs[-1].group or NO_GROUP) if jobs else turn
        if jobs and limits.fair:
            sql = "UPDATE ox_job_queues SET turn = :turn WHERE name = :queue"
            yield from self._changed(sql, turn=turn, queue=queue)
        yield from self._keep_rates(queue, gate)
        return jobs

    def _admitted(
        self, worker: str, gate: Gate, rows: Sequence[Any], limit: int, now: float
    ) -> Steps[list[Ready]]:
        """Begin those that may, and put the others where they stand in nobody's way."""
        begin: list[Any] = []
        parked: list[UUID] = []
        later: dict[float, list[UUID]] = {}
        for row in rows:
            if len(begin) >= limit or gate.is_closed:
                break
            wait = gate.enter(row[10])
            if not wait:
                begin.append(row)
            elif wait == math.inf:
                parked.append(id_of(row[0]))
            else:
                later.setdefault(wait, []).append(id_of(row[0]))
        yield from self._changed_of(parked, "UPDATE ox_jobs SET state = 2 WHERE id IN :ids")
        for wait, ids in later.items():
            sql = "UPDATE ox_jobs SET state = 1, wake_at = :wake WHERE id IN :ids"
            yield from self._changed_of(ids, sql, wake=now + wait)
        return (yield from self._started(worker, begin, now))

    def _gate(self, queue: str, limits: Limits, now: float) -> Steps[Gate]:
        running: Sequence[Any] = ()
        if limits.running is not None or limits.each is not None:
            running = yield from self._fetched(
                "SELECT grp, COUNT(*) FROM ox_jobs WHERE state = 3 AND queue = :queue GROUP BY grp",
                queue=queue,
            )
        rates: Sequence[Any] = ()
        if limits.rate is not None or limits.each_rate is not None:
            rates = yield from self._fetched(
                "SELECT grp, full_at FROM ox_job_rates WHERE queue = :queue AND full_at > :now",
                queue=queue,
                now=now,
            )
        return Gate(
            limits,
            now,
            running={group: count for group, count in running},  # noqa: C416 - rows are no pairs
            full_at={group: full_at for group, full_at in rates},  # noqa: C416
        )

    def _keep_rates(self, queue: str, gate: Gate) -> Steps[None]:
        for name, full_at in sorted(gate.counted().items()):
            known = yield from self._changed(
                "UPDATE ox_job_rates SET full_at = :full_at WHERE queue = :queue AND grp = :group",
                full_at=full_at,
                queue=queue,
                group=name,
            )
            if not known:
                yield from self._changed(
                    "INSERT INTO ox_job_rates (queue, grp, full_at) VALUES (:queue, :group, :full_at)",
                    queue=queue,
                    group=name,
                    full_at=full_at,
                )


def _window(limits: Limits, left: int) -> int:
    """Return how many jobs of a fair queue are looked at together: as many as may begin, if each of them may."""
    holds_back = limits.each is not None or limits.each_rate is not None
    return max(_WINDOW, left) if holds_back else left
