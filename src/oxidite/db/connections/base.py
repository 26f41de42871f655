"""What a driver is: the way to one database, by SQL and values."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from oxidite.db.connections.pooled import PoolStats
from oxidite.db.errors import DatabaseError
from oxidite.db.values.dialects import Dialect

__all__ = ["Connection", "Done", "Driver", "Isolation"]

Isolation: TypeAlias = Literal["read committed", "repeatable read", "serializable"]


class Done(NamedTuple):
    """What a statement without rows did: to how many rows, and the key of the one it inserted.

    MySQL tells the key of the first of several rows; the others follow it by ``id_step``.
    """

    rowcount: int
    last_id: int | None = None
    id_step: int = 1


class Connection(Protocol):
    """One connection, used by one task at a time.

    Values are as the driver takes them; rows are read by position. The errors are those of
    ``db/errors.py`` and of ``oxidite.errors``. After a cancelled statement the connection is in order
    again, or says in ``is_broken`` that it is not.
    """

    is_broken: bool
    """Whether it must not be used again."""

    async def fetch(self, sql: str, values: Sequence[object]) -> Sequence[Any]:
        """Run a statement and return all its rows."""
        ...

    async def run(self, sql: str, values: Sequence[object]) -> Done:
        """Run a statement that has no rows."""
        ...

    async def run_many(self, sql: str, rows: Sequence[Sequence[object]]) -> Done:
        """Run a statement once for each of ``rows``, in one go.

        Returns how many rows it touched in all, -1 where the driver does not know.
        """
        ...

    async def fetch_named(self, sql: str, values: Sequence[object]) -> Sequence[Any]:
        """Run a statement and return all its rows; each is read by position and has ``keys()``."""
        ...

    async def copy(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        """Write many rows by the database's own way for that; where ``Dialect.copies`` says so."""
        raise DatabaseError("This database has no COPY.")

    def stream(self, sql: str, values: Sequence[object], size: int) -> AsyncIterator[Sequence[Any]]:
        """Yield the rows by ``size`` as they are read, inside a transaction; they have ``keys()``."""
        ...

    async def begin(self, *, isolation: Isolation | None, read_only: bool) -> None:
        """Begin a transaction."""
        ...

    async def commit(self) -> None:
        """End it and keep what was done."""
        ...

    async def rollback(self) -> None:
        """End it and undo what was done."""
        ...

    async def ping(self) -> None:
        """Ask for a sign of life; raises if there is none."""
        await self.fetch("SELECT 1", ())


class Driver(AbstractAsyncContextManager["Driver"], Protocol):
    """Opens connections and keeps them."""

    @property
    def dialect(self) -> Dialect:
        """What the database can do; known once it is open."""
        ...

    @property
    def has_one_connection(self) -> bool:
        """Whether all share one connection, so that who keeps it keeps it from everybody."""
        return False

    @property
    def pools(self) -> dict[str, PoolStats]:
        """How its pools are, by what they are for; empty where there is none."""
        return {}

    def route(self) -> Hashable:
        """Tell where the calling code reads; ``None`` where there is only one place."""
        return None

    def connection(self, *, write: bool) -> AbstractAsyncContextManager[Connection]:
        """Take a connection, for a statement or a transaction.

        Raises:
            PoolTimeoutError: none came back in time.
            BackendUnavailableError: the database cannot be reached.
        """
        ...

    def lock(self, name: str, timeout: float | None) -> AbstractAsyncContextManager[None]:
        """Take the lock of that name, which one holder at a time can have, in any process.

        It ends with its holder, however that one ends. ``timeout`` is in seconds.

        Raises:
            LockTimeoutError: it was not free in time.
        """
        raise DatabaseError(f"The driver of {self.dialect.product} has no locks by name.")
