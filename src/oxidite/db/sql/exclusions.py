"""Exclusion constraints: no two rows may be alike in some columns and overlap in others.

PostgreSQL has them by GiST indexes, which take the extension btree_gist for what is no range. SQLite keeps them
by two triggers that look for another row; as one connection writes at a time, none comes in between. MariaDB
locks no row that is not there yet, so a trigger would miss what another transaction has not committed: there
they are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from oxidite.db.errors import ModelError
from oxidite.db.sql.compiler import DIALECTS
from oxidite.db.sql.literals import sql_of, written
from oxidite.db.sql.words import number_of
from oxidite.db.tables.caseless import CaselessColumn
from oxidite.db.tables.table import Index, Table
from oxidite.db.values.cuts import width_of
from oxidite.db.values.dialects import Dialect
from oxidite.db.values.exclusions import EXCLUDED
from oxidite.db.values.kinds import RANGES

__all__ = ["GIST_EXTENSION", "Exclusion", "exclusion"]

GIST_EXTENSION = "CREATE EXTENSION IF NOT EXISTS btree_gist"
"""What PostgreSQL compares other values than ranges by; nothing is done, and no right is needed, if it is there."""
_EQUAL = frozenset(
    ("integer", "text", "date", "datetime", "time", "uuid", "bytes", "enum", *RANGES)
)


class _Part(NamedTuple):
    column: str
    operator: str
    range: str | None
    """The kind of range that it is, if it is one."""


class _Named(NamedTuple):
    name: str


@dataclass(frozen=True, slots=True)
class Exclusion:
    """An exclusion constraint of one table."""

    of: str
    number: str | None
    """The column that has the number of the row; ``None`` where SQLite has one of its own."""
    name: str
    parts: tuple[_Part, ...]
    where: str | None
    is_postgresql: bool

    @property
    def index(self) -> _Named:
        """What it is called, as an index of words is asked for its name."""
        return _Named(self.name)

    def create(self, *, guarded: bool = False) -> list[str]:
        """Return what makes it; ``guarded`` where it is not there."""
        if self.is_postgresql:
            return self._of_postgresql(guarded=guarded)
        triggers = [self._trigger("added", "INSERT"), self._trigger("changed", "UPDATE")]
        return triggers if guarded else [*self._tried(), *triggers]

    def drop(self) -> list[str]:
        """Return what drops it."""
        if self.is_postgresql:
            table, name = self._quoted(self.of), self._quoted(self.name)
            return [f"ALTER TABLE {table} DROP CONSTRAINT {name}"]
        return [f"DROP TRIGGER IF EXISTS {self._quoted(each)}" for each in self.triggers]

    @property
    def triggers(self) -> tuple[str, str]:
        """The names of its triggers in SQLite."""
        return f"{EXCLUDED}{self.name}_added", f"{EXCLUDED}{self.name}_changed"

    def _of_postgresql(self, *, guarded: bool) -> list[str]:
        on = ", ".join([f"{self._quoted(each.column)} WITH {each.operator}" for each in self.parts])
        where = "" if self.where is None else f" WHERE ({self.where})"
        added = (
            f"ALTER TABLE {self._quoted(self.of)} ADD CONSTRAINT {self._quoted(self.name)} "
            f"EXCLUDE USING gist ({on}){where}"
        )
        if guarded:
            gone = "EXCEPTION WHEN duplicate_object OR duplicate_table THEN NULL"
            added = f"DO $do$ BEGIN {added}; {gone}; END $do$"
        extension = [] if all(each.range for each in self.parts) else [GIST_EXTENSION]
        return [*extension, added]

    def _trigger(self, name: str, event: str) -> str:
        trigger = self._quoted(f"{EXCLUDED}{self.name}_{name}")
        message = f"{EXCLUDED}{self.name}".replace("'", "''")
        mine = f"{self._number} = new.{self._number}"
        return (
            f"CREATE TRIGGER IF NOT EXISTS {trigger} AFTER {event} ON {self._quoted(self.of)} BEGIN "
            f"SELECT RAISE(ABORT, '{message}') WHERE {self._conflict(mine)}; END"
        )

    def _tried(self) -> list[str]:
        """Return what fails, as a check of that name does, if rows that are there break it."""
        beside = self._quoted(f"{EXCLUDED}{self.name}")
        check = f'CONSTRAINT {self._quoted(self.name)} CHECK ("found" = 0)'
        return [
            f'CREATE TEMP TABLE {beside} ("found" INTEGER {check})',
            f"INSERT INTO {beside} SELECT {self._conflict('1')}",
            f"DROP TABLE {beside}",
        ]

    def _conflict(self, mine: str) -> str:
        """Return whether a row is in the way of one of which ``mine`` holds."""
        table, number = self._quoted(self.of), self._number
        where = "" if self.where is None else f" AND ({self.where})"
        one = f'SELECT {number} AS "ox_row", * FROM {table} WHERE {mine}{where}'  # noqa: S608 - names
        rest = f'SELECT {number} AS "ox_row", * FROM {table} WHERE 1{where}'  # noqa: S608 - names
        conditions = " AND ".join(map(self._condition, self.parts))
        return (
            f"EXISTS (SELECT 1 FROM ({one}) AS mine, ({rest}) AS theirs "  # noqa: S608 - names
            f'WHERE mine."ox_row" <> theirs."ox_row" AND {conditions})'
        )

    def _condition(self, part: _Part) -> str:
        column = self._quoted(part.column)
        mine, theirs = f"mine.{column}", f"theirs.{column}"
        if part.operator == "=":
            return f"{theirs} = {mine}"
        end = width_of(str(part.range)) + 2
        # As in `ranges.py`: an empty range is an empty text, which is in nobody's way.
        return (
            f"{theirs} < substr({mine}, {end}) AND "
            f"substr({mine}, 1, {end - 1}) < substr({theirs}, {end})"
        )

    @property
    def _number(self) -> str:
        return self._quoted(self.number or "rowid")

    def _quoted(self, name: str) -> str:
        if self.is_postgresql:
            return DIALECTS["postgresql"].identifier_preparer.quote(name)
        return '"' + name.replace('"', '""') + '"'


def exclusion(table: Table, index: Index, dialect: Dialect) -> Exclusion | None:
    """Return the exclusion constraint that an index is declared as; ``None`` if it is none.

    Raises:
        ModelError: there is no such one, or the database has none.
    """
    if not index.exclude:
        return None
    if dialect.is_mysql:
        raise ModelError(
            f"{table!r}: the exclusion constraint {index.name}: {dialect.product} has none, and a trigger would not "
            "see the rows of a transaction that goes on beside. Take a lock for each thing that is booked and look "
            "for rows that overlap under it, or use PostgreSQL or SQLite."
        )
    parts = tuple(
        _part(table, index, on, operator, dialect)
        for on, operator in zip(index.on, index.exclude, strict=True)
    )
    where = None if index.where is None else written(sql_of(table, index.where, dialect), dialect)
    if where is None and table.soft_deletes is not None:
        where = f"{table.soft_deletes.column_name} IS NULL"  # what seems to be deleted is in nobody's way
    number = number_of(table)
    is_postgresql = dialect.name == "postgresql"
    return Exclusion(table.name, number, str(index.name), parts, where, is_postgresql)


def _part(table: Table, index: Index, on: Any, operator: str, dialect: Dialect) -> _Part:
    column = table.by_name.get(on) if isinstance(on, str) else None
    where = f"{table!r}: the exclusion constraint {index.name}"
    if column is None:
        raise ModelError(f"{where} is on {on!r}, which is none of the columns.")
    kind = column.kind.name
    if operator == "&&" and kind not in RANGES:
        raise ModelError(f'{where}: {on}="&&" is of ranges, and {on} is none. Compare it with "=".')
    can_be_equal = kind in _EQUAL or (kind == "decimal" and dialect.name == "postgresql")
    if operator == "=" and (not can_be_equal or isinstance(column, CaselessColumn)):
        raise ModelError(
            f"{where}: {on} is compared as no database does by itself: take a column of whole numbers, text, dates, "
            "moments, UUIDs, enums or ranges."
        )
    return _Part(column.column_name, operator, kind if kind in RANGES else None)
