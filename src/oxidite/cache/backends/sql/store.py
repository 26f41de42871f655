"""The database of a cache: connections of its own, and what goes wrong with it as errors of a backend."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar, cast

from oxidite.cache.backends.sql.batches import Batches, Make
from oxidite.cache.backends.sql.tables import TABLES
from oxidite.db.connections.base import Driver
from oxidite.db.connections.steps import Steps
from oxidite.db.errors import ConflictingTransactionsError
from oxidite.db.outbox.own_connections import OwnConnections

__all__ = ["Store", "rest"]

P = ParamSpec("P")
T = TypeVar("T")

_TRIES = 5
"""How often what stood in the way of another process is tried."""
_PAUSE = 0.02
"""The longest pause before it is tried again, in seconds."""


class Store(OwnConnections):
    """A database that nobody else in this process uses the connections of.

    So nothing here waits for an open transaction of the application, and nothing is undone with one.
    """

    def __init__(self, driver: Driver, *, timeout: float) -> None:
        super().__init__(driver, TABLES, user="cache")
        self._timeout = timeout
        self._reads: Batches | None = None
        self._writes: Batches | None = None

    async def open(self) -> None:
        """Connect, and make the tables."""
        await super().open()
        if self.dialect.name == "sqlite":
            # It has a thread for each connection, and one that writes, which waits for other processes
            # for as long as it may: nothing is tried again there.
            self._reads = Batches(self._read, most=2, writes=False)
            self._writes = Batches(self._write, most=1, writes=True)

    async def read(self, steps: Callable[P, Steps[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run steps that change nothing."""
        with self.translated():
            if self._reads is not None:
                found = await self._reads.do(partial(steps, *args, **kwargs), self._timeout)
                return cast("T", found)
            async with asyncio.timeout(self._timeout):
                return await self._read(partial(steps, *args, **kwargs))

    async def write(self, steps: Callable[P, Steps[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run steps, again if they stood in the way of others."""
        with self.translated():
            if self._writes is not None:
                done = await self._writes.do(partial(steps, *args, **kwargs), self._timeout)
                return cast("T", done)
            async with asyncio.timeout(self._timeout):
                for left in range(_TRIES - 1, -1, -1):
                    try:
                        return await self._write(partial(steps, *args, **kwargs))
                    except ConflictingTransactionsError:
                        if not left:
                            raise
                    await rest(random.uniform(0, _PAUSE))
        raise AssertionError("unreachable")

    async def _read(self, make: Make[T]) -> T:
        async with self.driver.connection(write=False) as connection:
            return await connection.follow(make())

    async def _write(self, make: Make[T]) -> T:
        async with self.driver.connection(write=True) as connection:
            return await connection.follow(make())

    async def write_long(
        self, steps: Callable[P, Steps[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run steps that may take as long as it takes."""
        with self.translated():
            async with self.driver.connection(write=True) as connection:
                return await connection.follow(steps(*args, **kwargs))


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
    timer = loop.call_later(seconds, _is_over, over)
    try:
        await over
    finally:
        timer.cancel()


def _is_over(future: asyncio.Future[None]) -> None:
    if not future.done():  # who waits may have been cancelled in this turn of the loop
        future.set_result(None)
