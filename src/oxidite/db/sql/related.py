"""The SQL of relations: sub-queries that belong to each row, and a part of each group of rows.

It imports SQLAlchemy, so only the compiler imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import sqlalchemy as sa

from oxidite.db.expressions.expressions import Expr, Order
from oxidite.db.statements.correlated import Correlated
from oxidite.db.statements.selects import Deleted, SelectStatement
from oxidite.db.tables.columns import TableKey
from oxidite.db.tables.table import Table
from oxidite.db.values.kinds import INTEGER, Kind

__all__ = ["CALLS", "SelectWriter", "part_of_each", "related_rows"]

CALLS: Mapping[str, Callable[[Any], Any]] = {
    "any_related": lambda rows: rows.exists(),
    "count_related": lambda rows: rows.with_only_columns(
        sa.func.count(), maintain_column_froms=True
    ).scalar_subquery(),
    "not_true": lambda holds: sa.not_(sa.func.coalesce(holds, sa.false())),
}
"""What is made of such rows, by the name of the call."""


class SelectWriter(Protocol):
    """What writes a statement."""

    def inside(self) -> AbstractContextManager[object]:
        """Write a SELECT inside of another one, with tables of its own."""
        ...

    def nest(self, key: TableKey, source: Any) -> None:
        """Let columns of ``key`` mean those of ``source``, in the SELECT that is being written."""
        ...

    def expr(self, expr: Expr[Any, Any]) -> Any:
        """Write an expression."""
        ...

    def orders(self, orders: Iterable[Order]) -> list[Any]:
        """Write by what to order."""
        ...

    def bind(self, kind: Kind) -> Any:
        """Write a place for a value."""
        ...

    def scope(self, table: Table, key: TableKey, deleted: Deleted) -> list[Any]:
        """Return the condition that hides what seems to be deleted."""
        ...


def related_rows(writer: SelectWriter, rows: Correlated) -> Any:
    """Write the rows that belong to the one around: a SELECT whose columns are to be said."""
    sources: list[Any] = []
    conditions: list[Any] = []
    with writer.inside():
        for hop in rows.hops:
            before = [writer.expr(column) for column, _ in hop.pairs]
            # Anew each time: the same table may be around, and the nearest one is meant.
            made: Any = sa.table(
                hop.table.name, *(sa.column(each.column_name) for each in hop.table.columns)
            ).alias()
            writer.nest(hop.key, made)
            sources.append(made)
            conditions += [
                made.c[own.column_name] == other
                for other, (_, own) in zip(before, hop.pairs, strict=True)
            ]
            conditions += writer.scope(hop.table, hop.key, rows.deleted)
            conditions += [writer.expr(each) for each in hop.conditions]
        conditions += [writer.expr(each) for each in rows.conditions]
    return (
        sa.select(sa.literal_column("1"))
        .select_from(*sources)
        .where(*conditions)
        .correlate_except(*sources)
    )


def part_of_each(writer: SelectWriter, made: sa.Select[Any], query: SelectStatement) -> Any:
    """Take a part of each group of rows: they are numbered first."""
    number = sa.func.row_number().over(
        partition_by=[writer.expr(each) for each in query.per],
        order_by=writer.orders(query.order) or None,
    )
    inner = made.add_columns(number.label("place_")).subquery("numbered")
    *columns, numbered = inner.c
    place: Any = numbered
    found: Any = sa.select(*columns)
    limit = None if query.limit is None else writer.bind(INTEGER)
    if query.offset is not None:
        place = place - writer.bind(INTEGER)
        found = found.where(place > 0)
    if limit is not None:
        found = found.where(place <= limit)
    return found.order_by(numbered)
