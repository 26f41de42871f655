"""The database of a cache: connections of its own, and what goes wrong with it as errors of a backend."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import ParamSpec, TypeVar

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

    async def read(self, steps: Callable[P, Steps[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run steps that change nothing."""
        with self.translated():
            async with (
                asyncio.timeout(self._timeout),
                self.driver.connection(write=False) as connection,
            ):
                return await connection.follow(steps(*args, **kwargs))

    async def write(self, steps: Callable[P, Steps[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run steps, again if they stood in the way of others."""
        with self.translated():
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
    timer = loop.call_later(seconds, over.set_result, None)
    try:
        await over
    finally:
        timer.cancel()
