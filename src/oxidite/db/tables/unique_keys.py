"""The unique keys of a table: what an upsert tells a row by that is there already."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

from msgspec import UNSET

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import Expr
from oxidite.db.tables.caseless import CaselessColumn
from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import Table
from oxidite.db.values.dialects import Dialect

__all__ = ["MadeKey", "check_keys", "conflict_columns", "key_maker"]

AnyColumn: TypeAlias = Column[Any, Any]
MadeKey: TypeAlias = Callable[[Sequence[object]], tuple[object, ...]]
"""Makes of the values of columns what is the same for rows that the database takes for the same."""

_ASCII = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def conflict_columns(table: Table, on: Sequence[Expr[Any, Any]]) -> list[AnyColumn]:
    """Return the columns that tell a row that is there already: a unique key of the table."""
    found: list[AnyColumn] = []
    for each in on:
        if not isinstance(each, Column) or table.by_name.get(each.name) is not each:
            raise QueryError(
                f"on=[…] has the columns of a unique key of {table.name}, not {each!r}."
            )
        found.append(each)
    names = frozenset(column.name for column in found)
    known = _unique_keys(table)
    if names not in known:
        keys = "; ".join(sorted(", ".join(sorted(key)) for key in known))
        raise QueryError(
            f"{table.name} has no unique key of {', '.join(sorted(names)) or 'no column'}, so no row could "
            f"be there already. It has: {keys}."
        )
    return found


def _unique_keys(table: Table) -> list[frozenset[str]]:
    keys = [frozenset(column.name for column in table.pk)]
    keys += [frozenset((column.name,)) for column in table.columns if column.rules.get("unique")]
    for index in table.indexes:
        names = [each.name if isinstance(each, Column) else each for each in index.on]
        if index.unique and index.where is None and all(isinstance(each, str) for each in names):
            keys.append(frozenset(map(str, names)))
    return keys


def key_maker(conflict: Sequence[AnyColumn], dialect: Dialect) -> MadeKey:
    """Return what makes the key of a row of the values of some columns: upper and lower case may be alike."""
    caseless = [isinstance(column, CaselessColumn) for column in conflict]
    if not any(caseless):
        return tuple
    # As the database has it: SQLite knows the lower case of ASCII only.
    is_ascii = dialect.name == "sqlite"

    def lowered(value: object) -> object:
        if not isinstance(value, str):
            return value
        return value.translate(_ASCII) if is_ascii else value.lower()

    return lambda values: tuple(
        [lowered(value) if is_so else value for value, is_so in zip(values, caseless, strict=True)]
    )


def check_keys(
    many: Sequence[Any], conflict: Sequence[AnyColumn], changes: Collection[str], made: MadeKey
) -> None:
    """Refuse objects without a key, and two of one key: which of them is to stay?"""
    seen: dict[tuple[object, ...], int] = {}
    for place, one in enumerate(many):
        key = made([getattr(one, column.name) for column in conflict])
        names = ", ".join(column.name for column in conflict)
        if any(value is None or value is UNSET for value in key):
            raise QueryError(f"The object at {place} has no {names}, by which its row is told.")
        if changes and key in seen:
            raise QueryError(
                f"The objects at {seen[key]} and {place} have the same {names}: which one is to stay?"
            )
        seen.setdefault(key, place)
