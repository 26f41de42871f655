"""What a driver is: the way to one database, by SQL and values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, cast

from oxidite.db.connections.options import PoolOptions
from oxidite.db.connections.pooled import PoolStats
from oxidite.db.connections.steps import Ask, Steps
from oxidite.db.errors import DatabaseError
from oxidite.db.values.dialects import Dialect

__all__ = ["Connection", "Done", "Driver", "Isolation"]

T = TypeVar("T")
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

    async def follow(self, steps: Steps[T]) -> T:
        """Run statements of which each may depend on those before, as one transaction.

        One that begins with a statement ``apart`` is none: each of its statements is by itself. It is
        the only one that uses the connection meanwhile, which is in no transaction before.
        """
        try:
            ask = next(steps)
        except StopIteration as done:
            return cast("T", done.value)
        if ask.apart:
            return await self._followed(ask, steps)
        await self.begin(isolation=None, read_only=False)
        try:
            result = await self._followed(ask, steps)
            await self.commit()
        except BaseException:
            if not self.is_broken:
                await asyncio.shield(self.rollback())
            raise
        return result

    async def join(self, steps: Steps[T]) -> T:
        """Run such statements as a part of the transaction that is open."""
        try:
            ask = next(steps)
        except StopIteration as done:
            return cast("T", done.value)
        return await self._followed(ask, steps)

    async def _followed(self, ask: Ask, steps: Steps[T]) -> T:
        while True:
            answer: Any
            if ask.has_rows:
                answer = await self.fetch(ask.sql, ask.values)
            elif ask.many:
                answer = (await self.run_many(ask.sql, ask.values)).rowcount
            else:
                answer = (await self.run(ask.sql, ask.values)).rowcount
            try:
                ask = steps.send(answer)
            except StopIteration as done:
                return cast("T", done.value)

    async def listen(
        self, channel: str, hear: Callable[[str], None], lost: Callable[[], None]
    ) -> None:
        """Call ``hear`` with what is sent to a channel, until the connection ends, and then ``lost``.

        Where ``Driver.has_channels`` says so.
        """
        raise DatabaseError("This database has no channels.")

    async def ping(self) -> None:
        """Ask for a sign of life; raises if there is none."""
        await self.fetch("SELECT 1", ())


class Driver(AbstractAsyncContextManager["Driver"], Protocol):
    """Opens connections and keeps them."""

    @property
    def address(self) -> str | None:
        """The URL by which another process opens the same database; there may be a password in it.

        ``None`` if there is no such URL, as of one in memory.
        """
        return None

    @property
    def dialect(self) -> Dialect:
        """What the database can do; known once it is open."""
        ...

    @property
    def has_one_connection(self) -> bool:
        """Whether all share one connection, so that who keeps it keeps it from everybody."""
        return False

    @property
    def has_channels(self) -> bool:
        """Whether a connection can ``listen``."""
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

    def beside(self, name: str, pool: PoolOptions) -> Driver:
        """Return a driver, not yet open, to a place beside this one's, with connections of its own.

        For what is kept apart from the application's data: on a server the same database, in a file the
        one beside it, ``app.<name>.db``. Nothing of it ever waits for an open transaction here.
        """
        raise DatabaseError(f"The driver of {self.dialect.product} knows no place beside its own.")

    def lock(self, name: str, timeout: float | None) -> AbstractAsyncContextManager[None]:
        """Take the lock of that name, which one holder at a time can have, in any process.

        It ends with its holder, however that one ends. ``timeout`` is in seconds.

        Raises:
            LockTimeoutError: it was not free in time.
        """
        raise DatabaseError(f"The driver of {self.dialect.product} has no locks by name.")
