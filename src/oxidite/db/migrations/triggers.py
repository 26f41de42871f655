"""Compares the triggers of histories and of syncs in a database with those that a schema has, by name."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from oxidite.db.migrations.operations import Schema
from oxidite.db.migrations.texts import Texts
from oxidite.db.sql.history import trigger_names
from oxidite.db.sql.syncs import SYNC
from oxidite.db.values.dialects import Dialect

__all__ = ["histories", "history_differences", "sync_differences"]


def history_differences(
    connection: sa.Connection, dialect: Dialect, schema: Schema
) -> Iterator[str]:
    """Compare the triggers of histories by name."""
    there = histories(connection, dialect)
    for name, table in schema.items():
        if table.history and name not in there:
            yield f"the history of {name} is missing"
        if not table.history and name in there:
            yield f"there is a history of {name}"


def histories(connection: sa.Connection, dialect: Dialect) -> set[str]:
    """Return the tables whose triggers of a history are all there."""
    found: dict[str, set[str]] = {}
    for table, trigger in connection.exec_driver_sql(_TRIGGERS[dialect.name]).all():
        found.setdefault(table, set()).add(trigger)
    return {table for table, names in found.items() if names >= trigger_names(table, dialect)}


def sync_differences(connection: sa.Connection, dialect: Dialect, schema: Schema) -> Iterator[str]:
    """Compare the triggers that keep columns in step by name."""
    rows = connection.exec_driver_sql(_TRIGGERS[dialect.name]).all()
    there = {(table, name) for table, name in rows if name.startswith(SYNC)}
    texts = Texts(dialect)
    wanted = {
        (table, name): each.name
        for table in schema
        for each in texts.syncs(schema, table)
        for name in each.names()
    }
    for table, name in wanted.keys() - there:
        yield f"the sync {wanted[table, name]} of {table} is missing"
    for table, name in there - wanted.keys():
        if table in schema:
            yield f"there is a sync {name} of {table}"


_OF_SESSION = (
    "SELECT event_object_table, trigger_name FROM information_schema.triggers "
    "WHERE trigger_schema = DATABASE()"
)
_TRIGGERS = {
    "sqlite": "SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT c.relname, t.tgname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid "
    "WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace",
    "mariadb": _OF_SESSION,
    "mysql": _OF_SESSION,
}
