"""Statements as data: what is asked of the database, before there is any SQL.

Each has a ``key``, which is everything that decides its SQL, and ``values``, which are bound. The order
of the values is the order in which ``compiler.py`` walks the statement, so both follow the fields.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeAlias

from msgspec import Struct

from oxidite.db.expressions import AnyExpr, Condition
from oxidite.db.selects import Deleted, Join, Lock, SelectStatement
from oxidite.db.table import Table

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

    ``update`` makes it an upsert: of which columns, when a row with the same ``conflict`` columns is
    there; without any, that row is left alone. ``returning`` are columns to be read back.
    """

    table: Table
    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    conflict: tuple[str, ...] = ()
    update: tuple[str, ...] | None = None
    returning: tuple[str, ...] = ()

    def key(self) -> Hashable:
        """Return what decides the SQL."""
        return (
            "insert",
            self.table.key,
            self.columns,
            len(self.rows),
            self.conflict,
            self.update,
            self.returning,
        )

    def values(self) -> list[object]:
        """Return what is bound."""
        return [value for row in self.rows for value in row]


class UpdateStatement(Struct, frozen=True, eq=False, kw_only=True):
    """An UPDATE of the rows for which the conditions hold."""

    table: Table
    columns: tuple[str, ...]
    exprs: tuple[AnyExpr, ...]
    where: tuple[Condition, ...]
    deleted: Deleted = "without"
    returning: tuple[str, ...] = ()

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
    """A DELETE of the rows for which the conditions hold."""

    table: Table
    where: tuple[Condition, ...]
    deleted: Deleted = "without"

    def key(self) -> Hashable:
        """Return what decides the SQL."""
        return (
            "delete",
            self.table.key,
            tuple([each.shape for each in self.where]),
            self.deleted,
        )

    def values(self) -> list[object]:
        """Return what is bound."""
        values: list[object] = []
        for condition in self.where:
            values += condition.values
        return values


Statement: TypeAlias = SelectStatement | InsertStatement | UpdateStatement | DeleteStatement
