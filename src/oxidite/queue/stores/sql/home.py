"""Where jobs are: a database of the application, or one that only the queue uses."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from oxidite.db import Database
from oxidite.db.connections.base import Driver
from oxidite.db.connections.steps import Steps
from oxidite.db.connections.transaction import Transaction, current_transaction
from oxidite.db.errors import ConflictingTransactionsError
from oxidite.db.outbox.own_connections import OwnConnections
from oxidite.queue.stores.sql.tables import TABLES
from oxidite.queue.stores.sql.waking import rest

__all__ = ["Home"]

P = ParamSpec("P")
T = TypeVar("T")

_TRIES = 10
"""How often what stood in the way of another process is tried."""
_PAUSE = 0.02
"""The longest pause before it is tried again the first time, in seconds."""


class Home(OwnConnections):
    """The database of a queue.

    One of the application is open already, and what is done in an open transaction of it is a part of that.
    """

    def __init__(
        self, place: Database | Driver | Callable[[], Database], *, timeout: float
    ) -> None:
        self.database: Database | None = None
        self._find: Callable[[], Database] | None = None
        driver: Driver | None = None
        if isinstance(place, Database):
            self.database = place
        elif callable(place):
            self._find = place
        else:
            driver = place
        super().__init__(driver, TABLES, user="queue")
        self._timeout = timeout

    @property
    def driver(self) -> Driver:
        """The way to it; of a database that is found when the queue is opened, from then on."""
        if self._driver is None and self.database is not None:
            return self.database.driver
        return super().driver

    async def open(self) -> None:
        """Connect, if that is left to the queue, and make the tables."""
        if self._find is not None:
            self.database = self._find()
        if self.database is None:
            await super().open()
            return
        with self.translated():
            self._plans = self.database.plans
            # It may be another one each time, as it is inside a sandbox.
            self._driver = self.database.driver
            await TABLES.ensure(self.database)

    async def close(self) -> None:
        """Close the connections, if they are the queue's own."""
        if self.database is None:
            await super().close()
        self._plans = None

    def joined(self) -> Transaction | None:
        """Return the open transaction that what is done here becomes a part of."""
        return None if self.database is None else current_transaction(self.database)

    async def read(self, steps: Callable[P, Steps[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run steps that change nothing."""
        return await self._run(lambda: steps(*args, **kwargs), within=self._timeout, write=False)

    async def write(self, steps: Callable[P, Steps[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run steps, again if they stood in the way of others."""
        return await self._run(lambda: steps(*args, **kwargs), within=self._timeout, write=True)

    async def write_long(
        self, steps: Callable[P, Steps[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run steps that may take as long as it takes."""
        return await self._run(lambda: steps(*args, **kwargs), within=None, write=True)

    async def _run(self, steps: Callable[[], Steps[T]], *, within: float | None, write: bool) -> T:
        transaction = self.joined()
        if transaction is not None:
            # What goes wrong is the transaction's, and told as it is: who repeats it must know.
            async with transaction.statement() as connection:
                return await connection.join(steps())
        _ = self.plans
        with self.translated():
            async with asyncio.timeout(within):
                for tried in range(1, _TRIES + 1):
                    try:
                        async with self.driver.connection(write=write) as connection:
                            return await connection.follow(steps())
                    except ConflictingTransactionsError:
                        # SQLite has waited for as long as it may.
                        if tried == _TRIES or not self.dialect.locks_rows:
                            raise
                    await rest(random.uniform(0, _PAUSE * tried))
        raise AssertionError("unreachable")

    def after(self, tell: Callable[[Iterable[str]], None], names: Iterable[str]) -> None:
        """Tell something once it is committed."""
        transaction = self.joined()
        if transaction is None:
            tell(names)
        else:
            told = tuple(names)
            transaction.on_commit(lambda: tell(told))
