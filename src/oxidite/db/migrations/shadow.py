"""A database that is thrown away: what a history really makes is seen there.

On PostgreSQL it is a schema in a transaction that is rolled back, so that nothing is left whatever
happens; on SQLite it is in memory; elsewhere it is a database of its own, dropped at the end.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from uuid import uuid4

from oxidite.db.connections.base import Connection
from oxidite.db.database import Database
from oxidite.db.errors import DatabaseError, QueryError
from oxidite.db.migrations.compare import differences
from oxidite.db.migrations.ddl import Writer
from oxidite.db.migrations.difference import Change
from oxidite.db.migrations.errors import MigrationError
from oxidite.db.migrations.history import History
from oxidite.db.migrations.operations import Execute, Operation, Schema
from oxidite.db.migrations.rebuild import look_at
from oxidite.db.sql.vectors import EXTENSION
from oxidite.db.values.dialects import Dialect

__all__ = ["replay", "shadow", "verify", "verify_squash"]


@contextlib.asynccontextmanager
async def shadow(database: Database) -> AsyncIterator[Connection]:
    """Open an empty database of the same kind, on the same server."""
    dialect = database.dialect
    if dialect.name == "sqlite":
        made = Database.from_url("sqlite://", name=f"shadow_{uuid4().hex}")
        async with made, made.driver.connection(write=True) as connection:
            await connection.run("PRAGMA foreign_keys=OFF", ())
            yield connection
        return
    async with database.driver.connection(write=True) as connection:
        name = f"oxidite_shadow_{uuid4().hex}"
        # Whatever is set on it ends with it.
        connection.is_broken = True
        kind: str = dialect.name
        if kind == "postgresql":
            await connection.begin(isolation=None, read_only=False)
            try:
                await connection.run(f"CREATE SCHEMA {name}", ())
                await connection.run(f"SET LOCAL search_path = {name}", ())
                yield connection
            finally:
                await connection.rollback()
            return
        await connection.run(f"CREATE DATABASE {name}", ())
        try:
            await connection.run(f"USE {name}", ())
            yield connection
        finally:
            await connection.run(f"DROP DATABASE {name}", ())


async def replay(
    connection: Connection,
    dialect: Dialect,
    operations: Sequence[Operation],
    schema: Schema,
    name: str,
) -> Schema:
    """Do operations there; those that cannot be in a transaction, and backfills, are left out."""
    live = await look_at(connection) if dialect.name == "sqlite" else {}
    steps, following = Writer(dialect, live=live, concurrently=False).write(operations, schema)
    for step in steps:
        if isinstance(step.operation, Execute) and not step.transactional:
            continue
        for sql in step.statements:
            try:
                await connection.run(sql, ())
                if sql == EXTENSION:
                    await connection.fetch(_SEE_VECTORS, ())
            except (DatabaseError, QueryError) as exc:
                raise MigrationError(
                    f"{name} does not work on an empty database that has what comes before it: "
                    f"{exc.message}\n\n    {sql.strip()}"
                ) from exc
    return following


_SEE_VECTORS = (
    # If the extension was there before, what it has is in another schema.
    "SELECT set_config('search_path', current_schema() || ', ' || quote_ident(n.nspname), true) "
    "FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
)


async def verify(database: Database, history: History, change: Change, models: Schema) -> None:
    """See to it that a change makes of a history's database what the models say, and can be undone.

    Raises:
        MigrationError: it does not, or the history does not work from the beginning.
    """
    dialect = database.dialect
    async with shadow(database) as connection:
        schema: Schema = {}
        for entry in history.entries:
            schema = await replay(connection, dialect, entry.migration.forth(), schema, entry.name)
        name = "The new migration"
        following = await replay(connection, dialect, change.forth, schema, name)
        models = _with_syncs(models, following)
        await _expect(connection, dialect, models, f"{name} does not make what the models say")
        await replay(connection, dialect, change.back, following, f"{name}'s way back")
        await _expect(connection, dialect, schema, f"{name}'s way back does not end where it began")


async def verify_squash(
    database: Database, history: History, change: Change, schema: Schema
) -> None:
    """See to it that a change makes of nothing what a whole history makes, and can be undone.

    Raises:
        MigrationError: it does not, or the history makes something else than is known of it.
    """
    await verify(database, history, Change((), ()), schema)
    await verify(database, History(history.folder), change, schema)


def _with_syncs(models: Schema, following: Schema) -> Schema:
    """Return what models say, with what they do not know of: columns that a history keeps in step."""
    return {
        name: replace(each, syncs=following[name].syncs) if name in following else each
        for name, each in models.items()
    }


async def _expect(connection: Connection, dialect: Dialect, schema: Schema, failure: str) -> None:
    found = await differences(connection, dialect, schema, others=False)
    if found:
        listed = "\n".join(f"    {each}" for each in found)
        raise MigrationError(
            f"{failure}:\n\n{listed}\n\nDid a migration change a table with op.execute(…)? What it "
            "does there is not known to the history: say it with the other operations."
        )
