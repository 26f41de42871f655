"""Connections for tables of the package that are not, or not always, those of the application.

What goes wrong with them is raised as an error of backends: whoever keeps something there is told what a
service of any other kind would have told.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

from oxidite.db.connections.base import Connection, Driver
from oxidite.db.connections.transaction import TransactionBlock
from oxidite.db.connections.watching import Watch
from oxidite.db.errors import (
    ConflictingTransactionsError,
    DatabaseError,
    LockTimeoutError,
    PoolTimeoutError,
    QueryError,
)
from oxidite.db.outbox.own_tables import OwnTables
from oxidite.db.sql.plan import Plans
from oxidite.db.values.dialects import Dialect
from oxidite.errors import BackendError, BackendTimeoutError, BackendUnavailableError

__all__ = ["OwnConnections"]


class OwnConnections:
    """The way to ``tables``, by connections that nobody else in this process uses.

    ``user`` is whom errors speak of: ``cache``. Without a ``driver`` a subclass finds it when it opens.
    """

    def __init__(self, driver: Driver | None, tables: OwnTables, *, user: str) -> None:
        self._driver = driver
        self._tables = tables
        self._user = user
        self._plans: Plans | None = None
        # Nobody asks what it counts: what the user does is told as the user's.
        self._watch = Watch(math.inf, user)

    @property
    def driver(self) -> Driver:
        """The way to the database."""
        if self._driver is None:
            raise self._is_shut()
        return self._driver

    @property
    def dialect(self) -> Dialect:
        """What it can do."""
        return self.driver.dialect

    @property
    def plans(self) -> Plans:
        """None of its own; another object each time it is opened."""
        if self._plans is None:
            raise self._is_shut()
        return self._plans

    def connection(self, *, write: bool) -> AbstractAsyncContextManager[Connection]:
        """Take a connection for one statement."""
        return self.driver.connection(write=write)

    def transaction(self) -> TransactionBlock:
        """Begin a transaction."""
        return TransactionBlock(self, None, read_only=False, retry=0)

    async def open(self) -> None:
        """Connect, and make the tables."""
        with self.translated():
            await self.driver.__aenter__()
            try:
                self._plans = Plans(self.driver.dialect)
                await self._tables.ensure(self)
            except BaseException:
                await self.close()
                raise

    async def close(self) -> None:
        """Close the connections."""
        self._plans = None
        await self.driver.__aexit__(None, None, None)

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Raise an error of backends for one of databases, which is its cause."""
        its = f"The {self._user}'s database"
        try:
            yield
        except (TimeoutError, PoolTimeoutError, LockTimeoutError) as exc:
            raise BackendTimeoutError(f"{its} took too long: {_told(exc)}") from exc
        except ConflictingTransactionsError as exc:
            raise BackendUnavailableError(f"{its} is busy: {_told(exc)}") from exc
        except (DatabaseError, QueryError) as exc:
            raise BackendError(f"{its}: {_told(exc)}") from exc

    def _is_shut(self) -> BackendError:
        return BackendError(
            f"The {self._user} is not open. Give it to Oxidite(resources=[{self._user}])."
        )


def _told(exc: Exception) -> str:
    return str(exc) or type(exc).__name__
