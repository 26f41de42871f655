"""What keeps the tables small: what has ended is removed, and what is oldest makes room.

It happens when enough was written, so a cache that nobody writes to costs nothing. What was written first
goes first: which values are read is not noted, as that would make each read a write.
"""

from __future__ import annotations

import asyncio
import logging

from oxidite.cache.backends.sql.statements import Statements
from oxidite.cache.backends.sql.store import Store
from oxidite.db.connections.steps import Steps
from oxidite.errors import OxiditeError

__all__ = ["Sweeper"]

_logger = logging.getLogger("oxidite.cache")
_PARTS = 64
"""Into so many parts the room is divided: after one of them was written, it is swept."""
_WRITES = 1000
"""Writes after which it is swept, however small they were."""
_BATCH = 500
"""Rows that are deleted at once, and others who write have to wait for."""
_MOST_TAGS = 1_000_000
_CHANGES = 10_000
"""Changes that are kept for those who have not heard of them yet."""
_EXPIRING = ("ox_cache", "ox_cache_claims", "ox_cache_locks", "ox_cache_rates")

# What was written anew meanwhile is left alone: the condition is asked again where the row is deleted.
_EXPIRED = {
    "sqlite": (
        "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE ends <= {now} "
        "ORDER BY ends LIMIT :most)"
    ),
    "postgresql": (
        "DELETE FROM {table} WHERE ends <= {now} AND ctid = ANY(ARRAY(SELECT ctid FROM {table} "
        "WHERE ends <= {now} ORDER BY ends LIMIT :most FOR UPDATE SKIP LOCKED))"
    ),
    "mysql": "DELETE FROM {table} WHERE ends <= {now} ORDER BY ends LIMIT :most",
}


class SweepingSteps(Statements):
    """How it is swept."""

    def expire(self, table: str) -> Steps[int]:
        """Remove what has ended, as many rows as go together; return how many."""
        sql: str = _EXPIRED[self._kind]
        return self._changed(sql.replace("{table}", table), apart=True, most=_BATCH)

    def size(self) -> Steps[int]:
        """Return how many bytes there are."""
        rows = yield from self._fetched("SELECT COALESCE(SUM(size), 0) FROM ox_cache", apart=True)
        return int(rows[0][0])

    def evict(self, excess: int) -> Steps[int]:
        """Remove what is oldest, as many rows as go together; return how many bytes that were."""
        rows = yield from self._fetched(
            "SELECT made, size FROM ox_cache ORDER BY made LIMIT :most", most=_BATCH
        )
        freed, until = 0, 0.0
        for made, size in rows:
            if freed >= excess:
                break
            freed, until = freed + int(size), made
        yield from self._changed("DELETE FROM ox_cache WHERE made <= :until", until=until)
        return freed

    def forget_tags(self) -> Steps[int]:
        """Forget tags that were heard of longest ago, where there are very many: what has them is stale."""
        rows = yield from self._fetched(
            "SELECT made FROM ox_cache_tags ORDER BY made DESC LIMIT 1 OFFSET :most",
            most=_MOST_TAGS,
        )
        if not rows:
            return 0
        return (
            yield from self._changed(
                "DELETE FROM ox_cache_tags WHERE made <= :until", until=rows[0][0]
            )
        )

    def forget_changes(self) -> Steps[int]:
        """Forget what all have heard of long ago."""
        rows = yield from self._fetched("SELECT MAX(id) FROM ox_cache_changes")
        last = (rows[0][0] or 0) - _CHANGES
        if last <= 0:
            return 0
        return (
            yield from self._changed("DELETE FROM ox_cache_changes WHERE id <= :last", last=last)
        )


class Sweeper:
    """Sweeps when enough was written, in the background; one at a time in a process."""

    def __init__(self, store: Store, max_size: int) -> None:
        self._store = store
        self._max_size = max_size
        self._part = max(1, max_size // _PARTS)
        self._written = 0
        self._writes = 0
        self._task: asyncio.Task[None] | None = None

    def wrote(self, size: int) -> None:
        """Note that so many bytes were written."""
        self._written += size
        self._writes += 1
        self._look()

    def _look(self) -> None:
        if (self._written >= self._part or self._writes >= _WRITES) and self._task is None:
            self._written = self._writes = 0
            self._task = asyncio.create_task(self._run(), name="oxidite.cache.sweep")
            self._task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Stop."""
        while (task := self._task) is not None:
            task.cancel()
            await asyncio.wait((task,))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            _logger.error("the cache could not be swept", exc_info=error)
        # As much may have been written meanwhile.
        self._look()

    async def _run(self) -> None:
        try:
            await self.sweep()
        except OxiditeError as exc:
            # Who reads and writes is told; the next sweep does what this one could not.
            _logger.warning("the cache could not be swept: %s", exc)

    async def sweep(self) -> None:
        """Remove what has ended, and what there is no room for."""
        steps = SweepingSteps(self._store.dialect)
        for table in _EXPIRING:
            while await self._store.write(steps.expire, table) >= _BATCH:
                pass  # others who write come in between
        excess = await self._store.read(steps.size) - self._max_size
        if excess > 0:
            # A part more, or the next write would be one too many again.
            excess += self._part
            while excess > 0 and (freed := await self._store.write(steps.evict, excess)):
                excess -= freed
        await self._store.write(steps.forget_tags)
        await self._store.write(steps.forget_changes)
