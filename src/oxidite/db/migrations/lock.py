"""One changes a schema at a time; the others wait until it is done.

PostgreSQL and MariaDB have locks by name that end with the connection, so one that was killed holds
nothing. Who waits asks again and again: a statement that waits would itself be in the way of an index
that is made concurrently. SQLite has no such locks; there it is one of the operating system, on the
folder of the file.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from oxidite.clock import perf, sleep
from oxidite.db.connections.base import Connection
from oxidite.db.errors import DatabaseError
from oxidite.db.values.dialects import Dialect

__all__ = ["LockTimeoutError", "MigrationLock", "migration_lock"]

_PAUSE = 0.2
"""Seconds between two attempts."""

Acquire = Callable[[], Awaitable[bool]]


class LockTimeoutError(DatabaseError):
    """Somebody else changes the schema, and does not come to an end."""

    code = "migration_lock"


class MigrationLock:
    """How long to wait, in seconds, and what to call when there is something to wait for."""

    def __init__(self, *, wait: float = 600.0, waiting: Callable[[], object] | None = None) -> None:
        self.wait: float = wait
        self.waiting: Callable[[], object] | None = waiting


@contextlib.asynccontextmanager
async def migration_lock(
    connection: Connection, dialect: Dialect, options: MigrationLock, *, file: Path | None
) -> AsyncIterator[None]:
    """Hold the lock of a database; ``file`` is that of SQLite.

    Raises:
        LockTimeoutError: it was not free in time.
    """
    if dialect.name == "sqlite":
        async with _locked_folder(file, options):
            yield
        return
    take, give_back = await _by_name(connection, dialect.name)
    await _acquire(_by_query(connection, take), options)
    try:
        yield
    finally:
        if not connection.is_broken:
            await connection.fetch(give_back, ())


@contextlib.asynccontextmanager
async def _locked_folder(file: Path | None, options: MigrationLock) -> AsyncIterator[None]:
    if file is None:  # in memory there is nobody else
        yield
        return
    # The folder, because SQLite would lose its own locks on the file if that were closed here.
    folder = _open_folder(file)
    try:
        await _acquire(_folder(folder), options)
        yield
    finally:
        os.close(folder)


def _open_folder(file: Path) -> int:
    return os.open(file.absolute().parent, os.O_RDONLY)


async def _by_name(connection: Connection, dialect: str) -> tuple[str, str]:
    """Return the SQL that takes a lock of this schema, and that gives it back."""
    if dialect == "postgresql":
        name = await connection.fetch("SELECT current_schema()", ())
        key = int.from_bytes(_digest(str(name[0][0]))[:8], "big", signed=True)
        return f"SELECT pg_try_advisory_lock({key})", f"SELECT pg_advisory_unlock({key})"
    name = await connection.fetch("SELECT DATABASE()", ())
    text = f"oxidite_{_digest(str(name[0][0])).hex()[:40]}"
    return f"SELECT GET_LOCK('{text}', 0)", f"SELECT RELEASE_LOCK('{text}')"


async def _acquire(acquire: Acquire, options: MigrationLock) -> None:
    until = perf() + options.wait
    has_told = False
    while not await acquire():
        if perf() > until:
            raise LockTimeoutError(
                f"Another process has been changing the schema for {options.wait:g} s. Nothing was "
                "done. See what it does, or wait longer: --wait."
            )
        if not has_told and options.waiting is not None:
            options.waiting()
            has_told = True
        await sleep(_PAUSE)


def _digest(name: str) -> bytes:
    return hashlib.sha256(f"oxidite_migrations {name}".encode()).digest()


def _by_query(connection: Connection, sql: str) -> Acquire:
    async def acquire() -> bool:
        return bool((await connection.fetch(sql, ()))[0][0])

    return acquire


def _folder(descriptor: int) -> Acquire:
    async def acquire() -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    return acquire
