"""Whose turn it is in a queue that is fair, found by an index and not by a look at what waits.

The groups that have jobs which are due stand in a ring, in the order of their names, the jobs of no group first.
Who claims holds the row of the queue, where the group is kept of which a job began last; the next group is found
by a step in the index ``ox_jobs_turns``, and so is the first job of each. A push knows nothing of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oxidite.db.connections.steps import Steps
from oxidite.queue.stores.sql.pushing import PushSteps
from oxidite.queue.stores.sql.rows import READY_COLUMNS

__all__ = ["NO_GROUP", "TurnSteps"]

NO_GROUP = ""
"""The jobs of no group, in the ring."""
# Each step is a query with an order and a limit of 1: for a minimum not every database would use the index.
_AFTER = (
    "SELECT grp FROM ox_jobs{turns} WHERE state = 0 AND queue = :queue AND grp > :after "
    "ORDER BY grp LIMIT 1"
)
_RING = (
    f"WITH RECURSIVE ring (grp, number) AS (SELECT ({_AFTER}), 1 UNION ALL SELECT "  # noqa: S608 - ours
    "(SELECT j.grp FROM ox_jobs AS j WHERE j.state = 0 AND j.queue = :queue AND j.grp > ring.grp "
    "ORDER BY j.grp LIMIT 1), number + 1 FROM ring WHERE ring.grp IS NOT NULL AND number < {limit}) "
    "SELECT grp FROM ring WHERE grp IS NOT NULL"
)
_FIRST = (
    f"SELECT {READY_COLUMNS} FROM ox_jobs{{turns}} WHERE state = 0 AND queue = :queue AND grp = :grp "  # noqa: S608 - ours
    "ORDER BY grade, due_at, id LIMIT {limit}{claim}"
)
_FIRST_OF_NONE = _FIRST.replace("grp = :grp", "grp IS NULL")
# PostgreSQL takes the one index for the other as long as it has not counted what waits, unless that has another order.
_FIRST_ARRAYS = (
    f"SELECT {READY_COLUMNS} FROM unnest(:names::text[]) AS g (name) CROSS JOIN LATERAL "  # noqa: S608 - ours
    f"(SELECT {READY_COLUMNS} FROM ox_jobs WHERE state = 0 AND queue = :queue "
    "AND grp BETWEEN g.name AND g.name "
    "ORDER BY grp, grade, due_at, id LIMIT {limit}{claim}) AS j ORDER BY grade, due_at, id"
)
_FIRST_OF_NONE_ORDERED = _FIRST_OF_NONE.replace("ORDER BY grade", "ORDER BY grp, grade")
_GROUP = 10
"""Where the group is in a row of ``READY_COLUMNS``."""


class TurnSteps(PushSteps):
    """What is done to claim in turn."""

    def _in_turn(self, queue: str, turn: str | None, limit: int) -> Steps[list[Sequence[Any]]]:
        """Return up to ``limit`` jobs, locked, in the order in which they are to begin after one of ``turn``.

        It may be fewer where there are more; none only if there is none that may be locked.
        """
        passed: set[str] = set()
        while True:
            ring = yield from self._ring(queue, turn, limit)
            groups = [group for group in ring if group not in passed]
            if not groups:
                return []
            lines = yield from self._lines(queue, groups, -(-limit // len(groups)))
            longest = max(map(len, lines))
            if longest:
                rows = [line[n] for n in range(longest) for line in lines if n < len(line)]
                return rows[:limit]
            # Somebody has locked them, who changes jobs in a transaction: others do not wait for that.
            passed.update(groups)
            turn = groups[-1]

    def _ring(self, queue: str, turn: str | None, limit: int) -> Steps[list[str]]:
        """Return the groups whose turn it is, one after the other, each once."""
        groups = [] if turn is None else (yield from self._after(queue, turn, limit))
        if len(groups) >= limit:
            return groups
        before = [NO_GROUP] if (yield from self._first_of_none(queue, 1)) else []
        before += yield from self._after(queue, NO_GROUP, limit - len(groups))
        return [*groups, *(each for each in before if turn is None or each <= turn)][:limit]

    def _after(self, queue: str, turn: str, limit: int) -> Steps[list[str]]:
        """Return the groups that follow one in the order of their names."""
        if not self._dialect.is_mysql:
            sql = _RING.replace("{limit}", str(int(limit)))
            rows = yield from self._fetched(sql, queue=queue, after=turn)
            return [row[0] for row in rows]
        # There a step from a value of another row is none in the index.
        groups: list[str] = []
        while len(groups) < limit:
            rows = yield from self._fetched(_AFTER, queue=queue, after=turn)
            if not rows:
                break
            turn = rows[0][0]
            groups.append(turn)
        return groups

    def _lines(
        self, queue: str, groups: Sequence[str], limit: int
    ) -> Steps[list[Sequence[Sequence[Any]]]]:
        """Return the first jobs of each group."""
        lines: dict[str, list[Sequence[Any]]] = {group: [] for group in groups}
        if NO_GROUP in lines:
            lines[NO_GROUP] += yield from self._first_of_none(queue, limit)
        names = [group for group in groups if group != NO_GROUP]
        if self._has_arrays:
            sql = _FIRST_ARRAYS.replace("{limit}", str(int(limit)))
            for row in (yield from self._fetched(sql, queue=queue, names=names)):
                lines[row[_GROUP]].append(row)
            return list(lines.values())
        sql = _FIRST.replace("{limit}", str(int(limit)))
        for name in names:
            lines[name] += yield from self._fetched(sql, queue=queue, grp=name)
        return list(lines.values())

    def _first_of_none(self, queue: str, limit: int) -> Steps[Sequence[Any]]:
        """Return the first jobs of no group."""
        sql = _FIRST_OF_NONE_ORDERED if self._has_arrays else _FIRST_OF_NONE
        return self._fetched(sql.replace("{limit}", str(int(limit))), queue=queue)
