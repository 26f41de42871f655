"""Statements as data: what is asked of the database, before there is any SQL.

Each has a ``key``, which is everything that decides its SQL, and ``values``, which are bound. The order
of the values is the order in which ``compiler.py`` walks the statement, so both follow the fields.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from oxidite.db.columns import TableKey
from oxidite.db.expressions import Condition, Expr, Order
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

AnyExpr: TypeAlias = Expr[Any, Any]
Deleted: TypeAlias = Literal["without", "with", "only"]
"""Which rows are seen of a table whose rows only seem to be deleted."""


class Lock(Struct, frozen=True):
    """Rows are locked until the transaction ends; ``share`` lets others read them."""

    share: bool = False
    nowait: bool = False
    skip_locked: bool = False


class Join(Struct, frozen=True, eq=False):
    """Another table, and which of its rows belong to a row."""

    table: Table
    key: TableKey
    on: Condition
    outer: bool = False


class SelectStatement(Struct, frozen=True, eq=False, kw_only=True):
    """A SELECT. Without ``columns`` it asks for those of the table."""

    table: Table
    source: TableKey
    columns: tuple[AnyExpr, ...] | None = None
    joins: tuple[Join, ...] = ()
    where: tuple[Condition, ...] = ()
    group: tuple[AnyExpr, ...] = ()
    having: tuple[Condition, ...] = ()
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int | None = None
    distinct: bool = False
    deleted: Deleted = "without"
    lock: Lock | None = None
    pair: tuple[Table, TableKey] | None = None
    """Another table of ``joins`` of which each row has an object too: it is ``(object, object)``."""
    extra: tuple[AnyExpr, ...] = ()
    """What each row has beside its objects: it is ``(object, *extra)``."""
    per: tuple[AnyExpr, ...] = ()
    """``limit`` and ``offset`` hold for each group of rows in which these are equal."""
    loads: tuple[Any, ...] = ()
    """What is loaded for the rows afterwards (``peers.Load``)."""
    lazy: Any = None
    """What becomes of relations that are not loaded (``peers.Lazy``)."""

    def key(self) -> Hashable:
        """Return what decides the SQL."""
        # PERF: built for every query that is run; benchmark `db build`.
        columns = self.columns
        return (
            "select",
            self.source,
            None if columns is None else tuple([each.shape for each in columns]),
            tuple([(each.key, each.on.shape, each.outer) for each in self.joins])
            if self.joins
            else (),
            tuple([each.shape for each in self.where]),
            tuple([each.shape for each in self.group]) if self.group else (),
            tuple([each.shape for each in self.having]) if self.having else (),
            tuple([each.shape for each in self.order]) if self.order else (),
            self.limit is None,
            self.offset is None,
            self.distinct,
            self.deleted,
            self.lock,
            None if self.pair is None else self.pair[1],
            tuple([each.shape for each in self.extra]) if self.extra else (),
            tuple([each.shape for each in self.per]) if self.per else (),
        )

    def values(self) -> list[object]:
        """Return what is bound."""
        values: list[object] = []
        for column in (*(self.columns or ()), *self.extra):
            values += column.values
        for join in self.joins:
            values += join.on.values
        for condition in self.where:
            values += condition.values
        for expr in self.group:
            values += expr.values
        for condition in self.having:
            values += condition.values
        for order in self.order:
            values += order.values
        if self.limit is not None:
            values.append(self.limit)
        if self.offset is not None:
            values.append(self.offset)
        return values


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
