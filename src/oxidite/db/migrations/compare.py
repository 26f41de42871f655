"""Compares a database with what it should be, by Alembic's comparison.

Alembic reads a database through SQLAlchemy, which here works on a connection of our own driver: so it
sees what an open transaction has done.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import warnings
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from itertools import groupby
from typing import Any, TypeAlias

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import StaticPool

from oxidite.db.connections.base import Connection
from oxidite.db.migrations.enum_types import natives
from oxidite.db.migrations.operations import Schema
from oxidite.db.migrations.triggers import history_differences, sync_differences
from oxidite.db.sql.exclusions import Exclusion
from oxidite.db.sql.indexes import kept_apart
from oxidite.db.sql.literals import written
from oxidite.db.sql.schema import metadata
from oxidite.db.sql.vectors import VectorType, metric_of
from oxidite.db.sql.words import WORDS, kept_by
from oxidite.db.values.dialects import Dialect
from oxidite.db.values.exclusions import EXCLUDED
from oxidite.db.values.vectors import VectorMetric

__all__ = ["differences", "opened"]

_URLS = {"sqlite": "sqlite+aiosqlite://", "postgresql": "postgresql+asyncpg://"}
_OTHER_URL = "mysql+aiomysql://"


class _Opened:
    """A driver's connection that is open already, for SQLAlchemy to await."""

    def __init__(self, connection: object) -> None:
        self._connection = connection
        self._thread = None  # what SQLAlchemy looks at on a connection of aiosqlite

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()
        return self._connection


@contextlib.asynccontextmanager
async def opened(connection: Connection, dialect: Dialect) -> AsyncIterator[AsyncConnection]:
    """Have SQLAlchemy use a connection; its transactions are not touched."""
    raw = getattr(connection, "_connection", None)
    own = await _opened_apart(connection) if raw is None else None
    engine = create_async_engine(
        _URLS.get(dialect.name, _OTHER_URL),
        # Not called by SQLAlchemy as a coroutine function: what it returns is awaited.
        async_creator=lambda *_, **__: _Opened(own or raw),
        poolclass=StaticPool,
        isolation_level="AUTOCOMMIT",
    )
    if dialect.name == "postgresql":
        types: Any = engine.dialect  # of its own
        types.ischema_names = {**types.ischema_names, "vector": VectorType}
    try:
        async with engine.connect() as made:
            yield made
    finally:
        # The connection is not SQLAlchemy's to close; what it has set there ends with the session.
        engine.sync_engine.pool.__dict__.clear()
        if own is not None:
            own.close()
        if dialect.name != "sqlite":
            connection.is_broken = True


async def _opened_apart(connection: Connection) -> Any:
    """Open a connection of aiomysql's own to the database of one of ours, which is not one of them.

    Nothing is missed there: MariaDB commits each change of the schema at once.
    """
    aiomysql: Any = importlib.import_module("aiomysql")  # it has no types

    wire: Any = connection._wire  # type: ignore[attr-defined]  # noqa: SLF001 - that of the driver
    name = await connection.fetch("SELECT DATABASE()", ())
    return await aiomysql.connect(
        host=wire.host,
        port=wire.port,
        user=wire.user,
        password=wire._password,  # noqa: SLF001 - it has no other name
        unix_socket=wire.unix_socket,
        ssl=wire._ssl_context,  # noqa: SLF001 - it has no other name
        db=name[0][0],
        charset="utf8mb4",
        autocommit=True,
    )


async def differences(
    connection: Connection, dialect: Dialect, schema: Schema, *, others: bool = True
) -> list[str]:
    """Return what makes a database other than a schema, in words; ``others`` are tables it has beside."""
    async with opened(connection, dialect) as found:
        return await found.run_sync(_differences, dialect, schema, others)


def _differences(
    connection: sa.Connection, dialect: Dialect, schema: Schema, others: bool
) -> list[str]:
    wanted = metadata([each.table() for each in schema.values()], dialect)

    def include(
        _object: object, name: str | None, kind: str, reflected: bool, _other: object
    ) -> bool:
        if kind == "foreign_key_constraint" and dialect.name == "sqlite":
            return False  # see _references
        if kind != "table" or not reflected or name in wanted.tables:
            return True
        return others and not str(name).startswith(("oxidite_", "ox_"))

    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "compare_server_default": True,
            "include_object": include,
            "target_metadata": wanted,
        },
    )
    with warnings.catch_warnings():
        # Of indexes over expressions, which SQLAlchemy does not read from SQLite; see below.
        warnings.simplefilter("ignore")
        found = compare_metadata(context, wanted)
        flat = _flat(found)
        if dialect.name == "postgresql":
            alike = _alike(flat, dialect)
            flat = [each for each in flat if each[0] not in _INDEX or each[1].name not in alike]
        texts = [_words(each) for each in flat]
        texts += _keys(sa.inspect(connection), wanted.tables)
        texts += _checks(sa.inspect(connection), wanted.tables)
        if dialect.name == "postgresql":
            texts += _enums(connection, wanted.tables)
            texts += _vectors(sa.inspect(connection), wanted.tables)
            texts += _exclusions(connection, wanted.tables)
        if dialect.name == "sqlite":
            texts += _expressions(connection, wanted.tables)
            texts += _references(connection, wanted.tables)
            texts += _word_tables(connection, wanted.tables)
    texts += history_differences(connection, dialect, schema)
    texts += sync_differences(connection, dialect, schema)
    return sorted(set(texts))


def _flat(found: list[Any]) -> list[tuple[Any, ...]]:
    """Return Alembic's differences; those of one column are a list of their own."""
    flat: list[tuple[Any, ...]] = []
    for each in found:
        flat += each if isinstance(each, list) else [each]
    return flat


_INDEX = ("add_index", "remove_index")
_CASTS = re.compile(r"::[\w ]+\w|[\s()\"]")


def _alike(found: list[tuple[Any, ...]], dialect: Dialect) -> set[str]:
    """Return the names of indexes over expressions that are there as they should be.

    PostgreSQL writes casts and parentheses of its own into them, of which Alembic knows only some.
    """
    had, wanted = (
        {each[1].name: each[1] for each in found if each[0] == kind}
        for kind in ("remove_index", "add_index")
    )
    return {
        name
        for name in had.keys() & wanted.keys()
        if _bare(had[name], dialect) == _bare(wanted[name], dialect)
    }


def _bare(index: sa.Index, dialect: Dialect) -> tuple[object, ...]:
    options = index.dialect_options["postgresql"]
    using, where = options.get("using") or "btree", options.get("where")
    parts = [*index.expressions, *([] if where is None else [where])]
    texts = [_CASTS.sub("", written(each, dialect)).lower() for each in parts]
    return (index.unique, using, where is None, *texts)


def _words(difference: tuple[Any, ...]) -> str:
    words = _WORDS.get(difference[0])
    return str(difference) if words is None else words(*difference[1:])


def _default(_schema: object, table: str, column: str, _: object, old: Any, _new: object) -> str:
    text = getattr(getattr(old, "arg", None), "text", old)
    return f"the column {table}.{column} has the default {text}"


_WORDS: Mapping[str, Callable[..., str]] = {
    "add_table": lambda table: f"the table {table.name} is missing",
    "remove_table": lambda table: f"there is a table {table.name}",
    "add_column": lambda _, table, column: f"the column {table}.{column.name} is missing",
    "remove_column": lambda _, table, column: f"there is a column {table}.{column.name}",
    "add_index": lambda each: f"the index {each.name} of {each.table.name} is missing",
    "remove_index": lambda each: f"there is an index {each.name} of {each.table.name}",
    "add_constraint": lambda each: f"the constraint {each.name} of {each.table.name} is missing",
    "remove_constraint": lambda each: f"there is a constraint {each.name} of {each.table.name}",
    "add_fk": lambda each: f"the foreign key {each.name} of {each.table.name} is missing",
    "remove_fk": lambda each: f"there is a foreign key {each.name} of {each.table.name}",
    "modify_type": lambda _, table, column, __, old, new: (
        f"the column {table}.{column} is {old!r}, and should be {new!r}"
    ),
    "modify_nullable": lambda _, table, column, __, old, ___: (
        f"the column {table}.{column} may {'' if old else 'not '}be empty"
    ),
    "modify_default": _default,
    "modify_comment": lambda _, table, column, *__: (
        f"the comment of {table}.{column} is another one"
    ),
}


def _keys(inspector: sa.Inspector, tables: Mapping[str, sa.Table]) -> Iterator[str]:
    """Compare primary keys, which Alembic does not."""
    there = set(inspector.get_table_names())
    for name, table in tables.items():
        had = inspector.get_pk_constraint(name)["constrained_columns"] if name in there else []
        wanted = [each.name for each in table.primary_key.columns]
        if name in there and set(had) != set(wanted):
            yield (
                f"the primary key of {name} is ({', '.join(had)}), and should be "
                f"({', '.join(wanted)})"
            )


def _checks(inspector: sa.Inspector, tables: Mapping[str, sa.Table]) -> list[str]:
    """Compare checks by name: what a database makes of their text differs from what was written."""
    found: list[str] = []
    there = set(inspector.get_table_names())
    for name, table in tables.items():
        if name not in there:
            continue
        had = {str(each["name"]) for each in inspector.get_check_constraints(name)} - {"None"}
        wanted = {str(c.name) for c in table.constraints if isinstance(c, sa.CheckConstraint)}
        found += [f"the check {each} of {name} is missing" for each in wanted - had]
        found += [f"there is a check {each} of {name}" for each in had - wanted]
    return found


def _enums(connection: sa.Connection, tables: Mapping[str, sa.Table]) -> list[str]:
    """Compare the values of PostgreSQL's types of enums."""
    inspector: Any = sa.inspect(connection)
    there = {each["name"]: tuple(each["labels"]) for each in inspector.get_enums()}
    return [
        f"the type {name} has the values {', '.join(there[name])}, and should have "
        f"{', '.join(wanted.values)}"
        for name, wanted in natives(tables.values()).items()
        if name in there and there[name] != wanted.values
    ]


def _vectors(inspector: sa.Inspector, tables: Mapping[str, sa.Table]) -> Iterator[str]:
    """Compare for which metric indexes of vectors are, which Alembic does not."""
    there = set(inspector.get_table_names())
    for name in tables.keys() & there:
        had = {
            each["name"]: each.get("dialect_options", {}) for each in inspector.get_indexes(name)
        }
        for index in tables[name].indexes:
            wanted = _metric(index.dialect_options["postgresql"].get("ops"))
            found = _metric(had.get(index.name, {}).get("postgresql_ops"))
            if index.name in had and wanted != found:
                yield f"the index {index.name} of {name} is for the metric {found}, not {wanted}"


_EXCLUSIONS = (
    "SELECT c.relname, x.conname, pg_get_constraintdef(x.oid) FROM pg_constraint AS x "
    "JOIN pg_class AS c ON c.oid = x.conrelid "
    "WHERE x.contype = 'x' AND c.relnamespace = current_schema()::regnamespace"
)


def _exclusions(connection: sa.Connection, tables: Mapping[str, sa.Table]) -> Iterator[str]:
    """Compare exclusion constraints in PostgreSQL by name and by what each column is compared with."""
    there = {(row[0], row[1]): _elements(row[2]) for row in connection.exec_driver_sql(_EXCLUSIONS)}
    wanted = {
        (name, each.name): each
        for name, table in tables.items()
        for each in kept_apart(table)
        if isinstance(each, Exclusion)
    }
    for (table, name), each in wanted.items():
        if there.get((table, name)) != _elements(each.create()[-1]):
            yield f"the exclusion constraint {name} of {table} is missing, or another one"
    for table, name in there.keys() - wanted.keys():
        if table in tables:
            yield f"there is an exclusion constraint {name} of {table}"


def _elements(sql: str) -> str:
    """Return what an exclusion constraint compares; of its condition, whether there is one."""
    found = re.search(r"EXCLUDE USING gist \((.*?)\)( WHERE|$)", sql)
    return "" if found is None else "".join(found.groups())


def _metric(operators: Mapping[str, str] | None) -> VectorMetric:
    """Return the metric of an index of vectors; that which is usual for a method is not read."""
    for each in (operators or {}).values():
        metric = metric_of(each)
        if metric is not None:
            return metric
    return "l2"


def _expressions(connection: sa.Connection, tables: Mapping[str, sa.Table]) -> list[str]:
    """Compare indexes over expressions in SQLite by name."""
    rows = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'index'")
    there = {name for (name,) in rows}
    return [
        f"the index {index.name} of {name} is missing"
        for name, table in tables.items()
        for index in table.indexes
        if index.name not in there and len(index.columns) < len(index.expressions)
    ]


def _word_tables(connection: sa.Connection, tables: Mapping[str, sa.Table]) -> Iterator[str]:
    """Compare indexes of words and exclusions in SQLite by what makes them."""
    rows = connection.exec_driver_sql(
        "SELECT tbl_name, name, sql FROM sqlite_master WHERE type IN ('table', 'trigger')"
    ).all()
    there = {_unquoted(sql) for _, name, sql in rows if name.startswith((WORDS, EXCLUDED))}
    wanted: set[str] = set()
    for name, table in tables.items():
        for each in kept_apart(table):
            made = [
                _unquoted(sql) for sql in each.create(guarded=True) if sql.startswith("CREATE ")
            ]
            wanted.add(each.index.name)
            if not there.issuperset(made):
                yield f"the index {each.index.name} of {name} is missing"
    for of, name, _ in rows:
        index = kept_by(name)
        if index is not None and of in tables and index not in wanted:
            yield f"there is an index {index} of {of}"


def _unquoted(sql: str) -> str:
    """Return SQL without what SQLite leaves out or adds: it writes names of its own when one is changed."""
    return re.sub(r"IF NOT EXISTS|[\s\"]", "", sql).lower()


def _references(connection: sa.Connection, tables: Mapping[str, sa.Table]) -> Iterator[str]:
    """Compare foreign keys in SQLite: of those beside a column SQLAlchemy does not read what they do."""
    there = set(sa.inspect(connection).get_table_names())
    for name, table in tables.items():
        if name not in there:
            continue
        had = _had_references(connection, name)
        wanted = {_reference(each): str(each.name) for each in table.foreign_key_constraints}
        for reference, key in wanted.items():
            if reference not in had:
                yield f"the foreign key {key} of {name} is missing"
        for columns, target, *_ in had - set(wanted):
            yield f"there is a foreign key ({', '.join(columns)}) of {name} to {target}"


Reference: TypeAlias = tuple[tuple[str, ...], str, tuple[str, ...], str, str]
"""Columns, the table and columns that they refer to, and what becomes of them."""


def _had_references(connection: sa.Connection, table: str) -> set[Reference]:
    rows = connection.exec_driver_sql(
        'SELECT id, "table", "from", "to", on_delete, on_update '
        "FROM pragma_foreign_key_list(?) ORDER BY id, seq",
        (table,),
    ).all()
    found: set[Reference] = set()
    for _, group in groupby(rows, lambda row: row[0]):
        parts = list(group)
        _, target, _, to, on_delete, on_update = parts[0]
        key = sa.inspect(connection).get_pk_constraint(target)["constrained_columns"]
        targets = tuple(key) if to is None else tuple(each[3] for each in parts)
        found.add((tuple(each[2] for each in parts), target, targets, on_delete, on_update))
    return found


def _reference(key: sa.ForeignKeyConstraint) -> Reference:
    targets = tuple(each.column.name for each in key.elements)
    actions = (str(key.ondelete or "NO ACTION"), str(key.onupdate or "NO ACTION"))
    return (tuple(key.column_keys), key.referred_table.name, targets, *actions)
