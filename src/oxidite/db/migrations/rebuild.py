"""Makes a table of SQLite anew: what its ALTER TABLE cannot do.

The table is made under another name, filled, and takes the place of the old one. Foreign keys have to
be off meanwhile, else dropping the old one would delete what refers to it; whoever runs this does that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from oxidite.db.connections.base import Connection
from oxidite.db.migrations.specs import TableSpec
from oxidite.db.sql.history import HISTORY
from oxidite.db.sql.literals import plain_text
from oxidite.db.sql.syncs import SYNC
from oxidite.db.sql.words import WORDS
from oxidite.db.values.exclusions import EXCLUDED

__all__ = ["Live", "Rebuild", "look_at", "unknown"]


@dataclass(frozen=True, slots=True)
class Raw:
    """A column that no history knows of, as SQLite has it."""

    name: str
    type: str
    is_required: bool
    default: str | None


@dataclass(frozen=True, slots=True)
class Live:
    """What a table really has: columns, and the SQL of its indexes and triggers by name."""

    columns: Sequence[Raw]
    indexes: Mapping[str, str]
    triggers: Mapping[str, str]


async def look_at(connection: Connection) -> dict[str, Live]:
    """Look at all tables of a database of SQLite."""
    rows = await connection.fetch("SELECT type, name, tbl_name, sql FROM sqlite_master", ())
    found: dict[str, Live] = {}
    for kind, name, _table, _sql in rows:
        if kind != "table" or name.startswith("sqlite_"):
            continue
        columns = await connection.fetch(
            'SELECT name, type, "notnull", dflt_value FROM pragma_table_info(?)', (name,)
        )
        found[name] = Live(
            [Raw(each[0], each[1], bool(each[2]), each[3]) for each in columns],
            {row[1]: row[3] for row in rows if row[0] == "index" and row[2] == name and row[3]},
            {row[1]: row[3] for row in rows if row[0] == "trigger" and row[2] == name},
        )
    return found


def unknown(live: Mapping[str, Live], schema: Mapping[str, TableSpec]) -> dict[str, Live]:
    """Return what of the tables of a schema does not come from its history."""
    found: dict[str, Live] = {}
    for name, each in live.items():
        if name not in schema:
            continue
        columns = {column.name for column in schema[name].columns}
        indexes = {index.name for index in schema[name].indexes}
        found[name] = Live(
            [raw for raw in each.columns if raw.name not in columns],
            {index: sql for index, sql in each.indexes.items() if index not in indexes},
            {
                trigger: sql
                for trigger, sql in each.triggers.items()
                if not trigger.startswith((WORDS, HISTORY, SYNC, EXCLUDED))
            },
        )
    return found


class _RawType(sa.types.UserDefinedType[Any]):
    """A type by its name."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name


class Rebuild:
    """How ``made`` takes the place of ``kept``."""

    def __init__(
        self, dialect: sa.Dialect, made: sa.Table, kept: TableSpec, live: Live | None
    ) -> None:
        self._dialect = dialect
        self._made = made
        self._kept = kept
        self._live = live or Live((), {}, {})

    def statements(self, values: Mapping[str, str]) -> list[str]:
        """Return the SQL; ``values`` are those of columns that are not copied as they are."""
        quote = self._dialect.identifier_preparer.quote
        name = quote(self._made.name)
        new = quote(f"_new_{self._made.name}")
        old_names = {each.name for each in self._kept.columns}
        sources = {
            column.name: values.get(column.name, quote(column.name))
            for column in self._made.c
            if column.computed is None and (column.name in values or column.name in old_names)
        }
        for raw in self._live.columns:
            default = None if raw.default is None else plain_text(raw.default)
            self._made.append_column(
                sa.Column(
                    raw.name,
                    _RawType(raw.type),
                    nullable=not raw.is_required,
                    server_default=default,
                )
            )
            sources[raw.name] = quote(raw.name)
        create = str(CreateTable(self._made).compile(dialect=self._dialect)).strip()
        indexes = [
            str(CreateIndex(each).compile(dialect=self._dialect))
            for each in sorted(self._made.indexes, key=lambda one: str(one.name))
        ]
        copy = (
            f"INSERT INTO {new} ({', '.join(map(quote, sources))}) "
            f"SELECT {', '.join(sources.values())} FROM {name}"
        )
        return [
            create.replace(f"CREATE TABLE {name}", f"CREATE TABLE {new}", 1),
            copy,
            f"DROP TABLE {name}",
            # Else SQLite looks for the table in views and triggers at a moment when it is not there.
            "PRAGMA legacy_alter_table=ON",
            f"ALTER TABLE {new} RENAME TO {name}",
            "PRAGMA legacy_alter_table=OFF",
            *indexes,
            *self._live.indexes.values(),
            *self._live.triggers.values(),
        ]
