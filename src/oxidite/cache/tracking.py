"""Caches that hear what a database reads and changes: ``cached(track=True)``.

Imported when one is asked for, as it imports the database.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterator

from oxidite.cache.core import Core
from oxidite.cache.recording import (
    Recorder,
    current_recorder,
    is_declared,
    recording,
    table_tags,
)
from oxidite.cache.tags import stored_tags
from oxidite.cache.writes import invalidate
from oxidite.db.connections.notices import Changes, Listener, Rows, listeners
from oxidite.db.connections.replicas import pinned
from oxidite.db.connections.transaction import has_changed_something
from oxidite.db.errors import QueryError
from oxidite.db.models.affected import affected_rows

__all__ = ["has_changed_something", "record", "track"]


class _Tracking(Listener):
    """Hears for one store of a cache, while that is open."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._loop = asyncio.get_running_loop()

    @property
    def hears_reads(self) -> bool:
        recorder = current_recorder()
        return recorder is not None and recorder.core is self._core

    def read(self, rows: Rows) -> None:
        recorder = current_recorder()
        if recorder is not None:
            recorder.read(rows)

    def read_sql(self, sql: str) -> None:
        recorder = current_recorder()
        if recorder is not None and not is_declared():
            raise QueryError(
                "A tracked function of a cache reads SQL, and which tables that reads cannot be told for "
                "sure. Name their models around it: `with reads(User, Post): await db.sql(…).all()`, with "
                f"`from oxidite.cache import reads`. The SQL is: {' '.join(sql.split())[:200]}"
            )

    def changed(self, changes: Changes) -> Awaitable[None]:
        core = self._core
        tags = stored_tags(core.prefix, table_tags(affected_rows(changes)), most=None)
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if asyncio.get_running_loop() is not self._loop:
            self._loop.call_soon_threadsafe(self._begin, tags, None)
            told.set_result(None)
            return told
        core.change_many(tags=tags)  # where it was changed: what this request remembers of it, too
        self._begin(tags, told)
        return told

    def _begin(self, tags: tuple[str, ...], told: asyncio.Future[None] | None) -> None:
        # Behind, so that nobody who is cancelled takes it along.
        self._core.background.spawn(self._invalidate(tags, told), name="cache tracking")

    async def _invalidate(self, tags: tuple[str, ...], told: asyncio.Future[None] | None) -> None:
        try:
            await invalidate(self._core, tags, soft=False)
        finally:
            if told is not None and not told.done():
                told.set_result(None)


@contextlib.contextmanager
def _listening(core: Core) -> Iterator[None]:
    tracking = _Tracking(core)
    listeners.append(tracking)
    try:
        yield
    finally:
        listeners.remove(tracking)


def track(core: Core) -> None:
    """Let a store of a cache hear what databases change, now and whenever it is open."""
    core.while_open("tracking", lambda: _listening(core))


@contextlib.contextmanager
def record(core: Core) -> Iterator[Recorder]:
    """Note in the block what is read for a value of this store.

    It is read where it is written: a replica may not know yet what was changed before.
    """
    recorder = Recorder(core, core.prefix)
    with pinned(), recording(recorder):
        yield recorder
