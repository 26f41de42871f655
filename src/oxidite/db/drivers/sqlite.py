"""SQLite, through aiosqlite: one thread for each connection, one hop for each statement.

SQLite has one writer at a time. So there is one connection for writing, behind a lock, and others for
reading, which see what was committed (WAL). A transaction that writes begins with ``BEGIN IMMEDIATE``:
one that only becomes a writer later would fail at once instead of waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import SplitResult, unquote

import aiosqlite

from oxidite.db.base import Connection, Done, Driver, Isolation
from oxidite.db.dialects import SQLITE, Dialect
from oxidite.db.drivers.sqlite_functions import FUNCTIONS
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
from oxidite.errors import BackendUnavailableError, ConfigError, FieldError

__all__ = ["SQLiteDriver"]

_PRAGMAS = (
    "foreign_keys=ON",
    "busy_timeout=5000",
    "synchronous=NORMAL",
    "temp_store=MEMORY",
    # As everywhere else; `ilike` compares in lower case.
    "case_sensitive_like=ON",
)
_END = 5.0
"""Seconds that a statement may take to stop when it is interrupted."""


class SQLiteConnection(Connection):
    """A connection in a thread of its own."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self.is_broken: bool = False

    async def fetch(self, sql: str, values: Sequence[object]) -> Sequence[Any]:
        """Run a statement and return all its rows."""
        with _errors():
            rows: Sequence[Any] = await self._whole(self._connection.execute_fetchall(sql, values))
        return rows

    async def run(self, sql: str, values: Sequence[object]) -> Done:
        """Run a statement that has no rows."""
        with _errors():
            cursor = await self._whole(self._connection.execute(sql, values))
        return Done(cursor.rowcount, cursor.lastrowid)

    async def run_many(self, sql: str, rows: Sequence[Sequence[object]]) -> Done:
        """Run a statement once for each of ``rows``."""
        with _errors():
            cursor = await self._whole(self._connection.executemany(sql, rows))
        return Done(cursor.rowcount)

    async def fetch_named(self, sql: str, values: Sequence[object]) -> Sequence[Any]:
        """Run a statement and return all its rows, with their names."""
        with _errors():
            cursor = await self._whole(self._connection.execute(sql, values))
            cursor.row_factory = sqlite3.Row
            rows: Sequence[Any] = await self._whole(cursor.fetchall())
        return rows

    async def stream(
        self, sql: str, values: Sequence[object], size: int
    ) -> AsyncIterator[Sequence[Any]]:
        """Yield the rows by ``size``."""
        with _errors():
            async with self._connection.execute(sql, values) as cursor:
                cursor.row_factory = sqlite3.Row
                while rows := await cursor.fetchmany(size):
                    yield list(rows)

    async def begin(self, *, isolation: Isolation | None, read_only: bool) -> None:
        """Begin a transaction; every one is serialisable here."""
        await self.run("BEGIN DEFERRED" if read_only else "BEGIN IMMEDIATE", ())

    async def commit(self) -> None:
        """End the transaction and keep what was done."""
        await self.run("COMMIT", ())

    async def rollback(self) -> None:
        """End the transaction, if one is still open, and undo what was done."""
        if self._connection.in_transaction:
            await self.run("ROLLBACK", ())

    async def close(self) -> None:
        """Close it."""
        with contextlib.suppress(sqlite3.Error, ValueError):
            await self._connection.close()

    async def _whole(self, statement: Any) -> Any:
        """Wait for a statement; when cancelled, stop it first: its thread would go on."""
        task = asyncio.ensure_future(statement)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await self._stop(task)
            raise

    async def _stop(self, task: asyncio.Future[Any]) -> None:
        await self._connection.interrupt()
        done, _ = await asyncio.wait((task,), timeout=_END)
        if not done:
            self.is_broken = True
        elif not task.cancelled():
            task.exception()  # looked at, so that nobody reports it


class SQLiteDriver(Driver):
    """A file, or a database in memory that ends with the driver."""

    def __init__(self, path: Path | None, *, readers: int = 4, timeout: float = 10.0) -> None:
        self.path = path
        self._writer: SQLiteConnection | None = None
        self._writing = asyncio.Lock()
        self._readers: Pool[SQLiteConnection] = Pool(self._connect, size=readers, timeout=timeout)
        self._timeout = timeout

    @classmethod
    def from_url(cls, url: SplitResult, *, resources: Sequence[object] = ()) -> Self:
        """``sqlite:///relative``, ``sqlite:////absolute``, ``sqlite://`` in memory."""
        if url.netloc:
            raise ConfigError(
                f"sqlite://{url.netloc} names a host. A file is sqlite:///app.db, with three slashes; "
                "with four it is an absolute path."
            )
        path = unquote(url.path.removeprefix("/"))
        return cls(Path(path) if path else None)

    @property
    def dialect(self) -> Dialect:
        """What SQLite can do."""
        return SQLITE

    @property
    def has_one_connection(self) -> bool:
        """Whether it is in memory: then there is no way to it but the one connection."""
        return self.path is None

    async def __aenter__(self) -> Self:
        self._writer = await self._connect()
        if self.path is not None:
            await self._writer.fetch("PRAGMA journal_mode=WAL", ())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._readers.close()
        if self._writer is not None:
            await self._writer.close()
            self._writer = None

    @contextlib.asynccontextmanager
    async def connection(self, *, write: bool) -> AsyncIterator[SQLiteConnection]:
        """Take the connection that writes, or one that reads."""
        if not write and self.path is not None:
            async with self._readers.connection() as reader:
                yield reader
            return
        async with self._writing:
            if self._writer is None or self._writer.is_broken:
                self._writer = await self._connect()
            yield self._writer

    async def _connect(self) -> SQLiteConnection:
        path = ":memory:" if self.path is None else str(self.path)
        try:
            made = await aiosqlite.connect(path, isolation_level=None, cached_statements=256)
        except sqlite3.Error as exc:
            raise BackendUnavailableError(
                f"The SQLite database {path} cannot be opened: {exc}. Does the folder exist, and may "
                "it be written?"
            ) from exc
        for pragma in _PRAGMAS:
            await made.execute_fetchall(f"PRAGMA {pragma}")
        for name, (width, function) in FUNCTIONS.items():
            await made.create_function(name, width, function, deterministic=True)
        return SQLiteConnection(made)


@contextlib.contextmanager
def _errors() -> Any:
    try:
        yield
    except sqlite3.IntegrityError as exc:
        raise _constraint(exc) from exc
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise ConflictingTransactionsError(
                "The SQLite file was locked by another process for too long. Try again."
            ) from exc
        raise DatabaseError(f"SQLite: {exc}") from exc
    except (OverflowError, sqlite3.InterfaceError, sqlite3.ProgrammingError) as exc:
        raise QueryError(f"A value cannot be bound: {exc}") from exc
    except sqlite3.Error as exc:
        raise DatabaseError(f"SQLite: {exc}") from exc


_CONSTRAINTS: dict[str, tuple[type[ConstraintError], str]] = {
    "UNIQUE": (UniqueError, "is taken"),
    "NOT NULL": (NotNullError, "is missing"),
    "FOREIGN KEY": (MissingReferenceError, "refers to nothing, or is still referred to"),
    "CHECK": (CheckError, "breaks a rule"),
}


def _constraint(exc: sqlite3.IntegrityError) -> ConstraintError:
    found = re.fullmatch(r"(\w+(?: \w+)?) constraint failed(?:: (.*))?", str(exc))
    kind, detail = found.groups() if found else ("", None)
    error, message = _CONSTRAINTS.get(kind, (ConstraintError, str(exc)))
    columns = [each.rpartition(".")[2] for each in (detail or "").split(", ") if "." in each]
    fields = [FieldError("body", message, pointer=f"/{name}", code=error.code) for name in columns]
    return error(
        fields or [FieldError("body", message, pointer="", code=error.code)], constraint=detail
    )
