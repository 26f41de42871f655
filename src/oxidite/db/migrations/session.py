"""A connection of its own for changing a schema: set up for it, locked, and not used after it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from oxidite.db.connections.base import Connection
from oxidite.db.database import Database
from oxidite.db.errors import DatabaseError
from oxidite.db.migrations.lock import MigrationLock, migration_lock

__all__ = ["session"]


@contextlib.asynccontextmanager
async def session(
    database: Database, lock: MigrationLock | None, *, lock_timeout: float
) -> AsyncIterator[Connection]:
    """Take a connection that waits ``lock_timeout`` seconds for a table, and hold the lock if given one."""
    driver, dialect = database.driver, database.dialect
    async with driver.connection(write=True) as connection:
        if dialect.name == "sqlite":
            # Outside of a transaction only; what refers to a table would go with it when it is rebuilt.
            await connection.run("PRAGMA foreign_keys=OFF", ())
        else:
            await _set_timeout(connection, dialect.name, lock_timeout)
        try:
            if lock is None:
                yield connection
            else:
                file = getattr(driver, "path", None)
                path = file if isinstance(file, Path) else None
                async with migration_lock(connection, dialect, lock, file=path):
                    yield connection
        finally:
            if dialect.name == "sqlite":
                await connection.run("PRAGMA foreign_keys=ON", ())
            else:
                # What was set belongs to the session, which ends here.
                connection.is_broken = True


async def _set_timeout(connection: Connection, dialect: str, seconds: float) -> None:
    if dialect == "postgresql":
        await connection.run(f"SET lock_timeout = '{int(seconds * 1000)}ms'", ())
        # Before PostgreSQL 14 the server does not know it; there a statement whose process was killed
        # goes on to its end, and holds its locks until then.
        with contextlib.suppress(DatabaseError):
            await connection.run("SET client_connection_check_interval = '1s'", ())
        return
    whole = max(1, round(seconds))
    await connection.run(
        f"SET SESSION lock_wait_timeout = {whole}, innodb_lock_wait_timeout = {whole}", ()
    )
