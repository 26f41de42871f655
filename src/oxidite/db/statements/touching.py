"""Which rows a statement is about: those of certain primary keys, or any of a table.

A row is told by its key only where Python finds keys equal that the database does, as with rows that are
asked for at once. Whatever is not plain is about any row: to say too much is a needless reading, to say
too little is a wrong answer.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any
from uuid import UUID

from oxidite.db.connections.base import Done
from oxidite.db.connections.notices import MOST_KEYS, Changes
from oxidite.db.expressions.expressions import Condition, Value
from oxidite.db.statements.arrays import DeleteArrays, InsertArrays, UpdateArrays
from oxidite.db.statements.statements import (
    DeleteStatement,
    InsertStatement,
    SelectStatement,
    Statement,
    UpdateStatement,
)
from oxidite.db.statements.walking import inner_tables
from oxidite.db.tables.caseless import CaselessColumn
from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import Table
from oxidite.db.values.dialects import Dialect

__all__ = ["changes_by_key", "changes_of", "fits", "name_of", "rows_read"]

_TYPES: dict[str, type] = {"integer": int, "text": str, "uuid": UUID}
_DATABASES: dict[type, tuple[str, ...]] = {
    int: ("sqlite", "postgresql", "mysql", "mariadb"),
    str: ("sqlite", "postgresql"),
    UUID: ("postgresql",),
}
# For these a key that the database finds equal is equal in Python, too: by it rows are handed out.

_Keys = frozenset[Hashable] | None


def fits(column: Column[Any, Any], key: object, dialect: Dialect) -> bool:
    """Tell whether rows can be told apart by this key."""
    kind = _TYPES.get(column.kind.name)
    if kind is None or type(key) is not kind or isinstance(column, CaselessColumn):
        return False
    # Another database may find texts equal that Python does not, or has no lists of UUIDs.
    return dialect.name in _DATABASES[kind]


def name_of(table: Table) -> str:
    """Return what a table is called among those who hear of it: there are databases that ignore case."""
    return table.name.lower()


def rows_read(statement: SelectStatement, dialect: Dialect) -> dict[str, _Keys]:
    """Return the rows that a query depends on."""
    names = [name_of(table) for table in inner_tables(statement)]
    if len(names) == 1 and statement.source is statement.table.key and statement.derived is None:
        return {names[0]: _keys_where(statement.table, statement.where, dialect)}
    return dict.fromkeys(names)


def changes_of(statement: Statement, result: object, dialect: Dialect) -> Changes:
    """Return what a statement changed. ``result`` is its rows, or ``Done``, or ``None`` if it failed."""
    changes = Changes()
    table = statement.table
    name = name_of(table)
    match statement:
        case SelectStatement():
            return changes
        case InsertStatement() | InsertArrays():
            keys = _keys_inserted(statement, result, dialect)
        case UpdateArrays() | DeleteArrays():
            keys = _keys_matched(statement, dialect)
        case _:
            keys = _keys_where(table, statement.where, dialect)
    if isinstance(statement, DeleteStatement | DeleteArrays):
        changes.deleted.add(name)
    elif isinstance(statement, UpdateStatement | UpdateArrays):
        written = [table.by_name[each].rules for each in statement.columns]
        if any(rules.get("pk") for rules in written):
            keys = None
        if any(rules.get("pk") or rules.get("unique") for rules in written):
            changes.rekeyed.add(name)
    changes.add({name: keys})
    return changes


def changes_by_key(
    statement: UpdateStatement | DeleteStatement, keys: Iterable[object], dialect: Dialect
) -> Changes:
    """Return what a statement changed that was run for one primary key after the other."""
    table = statement.table
    written = statement.columns if isinstance(statement, UpdateStatement) else ()
    changes = changes_of(statement, None, dialect)
    if not any(table.by_name[each].rules.get("pk") for each in written):
        changes.rows[name_of(table)] = _some(_fitting(table, keys, dialect))
    return changes


def _some(keys: _Keys) -> set[Hashable] | None:
    return None if keys is None else set(keys)


def _fitting(table: Table, keys: Iterable[object] | None, dialect: Dialect) -> _Keys:
    if keys is None or len(table.pk) != 1:
        return None
    found: set[Hashable] = set()
    for key in keys:
        if len(found) >= MOST_KEYS or not fits(table.pk[0], key, dialect):
            return None
        found.add(key)
    return frozenset(found)


def _keys_where(table: Table, where: Sequence[Condition], dialect: Dialect) -> _Keys:
    """Return the keys of the only rows for which all conditions may hold."""
    for each in where:
        match each.name, each.args:
            case "eq", (column, Value() as value) if len(table.pk) == 1 and column is table.pk[0]:
                return _fitting(table, [value.value], dialect)
            case "in", (column, Value(value=list(keys))) if (
                len(table.pk) == 1 and column is table.pk[0]
            ):
                return _fitting(table, keys, dialect)
            case _:
                continue
    return None


def _keys_matched(statement: UpdateArrays | DeleteArrays, dialect: Dialect) -> _Keys:
    table = statement.table
    if len(table.pk) != 1 or table.pk[0].name not in statement.match:
        return None
    return _fitting(table, statement.arrays[statement.match.index(table.pk[0].name)], dialect)


def _keys_inserted(
    statement: InsertStatement | InsertArrays, result: object, dialect: Dialect
) -> _Keys:
    table = statement.table
    if len(table.pk) != 1:
        return None
    key = table.pk[0].name
    if statement.conflict and key in (statement.update or ()):
        return None  # the key that it had before is known to nobody
    if key in statement.returning and isinstance(result, list | tuple):
        place = statement.returning.index(key)
        return _fitting(table, [row[place] for row in result], dialect)
    if statement.conflict and statement.update:
        return None
    if key in statement.columns:
        place = statement.columns.index(key)
        if isinstance(statement, InsertArrays):
            return _fitting(table, statement.arrays[place], dialect)
        return _fitting(table, [row[place] for row in statement.rows], dialect)
    if isinstance(result, Done) and result.last_id and isinstance(statement, InsertStatement):
        # InnoDB gives the rows of one statement keys that follow each other.
        count = len(statement.rows)
        return _fitting(
            table, [result.last_id + place * result.id_step for place in range(count)], dialect
        )
    return None
