"""Statements as data: what is asked of the database, before there is any SQL.

Each has a ``key``, which is everything that decides its SQL, and ``values``, which are bound. The order
of the values is the order in which ``compiler.py`` walks the statement, so both follow the fields.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeAlias

from msgspec import Struct

from oxidite.db.expressions.expressions import AnyExpr, Condition
from oxidite.db.statements.arrays import DeleteArrays, InsertArrays, UpdateArrays
from oxidite.db.statements.selects import Deleted, Join, Lock, SelectStatement
from oxidite.db.tables.table import Table

__all__ = [
    "AnyExpr",
    "DeleteStatement",
    "Deleted",
    "InsertStatement",
    "Join",
    "Lock",
    "SelectStatement",
    "Statement",
    "UpdateStatement",
]


class InsertStatement(Struct, frozen=True, eq=False, kw_only=True):
    """An INSERT of one row, or of many with the same columns.

    ``update`` makes it an upsert: which columns become what (``exprs``), when a row with the same
    ``conflict`` columns is there and ``where`` holds for it; without any, that row is left alone.
    ``returning`` are columns to be
    read back, and ``tells`` one more that tells whether the row is new. The values of ``is_bound`` rows
    are as the driver takes them already.
    """

    table: Table
    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    conflict: tuple[str, ...] = ()
    update: tuple[str, ...] | None = None
    exprs: tuple[AnyExpr, ...] = ()
    where: tuple[Condition, ...] = ()
    returning: tuple[str, ...] = ()
    tells: bool = False
    is_bound: bool = False

    def key(self) -> Hashable:
        """Return what decides the SQL."""
        return (
            "insert",
            self.table.key,
            self.columns,
            len(self.rows),
            self.conflict,
            self.update,
            tuple([each.shape for each in self.exprs]),
            tuple([each.shape for each in self.where]),
            self.returning,
            self.tells,
            self.is_bound,
        )

    def values(self) -> list[object]:
        """Return what is bound."""
        values = [value for row in self.rows for value in row]
        for expr in (*self.exprs, *self.where):
            values += expr.values
        return values


class UpdateStatement(Struct, frozen=True, eq=False, kw_only=True):
    """An UPDATE of the rows for which the conditions hold.

    ``returning`` are columns to be read back: as tuples, or ``as_objects`` if they are all there are.
    """

    table: Table
    columns: tuple[str, ...]
    exprs: tuple[AnyExpr, ...]
    where: tuple[Condition, ...]
    deleted: Deleted = "without"
    returning: tuple[str, ...] = ()
    as_objects: bool = False

    def key(self) -> Hashable:
        """Return what decides the SQL."""
        return (
            "update",
            self.table.key,
            self.columns,
            tuple([each.shape for each in self.exprs]),
            tuple([each.shape for each in self.where]),
            self.deleted,
            self.returning,
            self.as_objects,
        )

    def values(self) -> list[object]:
        """Return what is bound."""
        values: list[object] = []
        for expr in self.exprs:
            values += expr.values
        for condition in self.where:
            values += condition.values
        return values


class DeleteStatement(Struct, frozen=True, eq=False, kw_only=True):
    """A DELETE of the rows for which the conditions hold; what it returns is as with an UPDATE."""

    table: Table
    where: tuple[Condition, ...]
    deleted: Deleted = "without"
    returning: tuple[str, ...] = ()
    as_objects: bool = False

    def key(self) -> Hashable:
        """Return what decides the SQL."""
        return (
            "delete",
            self.table.key,
            tuple([each.shape for each in self.where]),
            self.deleted,
            self.returning,
            self.as_objects,
        )

    def values(self) -> list[object]:
        """Return what is bound."""
        values: list[object] = []
        for condition in self.where:
            values += condition.values
        return values


Statement: TypeAlias = (
    SelectStatement
    | InsertStatement
    | UpdateStatement
    | DeleteStatement
    | InsertArrays
    | UpdateArrays
    | DeleteArrays
)
