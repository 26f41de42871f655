"""PostgreSQL, through asyncpg.

Connections are pooled by us: asyncpg's pool resets a connection with a statement of its own each time
one comes back, which costs more than the query. Nothing here leaves a session state behind, except for
transactions, and those end with a commit or a rollback.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self
from urllib.parse import SplitResult, parse_qsl, urlencode, urlunsplit

import asyncpg

from oxidite.db.base import Connection, Done, Driver, Isolation
from oxidite.db.dialects import POSTGRESQL, Dialect
from oxidite.db.errors import (
    CheckError,
    ConflictingTransactionsError,
    ConstraintError,
    DatabaseError,
    MissingReferenceError,
    NotNullError,
    QueryError,
    UniqueError,
)
from oxidite.db.pool import Pool
from oxidite.errors import BackendUnavailableError, FieldError

__all__ = ["PostgreSQLDriver"]

_ROWS = re.compile(r"\d+$")


class PostgreSQLConnection(Connection):
    """A connection to PostgreSQL."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.is_broken: bool = False

    async def fetch(self, sql: str, values: Sequence[object]) -> Sequence[Any]:
        """Run a statement and return all its rows."""
        try:
            rows: Sequence[Any] = await self._connection.fetch(sql, *values)
        except BaseException as exc:
            raise self._failed(exc) from exc
        return rows

    async def run(self, sql: str, values: Sequence[object]) -> Done:
        """Run a statement that has no rows."""
        try:
            status = await self._connection.execute(sql, *values)
        except BaseException as exc:
            raise self._failed(exc) from exc
        found = _ROWS.search(status)
        return Done(int(found.group()) if found else 0)

    async def run_many(self, sql: str, rows: Sequence[Sequence[object]]) -> Done:
        """Run a statement once for each of ``rows``, in one go."""
        try:
            await self._connection.executemany(sql, rows)
        except BaseException as exc:
            raise self._failed(exc) from exc
        return Done(-1)

    async def fetch_named(self, sql: str, values: Sequence[object]) -> Sequence[Any]:
        """Run a statement and return all its rows: asyncpg's have names."""
        return await self.fetch(sql, values)

    async def copy(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        """Write many rows with COPY, in binary."""
        try:
            await self._connection.copy_records_to_table(table, columns=columns, records=rows)
        except BaseException as exc:
            raise self._failed(exc) from exc

    async def stream(
        self, sql: str, values: Sequence[object], size: int
    ) -> AsyncIterator[Sequence[Any]]:
        """Yield the rows by ``size``, through a cursor of the server."""
        try:
            cursor = await self._connection.cursor(sql, *values)
            while rows := await cursor.fetch(size):
                yield rows
        except GeneratorExit:
            raise
        except BaseException as exc:
            raise self._failed(exc) from exc

    async def begin(self, *, isolation: Isolation | None, read_only: bool) -> None:
        """Begin a transaction."""
        words = ["BEGIN"]
        if isolation is not None:
            words.append(f"ISOLATION LEVEL {isolation.upper()}")
        if read_only:
            words.append("READ ONLY")
        await self.run(" ".join(words), ())

    async def commit(self) -> None:
        """End the transaction and keep what was done."""
        await self.run("COMMIT", ())

    async def rollback(self) -> None:
        """End the transaction and undo what was done."""
        await self.run("ROLLBACK", ())

    async def close(self) -> None:
        """Close it."""
        with contextlib.suppress(Exception):
            if self.is_broken:
                self._connection.terminate()
            else:
                await self._connection.close(timeout=5)

    def _failed(self, exc: BaseException) -> BaseException:
        """Return the error to raise; a connection whose statement did not finish is not used again."""
        if isinstance(exc, asyncio.CancelledError | GeneratorExit) or self._connection.is_closed():
            self.is_broken = True
        return _error(exc)


class PostgreSQLDriver(Driver):
    """A database of a PostgreSQL server."""

    def __init__(self, dsn: str, *, size: int = 10, timeout: float = 10.0) -> None:
        self._dsn = dsn
        self._pool: Pool[PostgreSQLConnection] = Pool(self._connect, size=size, timeout=timeout)

    @classmethod
    def from_url(cls, url: SplitResult, *, resources: Sequence[object] = ()) -> Self:
        """``postgresql://user:password@host:5432/name?pool_size=20&pool_timeout=5``."""
        query = dict(parse_qsl(url.query))
        size = int(query.pop("pool_size", "10"))
        timeout = float(query.pop("pool_timeout", "10"))
        return cls(urlunsplit(url._replace(query=urlencode(query))), size=size, timeout=timeout)

    @property
    def dialect(self) -> Dialect:
        """What PostgreSQL can do."""
        return POSTGRESQL

    async def __aenter__(self) -> Self:
        # One is opened now: that the server cannot be reached is told at the start.
        taken, until = await self._pool.take()
        await self._pool.give_back(taken, until)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    @contextlib.asynccontextmanager
    async def connection(self, *, write: bool) -> AsyncIterator[PostgreSQLConnection]:
        """Take a connection."""
        taken, until = await self._pool.take()
        try:
            yield taken
        finally:
            await self._pool.give_back(taken, until)

    async def _connect(self) -> PostgreSQLConnection:
        try:
            made = await asyncpg.connect(self._dsn, statement_cache_size=500)
        except (OSError, asyncpg.PostgresError) as exc:
            raise BackendUnavailableError(
                f"PostgreSQL cannot be reached: {type(exc).__name__}: {exc}"
            ) from exc
        return PostgreSQLConnection(made)


def _error(exc: BaseException) -> BaseException:
    """Return our error for one of the driver's, others as they are."""
    match exc:
        case asyncpg.IntegrityConstraintViolationError():
            return _constraint(exc)
        case asyncpg.DataError():
            return QueryError(f"A value does not fit: {exc}")
        case asyncpg.SerializationError() | asyncpg.DeadlockDetectedError():
            return ConflictingTransactionsError()
        case (
            asyncpg.PostgresConnectionError()
            | asyncpg.exceptions.ConnectionDoesNotExistError()
            | asyncpg.AdminShutdownError()
            | asyncpg.CannotConnectNowError()
            | OSError()
        ):
            return BackendUnavailableError(f"PostgreSQL: {exc}")
        case asyncpg.PostgresError() | asyncpg.InterfaceError():
            return DatabaseError(f"PostgreSQL: {exc}")
        case _:
            return exc


_CONSTRAINTS: tuple[tuple[type[Exception], type[ConstraintError], str], ...] = (
    (asyncpg.UniqueViolationError, UniqueError, "is taken"),
    (asyncpg.NotNullViolationError, NotNullError, "is missing"),
    (
        asyncpg.ForeignKeyViolationError,
        MissingReferenceError,
        "refers to nothing, or is still referred to",
    ),
    (asyncpg.CheckViolationError, CheckError, "breaks a rule"),
)
_KEY = re.compile(r"\(([^)]*)\)=")


def _constraint(failed: Exception) -> ConstraintError:
    exc: Any = failed  # asyncpg sets its attributes from what the server says
    error, message = ConstraintError, str(exc)
    for theirs, ours, text in _CONSTRAINTS:
        if isinstance(failed, theirs):
            error, message = ours, text
    found = _KEY.search(exc.detail or "")
    names = [exc.column_name] if exc.column_name else found.group(1).split(", ") if found else []
    fields = [FieldError("body", message, pointer=f"/{name}", code=error.code) for name in names]
    return error(
        fields or [FieldError("body", message, pointer="", code=error.code)],
        constraint=exc.constraint_name,
    )
