"""Tests with a database: everything that a test did is undone, and each worker has one of its own.

::

    @pytest.fixture
    async def database() -> AsyncIterator[Database]:
        async with sandbox(db):
            yield db
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit, urlunsplit

from oxidite.config import env
from oxidite.db.connections.base import Connection, Done, Driver, Isolation
from oxidite.db.database import Database
from oxidite.db.drivers import drivers
from oxidite.db.errors import DatabaseError, PoolTimeoutError
from oxidite.db.factories import reset_factories
from oxidite.db.values.dialects import Dialect
from oxidite.errors import ConfigError

__all__ = ["sandbox", "worker_database"]

_PATIENCE = 10.0
"""Seconds to wait for another task's turn, as for a connection of a pool."""
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,40}")


@contextlib.asynccontextmanager
async def sandbox(db: Database) -> AsyncIterator[Database]:
    """Undo at the end whatever is done with ``db`` inside, by whomever.

    All of it runs on one connection, in one transaction that is rolled back. A transaction of the code
    under test is a savepoint of it: it commits, what it registered with ``on_commit`` is called, and
    what it undoes is undone. Tasks take turns: a statement, or a whole transaction, at a time. An
    application whose resource ``db`` is may be opened inside, by a ``Client``; not by a ``LiveServer``,
    which has an event loop of its own.

    Two things are not as in life: ``isolation`` and ``read_only`` of a transaction do nothing, and where
    the database ends a transaction when a table is made (MariaDB), make tables before. Factories begin
    anew, with their first number.
    """
    reset_factories()
    async with db:
        outside = db.driver
        async with outside.connection(write=True) as connection:
            await connection.begin(isolation=None, read_only=False)
            inside = db.driver = _SandboxDriver(outside.dialect, connection)
            try:
                yield db
            finally:
                db.driver = outside
                await asyncio.shield(inside.end())


class _SandboxDriver(Driver):
    """Gives the one connection to whoever's turn it is."""

    def __init__(self, dialect: Dialect, connection: Connection) -> None:
        self._dialect = dialect
        self._connection = connection
        self._turn = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def dialect(self) -> Dialect:
        """What the database can do."""
        return self._dialect

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave the connection open: it is the sandbox's."""

    @contextlib.asynccontextmanager
    async def connection(self, *, write: bool) -> AsyncIterator[Connection]:
        """Wait for a turn.

        Raises:
            PoolTimeoutError: another task does not end its transaction.
            DatabaseError: the connection was closed.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise DatabaseError(
                "A sandbox has one connection, which belongs to the event loop of the test. Use Client, "
                "which runs the application there, instead of LiveServer."
            )
        task = asyncio.current_task()
        if task is self._holder:
            # Inside a transaction of its own: what does not go through that one, such as `push`.
            yield _Borrowed(self._usable(), self._dialect)
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._turn.acquire()
        except TimeoutError:
            raise PoolTimeoutError(
                f"In a sandbox there is one connection, and another task has been in a transaction for "
                f"{_PATIENCE:g} s. Does it wait for this one?"
            ) from None
        self._holder = task
        try:
            borrowed = _Borrowed(self._usable(), self._dialect)
            try:
                yield borrowed
            finally:
                if borrowed.is_broken:
                    self._connection.is_broken = True
        finally:
            self._holder = None
            self._turn.release()

    async def end(self) -> None:
        """Undo everything, when the last turn is over."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._turn.acquire()
        except TimeoutError:
            self._connection.is_broken = True
        # One that was closed has undone everything by that.
        if not self._connection.is_broken:
            await self._connection.rollback()

    def _usable(self) -> Connection:
        if self._connection.is_broken:
            raise DatabaseError(
                "The connection of the sandbox was closed: a statement was cancelled, or the database went "
                "away. What the test did is undone, and it cannot go on."
            )
        return self._connection


_names = count(1)


class _Borrowed(Connection):
    """The connection of a sandbox, for one statement or one transaction."""

    def __init__(self, connection: Connection, dialect: Dialect) -> None:
        self._connection = connection
        self._dialect = dialect
        self._savepoint: str | None = None
        self.is_broken: bool = connection.is_broken

    async def fetch(self, sql: str, values: Sequence[object]) -> Sequence[Any]:
        """Run a statement and return all its rows."""
        async with self._statement() as connection:
            return await connection.fetch(sql, values)

    async def run(self, sql: str, values: Sequence[object]) -> Done:
        """Run a statement that has no rows."""
        if not self._dialect.transactional_ddl and _DDL.match(sql):
            raise DatabaseError(
                f"{self._dialect.product} would keep all that this test did: it commits before it changes the "
                "schema. Make the tables before the sandbox."
            )
        async with self._statement() as connection:
            return await connection.run(sql, values)

    async def run_many(self, sql: str, rows: Sequence[Sequence[object]]) -> Done:
        """Run a statement once for each of ``rows``."""
        async with self._statement() as connection:
            return await connection.run_many(sql, rows)

    async def fetch_named(self, sql: str, values: Sequence[object]) -> Sequence[Any]:
        """Run a statement and return all its rows, with their names."""
        async with self._statement() as connection:
            return await connection.fetch_named(sql, values)

    async def copy(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        """Write many rows by the database's own way for that."""
        async with self._statement() as connection:
            await connection.copy(table, columns, rows)

    async def stream(
        self, sql: str, values: Sequence[object], size: int
    ) -> AsyncIterator[Sequence[Any]]:
        """Yield the rows by ``size``."""
        async for rows in self._connection.stream(sql, values, size):
            yield rows

    async def begin(self, *, isolation: Isolation | None, read_only: bool) -> None:
        """Begin a transaction: a savepoint here."""
        self._savepoint = await _save(self._connection)

    async def commit(self) -> None:
        """End it and keep what was done, until the sandbox ends."""
        if self._savepoint is not None:
            await self._connection.run(f"RELEASE SAVEPOINT {self._savepoint}", ())
            self._savepoint = None

    async def rollback(self) -> None:
        """End it and undo what was done."""
        if self._savepoint is not None and not self._connection.is_broken:
            await _undo(self._connection, self._savepoint)
        self._savepoint = None

    def __getattr__(self, name: str) -> Any:
        # What a driver can do beyond what every one can.
        return getattr(self._connection, name)

    @contextlib.asynccontextmanager
    async def _statement(self) -> AsyncIterator[Connection]:
        """Keep a statement that fails from taking with it what was done before.

        Outside of a transaction nothing else is lost with it; inside, databases differ, as they do
        without a sandbox.
        """
        connection = self._connection
        if self._savepoint is not None:
            yield connection
            return
        name = await _save(connection)
        try:
            yield connection
        except BaseException:
            if not connection.is_broken:
                await asyncio.shield(_undo(connection, name))
            raise
        await connection.run(f"RELEASE SAVEPOINT {name}", ())


_DDL = re.compile(r"\s*(?:CREATE|ALTER|DROP|RENAME|TRUNCATE)\b", re.IGNORECASE)


async def _save(connection: Connection) -> str:
    name = f"ox_sandbox_{next(_names)}"
    await connection.run(f"SAVEPOINT {name}", ())
    return name


async def _undo(connection: Connection, savepoint: str) -> None:
    await connection.run(f"ROLLBACK TO SAVEPOINT {savepoint}", ())
    await connection.run(f"RELEASE SAVEPOINT {savepoint}", ())


@contextlib.contextmanager
def worker_database(url: str, *, worker: str | None = None) -> Iterator[str]:
    """Make a database for one process of a test run, yield its URL, and drop it at the end.

    It is called as that of ``url``, with the worker of pytest-xdist behind it: ``app_gw0``, without
    xdist ``app_main``. One that is left of a run that was killed is dropped first. The database of
    ``url`` itself is used to make it, and stays as it is; ``sqlite://`` in memory needs none.

    Not async, so that a fixture of a whole session may use it.

    Raises:
        ConfigError: the URL names no database, or one with an unusual name.
    """
    name = worker or env("PYTEST_XDIST_WORKER", "main")
    parts = urlsplit(url)
    path = unquote(parts.path.removeprefix("/"))
    if parts.scheme == "sqlite":
        if not path:
            yield url
            return
        file = Path(path).with_stem(f"{Path(path).stem}_{name}")
        _remove(file)
        try:
            yield f"sqlite:///{file}"
        finally:
            _remove(file)
        return
    made = f"{path}_{name}".lower()
    if not path or not _NAME.fullmatch(made):
        raise ConfigError(
            f"A database for tests is called as that of the URL with {name!r} behind it, in letters, digits "
            f"and '_', and {path!r} is no beginning of that."
        )
    drop = f"DROP DATABASE IF EXISTS {made}"
    if parts.scheme == "postgresql":
        drop += " WITH (FORCE)"  # what still is connected is of this run
    run_apart(url, drop, f"CREATE DATABASE {made}")
    try:
        yield urlunsplit(parts._replace(path=f"/{made}"))
    finally:
        run_apart(url, drop)


def _remove(file: Path) -> None:
    for end in ("", "-wal", "-shm"):
        file.with_name(file.name + end).unlink(missing_ok=True)


def run_apart(url: str, *statements: str) -> None:
    """Run statements in an event loop of their own, in a thread: there may be one running here."""

    async def run() -> None:
        async with drivers.create(url) as driver, driver.connection(write=True) as connection:
            for sql in statements:
                await connection.run(sql, ())

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, run()).result()
