"""What an update says of the columns: checked, and completed by those that note a change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import Call, Expr, Value
from oxidite.db.rules.rules import check_values
from oxidite.db.rules.scopes import check_assigned
from oxidite.db.tables.columns import Assignment, Column
from oxidite.db.tables.table import Table

__all__ = ["Assigned", "assigned", "noted"]

Assigned: TypeAlias = dict[str, Expr[Any, Any]]
"""What each column, by its name, is to become."""

_NUMBERS = frozenset(("integer", "float", "decimal"))


def assigned(
    table: Table, assignments: Iterable[Assignment], values: Mapping[str, object]
) -> Assigned:
    """Return what the columns are to become; plain values are checked as those of an object are.

    Raises:
        QueryError: there is no such column, or it is named twice.
        ValidationError: some values are wrong.
    """
    found: dict[str, object] = {}
    for each in assignments:
        if not isinstance(each, Assignment):
            raise QueryError(
                f"{each!r} does not say what a column is to become. Write User.age.to(3), or age=3."
            )
        column = each.column
        if table.by_name.get(column.name) is not column:
            raise QueryError(f"{column!r} is no column of {table.name}, whose rows are changed.")
        if column.name in found:
            raise QueryError(f"{column!r} is to become two things at once.")
        found[column.name] = each.value
    for name, value in values.items():
        if name not in table.by_name:
            close = get_close_matches(name, table.by_name, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise QueryError(f"{table.name} has no column {name!r}{hint}")
        if name in found:
            raise QueryError(f"{table.by_name[name]!r} is to become two things at once.")
        found[name] = value
    plain = [table.by_name[name] for name, value in found.items() if not isinstance(value, Expr)]
    check_values(plain, found)
    made = {name: _expr(table.by_name[name], value) for name, value in found.items()}
    check_assigned(made, table)
    return made | _indexes(table, made)


def _indexes(table: Table, found: Assigned) -> Assigned:
    """Return what becomes of the blind indexes of encrypted columns."""
    made: Assigned = {}
    for name, expr in found.items():
        column = table.by_name[name]
        if not column.rules.get("encrypted"):
            continue
        is_excluded = isinstance(expr, Call) and expr.name == "excluded"
        if not isinstance(expr, Value) and not is_excluded:
            raise QueryError(
                f"{column!r} is encrypted, so the database cannot compute it: give it a value."
            )
        index: Column[Any, Any] | None = getattr(column, "index", None)
        if index is not None and isinstance(expr, Value):
            made[index.name] = Value(expr.value, index.kind)
        elif index is not None:
            made[index.name] = Call("excluded", (index,), index.kind)
    return made


def _expr(column: Column[Any, Any], value: object) -> Expr[Any, Any]:
    if not isinstance(value, Expr):
        return Value(value, column.kind)
    same = value.kind is column.kind or value.kind.name == column.kind.name
    if not same and not {value.kind.name, column.kind.name} <= _NUMBERS:
        raise QueryError(
            f"{column!r} holds {column.kind!r}, and was to become an expression of {value.kind!r}."
        )
    return value


def noted(table: Table, found: Assigned) -> Assigned:
    """Return them with the columns that note a change: their ``on_update``, and the version."""
    made = {**found}
    for column in table.columns:
        touch = column.rules.get("on_update")
        if touch is not None and column.name not in made:
            made[column.name] = Value(touch(), column.kind)
    version = table.version
    if version is not None and version.name not in made:
        made[version.name] = version + 1
    return made
