"""Brings a database of development to what the models say, without a history; nothing is dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from oxidite.db.connections.base import Connection
from oxidite.db.database import Database
from oxidite.db.migrations.compare import differences, opened
from oxidite.db.migrations.ddl import Writer
from oxidite.db.migrations.difference import Answers, difference
from oxidite.db.migrations.errors import MigrationFailedError
from oxidite.db.migrations.lock import MigrationLock
from oxidite.db.migrations.models import fills_of, schema_of
from oxidite.db.migrations.operations import (
    AddColumn,
    ChangeColumn,
    CreateCheck,
    CreateHistory,
    CreateIndex,
    CreateTable,
    Fill,
    Operation,
    Schema,
)
from oxidite.db.migrations.reverse import nothing
from oxidite.db.migrations.session import session
from oxidite.db.migrations.specs import IndexSpec
from oxidite.db.migrations.texts import Texts
from oxidite.db.migrations.triggers import histories
from oxidite.db.migrations.writing import describe
from oxidite.db.sql.vectors import said_vectors
from oxidite.db.sql.words import kept_by
from oxidite.db.tables.table import SQL, Table
from oxidite.db.values.dialects import Dialect
from oxidite.errors import OxiditeError

__all__ = ["Pushed", "push_tables", "wipe"]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was made, and what is other than the models say and was left."""

    made: tuple[str, ...]
    left: tuple[str, ...]


async def push_tables(database: Database, tables: Sequence[Table]) -> Pushed:
    """Create what the tables of models have and the database has not: tables, columns, indexes.

    Raises:
        MigrationFailedError: the database refused; on MariaDB what was made before stays.
    """
    dialect = database.dialect
    wanted = schema_of(tables, dialect)
    async with session(database, MigrationLock(wait=30), lock_timeout=5) as connection:
        there = await _there(connection, dialect, wanted)
        operations = _operations(there, wanted, fills_of(tables))
        steps, _ = Writer(dialect, concurrently=False).write(operations, there)
        try:
            await _run(connection, dialect, [sql for step in steps for sql in step.statements])
        except OxiditeError as exc:
            raise MigrationFailedError(f"The models could not be pushed: {exc.message}") from exc
        left = await differences(connection, dialect, wanted, others=False)
    return Pushed(tuple(map(describe, operations)), tuple(left))


async def _run(connection: Connection, dialect: Dialect, statements: Sequence[str]) -> None:
    if not dialect.transactional_ddl:
        for sql in statements:
            await connection.run(sql, ())
        return
    await connection.begin(isolation=None, read_only=False)
    try:
        for sql in statements:
            await connection.run(sql, ())
        await connection.commit()
    except BaseException:
        await connection.rollback()
        raise


async def _there(connection: Connection, dialect: Dialect, wanted: Schema) -> Schema:
    """Return of the tables that are wanted what the database has."""
    async with opened(connection, dialect) as found:
        columns, indexes, checks = await found.run_sync(_names, set(wanted))
        kept = await found.run_sync(histories, dialect)
    return {
        name: replace(
            table,
            history=name in kept,
            columns=tuple(each for each in table.columns if each.name in columns[name]),
            indexes=tuple(
                each
                for each in table.indexes
                if each.name in indexes[name] or _is_needless(each, dialect)
            ),
            checks=tuple(each for each in table.checks if f"ck_{name}_{each.name}" in checks[name]),
        )
        for name, table in wanted.items()
        if name in columns
    }


def _is_needless(index: IndexSpec, dialect: Dialect) -> bool:
    """Tell whether a database makes nothing of an index: only PostgreSQL has those of vectors."""
    is_said = any(isinstance(each, SQL) and said_vectors(each) for each in index.on)
    return is_said and dialect.name != "postgresql"


def _names(connection: sa.Connection, wanted: set[str]) -> tuple[Mapping[str, set[str]], ...]:
    """Return the names of columns, of indexes and of checks that tables have."""
    inspector = sa.inspect(connection)
    columns = {
        name: {each["name"] for each in inspector.get_columns(name)}
        for name in wanted & set(inspector.get_table_names())
    }
    checks = {
        name: {str(each["name"]) for each in inspector.get_check_constraints(name)}
        for name in columns
    }
    if connection.dialect.name == "sqlite":
        # SQLAlchemy leaves those over expressions out.
        rows = connection.exec_driver_sql(
            "SELECT tbl_name, name FROM sqlite_master WHERE type IN ('index', 'trigger')"
        ).all()
        # Those of words are tables, whose triggers tell what table they are of.
        found = {
            name: {kept_by(row[1]) or row[1] for row in rows if row[0] == name} for name in columns
        }
        return columns, found, checks
    indexes = {
        name: {str(each["name"]) for each in inspector.get_indexes(name)} for name in columns
    }
    return columns, indexes, checks


def _operations(there: Schema, wanted: Schema, fills: Mapping[str, Fill]) -> list[Operation]:
    nothings = {
        f"{table.name}.{column.name}": nothing(column)
        for table in wanted.values()
        for column in table.columns
    }
    answers = Answers(no_renames=True, fills={**nothings, **fills})
    # What is there is as wanted here, so what comes out is what is missing.
    change = difference(there, wanted, answers)
    return [each for each in change.forth if isinstance(each, _MADE)]


_MADE = CreateTable | AddColumn | ChangeColumn | CreateIndex | CreateCheck | CreateHistory


async def wipe(database: Database) -> list[str]:
    """Drop all tables and views of a database; return their names. For development and tests.

    On PostgreSQL those of the current schema.
    """
    dialect = database.dialect
    async with session(database, MigrationLock(wait=30), lock_timeout=5) as connection:
        quote = Texts(dialect).quoted
        names = [(str(row[0]), str(row[1])) for row in await connection.fetch(_all(dialect), ())]
        if not dialect.transactional_ddl:
            await connection.run("SET SESSION foreign_key_checks = 0", ())
        for kind, name in names:
            cascade = " CASCADE" if dialect.name == "postgresql" else ""
            await connection.run(f"DROP {kind} IF EXISTS {quote(name)}{cascade}", ())
    return [name for _, name in names]


def _all(dialect: Dialect) -> str:
    if dialect.name == "sqlite":
        return (
            "SELECT upper(type), name FROM sqlite_master WHERE type IN ('view', 'table') "
            "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
            # A virtual table before those that it has made for itself, which go with it.
            "ORDER BY type DESC, sql LIKE 'CREATE VIRTUAL %' DESC"
        )
    here = "current_schema()" if dialect.name == "postgresql" else "DATABASE()"
    return (
        "SELECT CASE table_type WHEN 'VIEW' THEN 'VIEW' ELSE 'TABLE' END, table_name "
        f"FROM information_schema.tables WHERE table_schema = {here} ORDER BY 1 DESC"
    )
