"""Statements about many rows that are given as one array for each column.

Any number of rows has one plan, and each array is encoded in one go. For databases that can make rows
of arrays (``Dialect.unnests``); the arrays hold what the driver takes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from msgspec import Struct

from oxidite.db.expressions.expressions import Condition, Expr
from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import Table

__all__ = ["DeleteArrays", "InsertArrays", "UpdateArrays", "fit_arrays"]

_FIT = frozenset(
    (
        "boolean",
        "bytes",
        "date",
        "datetime",
        "decimal",
        "enum",
        "float",
        "integer",
        "interval",
        "json",
        "text",
        "time",
        "uuid",
    )
)


def fit_arrays(columns: Iterable[Column[Any, Any]]) -> bool:
    """Tell whether the values of columns can be given as arrays.

    An array of arrays would be taken apart to its last element, and a database's own enum is no text.
    """
    return all(each.kind.name in _FIT and not each.rules.get("native") for each in columns)


class InsertArrays(Struct, frozen=True, eq=False, kw_only=True):
    """An INSERT of any number of rows; the fields are those of ``InsertStatement``."""

    table: Table
    columns: tuple[str, ...]
    arrays: Sequence[Sequence[object]]
    conflict: tuple[str, ...] = ()
    update: tuple[str, ...] | None = None
    exprs: tuple[Expr[Any, Any], ...] = ()
    where: tuple[Condition, ...] = ()
    returning: tuple[str, ...] = ()
    tells: bool = False

    def key(self) -> Hashable:
        """Return what decides the SQL."""
        return (
            "insert arrays",
            self.table.key,
            self.columns,
            self.conflict,
            self.update,
            tuple([each.shape for each in self.exprs]),
            tuple([each.shape for each in self.where]),
            self.returning,
            self.tells,
        )

    def values(self) -> list[object]:
        """Return what is bound."""
        values: list[object] = [*self.arrays]
        for expr in (*self.exprs, *self.where):
            values += expr.values
        return values


class UpdateArrays(Struct, frozen=True, eq=False, kw_only=True):
    """An UPDATE of the rows whose ``match`` columns are as given; the arrays are theirs, then the others'.

    ``where`` has to hold for them, too.
    """

    table: Table
    match: tuple[str, ...]
    columns: tuple[str, ...]
    arrays: Sequence[Sequence[object]]
    where: tuple[Condition, ...] = ()

    def key(self) -> Hashable:
        """Return what decides the SQL."""
        where = tuple([each.shape for each in self.where])
        return ("update arrays", self.table.key, self.match, self.columns, where)

    def values(self) -> list[object]:
        """Return what is bound."""
        return [*self.arrays, *(value for each in self.where for value in each.values)]


class DeleteArrays(Struct, frozen=True, eq=False, kw_only=True):
    """A DELETE of the rows whose ``match`` columns are as given, and for which ``where`` holds."""

    table: Table
    match: tuple[str, ...]
    arrays: Sequence[Sequence[object]]
    where: tuple[Condition, ...] = ()

    def key(self) -> Hashable:
        """Return what decides the SQL."""
        where = tuple([each.shape for each in self.where])
        return ("delete arrays", self.table.key, self.match, where)

    def values(self) -> list[object]:
        """Return what is bound."""
        return [*self.arrays, *(value for each in self.where for value in each.values)]
