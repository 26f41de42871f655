"""What other processes changed, told to those who listen.

PostgreSQL tells by NOTIFY, on a connection kept for it. Elsewhere changes are rows with growing ids, which
are asked for again and again. In SQLite that costs little: first it is looked whether the log beside the
file (WAL) was written to, then ``PRAGMA data_version`` says whether something was committed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from oxidite import clock
from oxidite.cache.backends.sql.statements import Statements
from oxidite.cache.backends.sql.store import Store, rest
from oxidite.cache.base import Epochs, Listener
from oxidite.db.connections.base import Connection
from oxidite.db.connections.steps import Steps

__all__ = ["Bus", "ChannelBus", "Ears", "PolledBus"]

_logger = logging.getLogger("oxidite.cache")
_ALIVE = 2.0
"""Seconds between two questions whether a silent connection still lives, and for the answer."""
_FIRST, _LAST = 0.05, 2.0
"""Seconds between two tries to come back, at first and in the end."""
_MOST = 1000
"""Changes that are told one by one; who is further behind is told that all may have changed."""
_EXACT = 0.2
"""Seconds after which the time of a file is another one for certain."""
_PATIENCE = 5.0
"""Seconds that a change may be on its way while a later one has arrived."""


class Ears(Listener):
    """All who listen, as one."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._listeners: list[Listener] = []

    @property
    def are_any(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def add(self, listener: Listener) -> None:
        """Tell one more."""
        self._listeners.append(listener)

    def keys_changed(self, keys: Sequence[str]) -> None:
        """Tell that values were set or deleted."""
        for each in self._listeners:
            each.keys_changed(keys)

    def tags_changed(self, epochs: Mapping[str, Epochs]) -> None:
        """Tell that tags were invalidated."""
        for each in self._listeners:
            each.tags_changed(epochs)

    def cleared(self, prefix: str) -> None:
        """Tell that what begins so was deleted."""
        for each in self._listeners:
            each.cleared(prefix)

    def lost(self) -> None:
        """Tell that something may have been missed."""
        for each in self._listeners:
            each.lost()

    def hear(self, text: str) -> None:
        """Tell what a message says."""
        try:
            origin, kind, *rest = json.loads(text)
            if origin == self._origin:
                return
            if kind == "key":
                self.keys_changed(rest)
            elif kind == "tag":
                self.tags_changed({rest[0]: Epochs(rest[1], rest[2])})
            else:
                self.cleared(rest[0])
        except (ValueError, TypeError, LookupError):
            # Of another version, or by somebody who has no business here.
            _logger.warning("a message to the cache cannot be read")
            self.lost()

    def hear_rows(self, rows: Sequence[Any]) -> None:
        """Tell what rows of ``ox_cache_changes`` say, in their order."""
        keys: list[str] = []
        for _, origin, kind, name, hard, soft in rows:
            if origin == self._origin:
                continue
            if kind == "key":
                keys.append(name)
                continue
            if keys:
                self.keys_changed(keys)
                keys = []
            if kind == "tag":
                self.tags_changed({name: Epochs(hard, soft)})
            else:
                self.cleared(name)
        if keys:
            self.keys_changed(keys)


class Bus(Protocol):
    """What hears of changes."""

    def start(self) -> None:
        """Begin to listen, if that was not done yet."""
        ...

    async def open(self) -> None:
        """Hear of what changes from now on."""
        ...

    async def close(self) -> None:
        """Hear no more."""
        ...


class _Loop(Bus):
    """Listens in the background, and comes back when the database was away."""

    def __init__(self, store: Store, ears: Ears) -> None:
        self._store = store
        self._ears = ears
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen, if that was not done yet."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="oxidite.cache.bus")

    async def open(self) -> None:
        """Hear of what changes from now on."""
        self.start()
        await self._ready.wait()

    async def close(self) -> None:
        """Hear no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None

    async def _run(self) -> None:
        pause = _FIRST
        is_down = False
        while True:
            began = clock.perf()
            try:
                await self._listen()
            except Exception as exc:  # noqa: BLE001 - whatever it is, who listens has to hear again
                if not is_down:
                    _logger.warning("the cache does not hear what other processes change: %s", exc)
                is_down = True
            # Who opens it need not wait: nothing that is remembered is trusted meanwhile.
            self._ready.set()
            self._ears.lost()
            if clock.perf() - began > _LAST:
                pause, is_down = _FIRST, False
            await rest(pause)
            pause = min(_LAST, pause * 2)

    @abstractmethod
    async def _listen(self) -> None:
        """Listen until the connection ends."""

    def _begun(self) -> None:
        """Note that from now on nothing is missed."""
        self._ears.lost()
        self._ready.set()


class ChannelBus(_Loop):
    """Hears what PostgreSQL notifies of."""

    def __init__(self, store: Store, ears: Ears, channel: str) -> None:
        super().__init__(store, ears)
        self._channel = channel

    async def _listen(self) -> None:
        gone = asyncio.Event()
        async with self._store.connection(write=True) as connection:
            try:
                await connection.listen(self._channel, self._ears.hear, gone.set)
                self._begun()
                while not gone.is_set():
                    await rest(_ALIVE, gone)
                    async with asyncio.timeout(_ALIVE):
                        await connection.ping()
            finally:
                # Nobody else gets a connection that listens.
                connection.is_broken = True


class PolledSteps(Statements):
    """How changes are asked for."""

    def last(self) -> Steps[int]:
        """Return the id of the last change."""
        rows = yield from self._fetched("SELECT MAX(id) FROM ox_cache_changes", apart=True)
        return int(rows[0][0] or 0)

    def since(self, last: int) -> Steps[Sequence[Any]]:
        """Return the changes after one."""
        return self._fetched(
            "SELECT id, origin, kind, name, hard, soft FROM ox_cache_changes "
            "WHERE id > :last ORDER BY id LIMIT :most",
            apart=True,
            most=_MOST + 1,
            last=last,
        )


class PolledBus(_Loop):
    """Asks every ``poll`` seconds what has changed."""

    def __init__(self, store: Store, ears: Ears, poll: float) -> None:
        super().__init__(store, ears)
        self._poll = poll
        self._steps = PolledSteps(store.dialect)
        self._asks_version = store.dialect.name == "sqlite"
        self._log = ""
        self._stamp: tuple[int, int] | None = None
        self._stamped = 0.0
        self._version: int | None = None
        self._last = 0
        self._missing: dict[int, float] = {}

    async def _listen(self) -> None:
        self._version = None
        self._missing = {}
        async with self._store.connection(write=False) as connection:
            if self._asks_version:
                rows = await connection.fetch("PRAGMA database_list", ())
                self._log = f"{rows[0][2]}-wal"
            self._last = await connection.follow(self._steps.last())
            self._begun()
            while not connection.is_broken:
                await rest(self._poll)
                if await self._has_changed(connection):
                    await self._look(connection)

    async def _has_changed(self, connection: Connection) -> bool:
        """Tell whether there may be something new. This connection has to be always the same one."""
        if not self._asks_version:
            return True
        if not self._was_written():
            return False
        rows = await connection.fetch("PRAGMA data_version", ())
        before, self._version = self._version, rows[0][0]
        return before != self._version

    def _was_written(self) -> bool:
        """Tell whether the log may have been written to since it was looked at."""
        try:
            found = os.stat(self._log)  # noqa: PTH116 - 33 times a second, a path is made once
        except OSError:
            return True
        stamp = (found.st_mtime_ns, found.st_size)
        if stamp != self._stamp:
            self._stamp, self._stamped = stamp, clock.perf()
        # Times of files are not exact: what was written just now may look the same when written again.
        return clock.perf() - self._stamped < _EXACT

    async def _look(self, connection: Connection) -> None:
        # From the first one on that was on its way: ids are given before the commit, not in its order.
        begin = min(self._missing, default=self._last + 1) - 1
        rows = await connection.follow(self._steps.since(begin))
        if len(rows) > _MOST or (rows and rows[0][0] > self._last + 1 and self._asks_version):
            self._last = await connection.follow(self._steps.last())
            self._missing = {}
            self._ears.lost()
            return
        self._ears.hear_rows(
            [row for row in rows if row[0] > self._last or row[0] in self._missing]
        )
        self._note([row[0] for row in rows])

    def _note(self, ids: Sequence[int]) -> None:
        """Note which ids were left out: they may still come."""
        now = clock.perf()
        for number in ids:
            self._missing.pop(number, None)
        for number in range(self._last + 1, max(ids, default=self._last)):
            if number not in ids:
                self._missing[number] = now
        self._last = max(self._last, max(ids, default=0))
        if any(now - since > _PATIENCE for since in self._missing.values()):
            # Undone most likely, and if not, missed.
            self._missing = {}
            self._ears.lost()
