"""The database of a cache: connections of its own, and what goes wrong with it as errors of a backend."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import ParamSpec, TypeVar

from oxidite.cache.backends.sql.tables import TABLES
from oxidite.db.connections.base import Connection, Driver
from oxidite.db.connections.steps import Steps
from oxidite.db.connections.transaction import TransactionBlock
from oxidite.db.errors import (
    ConflictingTransactionsError,
    DatabaseError,
    LockTimeoutError,
    PoolTimeoutError,
    QueryError,
)
from oxidite.db.sql.plan import Plans
from oxidite.db.values.dialects import Dialect
from oxidite.errors import BackendError, BackendTimeoutError, BackendUnavailableError

__all__ = ["Store", "rest"]

P = ParamSpec("P")
T = TypeVar("T")

_TRIES = 5
"""How often what stood in the way of another process is tried."""
_PAUSE = 0.02
"""The longest pause before it is tried again, in seconds."""


class Store:
    """A database that nobody else in this process uses the connections of.

    So nothing here waits for an open transaction of the application, and nothing is undone with one.
    """

    def __init__(self, driver: Driver, *, timeout: float) -> None:
        self.driver: Driver = driver
        self._timeout = timeout
        self._plans: Plans | None = None

    @property
    def dialect(self) -> Dialect:
        """What it can do."""
        return self.driver.dialect

    @property
    def plans(self) -> Plans:
        """None; another object each time it is opened."""
        if self._plans is None:
            raise BackendError("The cache is not open. Give it to Oxidite(resources=[cache]).")
        return self._plans

    def connection(self, *, write: bool) -> AbstractAsyncContextManager[Connection]:
        """Take a connection for one statement."""
        return self.driver.connection(write=write)

    def transaction(self) -> TransactionBlock:
        """Begin a transaction."""
        return TransactionBlock(self, None, read_only=False, retry=0)

    async def open(self) -> None:
        """Connect, and make the tables."""
        with _translated():
            await self.driver.__aenter__()
            try:
                self._plans = Plans(self.driver.dialect)
                await TABLES.ensure(self)
            except BaseException:
                await self.close()
                raise

    async def close(self) -> None:
        """Close the connections."""
        self._plans = None
        await self.driver.__aexit__(None, None, None)

    async def read(self, steps: Callable[P, Steps[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run steps that change nothing."""
        with _translated():
            async with (
                asyncio.timeout(self._timeout),
                self.driver.connection(write=False) as connection,
            ):
                return await connection.follow(steps(*args, **kwargs))

    async def write(self, steps: Callable[P, Steps[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run steps, again if they stood in the way of others."""
        with _translated():
            async with asyncio.timeout(self._timeout):
                for left in range(_TRIES - 1, -1, -1):
                    try:
                        async with self.driver.connection(write=True) as connection:
                            return await connection.follow(steps(*args, **kwargs))
                    except ConflictingTransactionsError:
                        # SQLite has waited for as long as it may.
                        if not left or not self.dialect.locks_rows:
                            raise
                    await rest(random.uniform(0, _PAUSE))
        raise AssertionError("unreachable")

    async def write_long(
        self, steps: Callable[P, Steps[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run steps that may take as long as it takes."""
        with _translated():
            async with self.driver.connection(write=True) as connection:
                return await connection.follow(steps(*args, **kwargs))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Raise an error of backends for one of databases, which is its cause."""
    try:
        yield
    except (TimeoutError, PoolTimeoutError, LockTimeoutError) as exc:
        raise BackendTimeoutError(f"The cache's database took too long: {_told(exc)}") from exc
    except ConflictingTransactionsError as exc:
        raise BackendUnavailableError(f"The cache's database is busy: {_told(exc)}") from exc
    except (DatabaseError, QueryError) as exc:
        raise BackendError(f"The cache's database: {_told(exc)}") from exc


def _told(exc: Exception) -> str:
    return str(exc) or type(exc).__name__


async def rest(seconds: float, until: asyncio.Event | None = None) -> None:
    """Wait in real time, for an event or ``seconds``: other processes do not travel."""
    if until is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await until.wait()
        return
    # PERF: half of what a time-out costs, many times a second.
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    timer = loop.call_later(seconds, over.set_result, None)
    try:
        await over
    finally:
        timer.cancel()
