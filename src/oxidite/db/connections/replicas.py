"""Reading from copies of the database: ``Database.from_url(url, replicas=[…])``.

What is read outside of a transaction, and in one that only reads, is read from a replica that answers and
is not too far behind; everything else is done where it is written. Who has just written reads there, too,
for as long as ``sticky`` says, so that nobody misses what he wrote. When no replica will do, it is read
where it is written: that is slower, and never wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Hashable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from contextvars import ContextVar
from typing import Self

from oxidite.clock import perf
from oxidite.db.connections.base import Connection, Driver
from oxidite.db.connections.options import DatabaseOptions, PoolOptions
from oxidite.db.connections.pooled import PoolStats
from oxidite.db.errors import PoolTimeoutError
from oxidite.db.values.dialects import Dialect
from oxidite.errors import BackendUnavailableError, ConfigError, OxiditeError
from oxidite.instrument import event

__all__ = ["ReplicatedDriver", "pinned"]

_logger = logging.getLogger("oxidite.db")
_LOOK = 1.0
"""Seconds between two looks at how a replica is, and the most that such a look may take."""

_LAG = {
    # What was received is replayed: nothing is missing, however long ago the last change was. A server
    # that receives nothing any more does not know what it misses, so there its age counts.
    "postgresql": (
        "SELECT CASE WHEN NOT pg_is_in_recovery() THEN 0 WHEN EXISTS (SELECT 1 FROM pg_stat_wal_receiver)"
        " AND pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() THEN 0 ELSE"
        " extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END::float8"
    ),
}
"""How to ask how far behind a replica is, in seconds; of others only that they answer is known."""


class _Replica:
    def __init__(self, driver: Driver, number: int) -> None:
        self.driver = driver
        self.number = number
        self.is_good = False


_written: ContextVar[dict[object, float]] = ContextVar("oxidite.db.written")
"""When this piece of work wrote last, by driver."""
_pinned: ContextVar[bool] = ContextVar("oxidite.db.pinned", default=False)


@contextlib.contextmanager
def pinned() -> Iterator[None]:
    """Read where it is written inside the block."""
    before = _pinned.get()
    _pinned.set(True)
    try:
        yield
    finally:
        _pinned.set(before)


class ReplicatedDriver(Driver):
    """One database to write to, and copies of it to read from."""

    def __init__(
        self, primary: Driver, replicas: Sequence[Driver], options: DatabaseOptions
    ) -> None:
        self.primary = primary
        self._replicas = [_Replica(each, number) for number, each in enumerate(replicas, 1)]
        self._sticky = options.sticky
        self._max_lag = options.max_lag
        self._stack = AsyncExitStack()

    @property
    def address(self) -> str | None:
        """The URL of where it is written."""
        return self.primary.address

    @property
    def dialect(self) -> Dialect:
        """What the database can do."""
        return self.primary.dialect

    @property
    def pools(self) -> dict[str, PoolStats]:
        """How the pools of all of them are."""
        found = dict(self.primary.pools)
        for each in self._replicas:
            found |= {
                f"replica{each.number}.{name}": stats for name, stats in each.driver.pools.items()
            }
        return found

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.primary)
            for each in self._replicas:
                looking = asyncio.create_task(self._look_after(each))
                stack.push_async_callback(_ended, looking)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def route(self) -> Hashable:
        """Tell where the calling code reads now."""
        return "replica" if self._good() and not self._has_written() else "primary"

    def connection(self, *, write: bool) -> AbstractAsyncContextManager[Connection]:
        """Take a connection to where it is written, or to a replica."""
        if write:
            return self._to_write()
        good = self._good()
        if not good or self._has_written():
            return self.primary.connection(write=False)
        return self._to_read(random.choice(good))

    @property
    def has_channels(self) -> bool:
        """Whether a connection to where it is written can ``listen``."""
        return self.primary.has_channels

    def beside(self, name: str, pool: PoolOptions) -> Driver:
        """Return one for the place beside where it is written."""
        return self.primary.beside(name, pool)

    def lock(self, name: str, timeout: float | None) -> AbstractAsyncContextManager[None]:
        """Take a lock where it is written."""
        return self.primary.lock(name, timeout)

    @contextlib.asynccontextmanager
    async def _to_write(self) -> AsyncIterator[Connection]:
        self._note()
        async with self.primary.connection(write=True) as connection:
            try:
                yield connection
            finally:
                self._note()  # what was begun long ago is committed only now

    @contextlib.asynccontextmanager
    async def _to_read(self, replica: _Replica) -> AsyncIterator[Connection]:
        async with AsyncExitStack() as stack:
            try:
                connection = await stack.enter_async_context(replica.driver.connection(write=False))
            except (BackendUnavailableError, PoolTimeoutError) as exc:
                if isinstance(exc, BackendUnavailableError):
                    self._leave(replica, str(exc))
                connection = await stack.enter_async_context(self.primary.connection(write=False))
                yield connection
                return
            try:
                yield connection
            except BackendUnavailableError as exc:
                self._leave(replica, str(exc))
                raise

    # Who has written.

    def _note(self) -> None:
        try:
            _written.get()[self] = perf()
        except LookupError:
            _written.set({self: perf()})

    def _has_written(self) -> bool:
        if _pinned.get():
            return True
        written = _written.get(None)
        return written is not None and perf() - written.get(self, -self._sticky) < self._sticky

    # How they are.

    def _good(self) -> list[_Replica]:
        return [each for each in self._replicas if each.is_good]

    def _leave(self, replica: _Replica, why: str) -> None:
        if replica.is_good:
            replica.is_good = False
            _logger.warning("replica %d is not read from any more: %s", replica.number, why)
            event("db.replica.left", replica=replica.number, why=why)

    async def _look_after(self, replica: _Replica) -> None:
        """Open a replica, now or when it is there, and see again and again how it is."""
        async with AsyncExitStack() as stack:
            is_open = False
            while True:
                try:
                    if not is_open:
                        await stack.enter_async_context(replica.driver)
                        is_open = True
                    await self._look(replica)
                except (OxiditeError, TimeoutError) as exc:
                    if isinstance(exc, ConfigError):
                        raise
                    self._leave(replica, str(exc) or "it does not answer")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK):
                        await asyncio.get_running_loop().create_future()

    async def _look(self, replica: _Replica) -> None:
        sql = _LAG.get(self.dialect.name)
        async with asyncio.timeout(_LOOK), replica.driver.connection(write=False) as connection:
            if sql is None:
                await connection.ping()
                lag = 0.0
            else:
                ((lag,),) = await connection.fetch(sql, ())
        # One that never replayed anything says nothing.
        if lag is None or lag > self._max_lag:
            self._leave(
                replica, f"it is {'an unknown time' if lag is None else f'{lag:.1f} s'} behind"
            )
        elif not replica.is_good:
            replica.is_good = True
            _logger.info("replica %d is read from", replica.number)
            event("db.replica.joined", replica=replica.number)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled() and task.exception() is not None:
        _logger.error("a replica was not looked after", exc_info=task.exception())
