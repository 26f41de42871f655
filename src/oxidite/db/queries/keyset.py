"""Keyset pagination: the rows after a place in an order, instead of after a number of rows.

A page costs the same wherever it is, and rows that come and go in between move nothing: each row is
seen once. The order is made whole by the primary key, so that no two rows are equal in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import Condition, Order, Value, every, exactly, some
from oxidite.db.queries.pagination import CursorPage
from oxidite.db.statements.cursors import Cursor
from oxidite.db.statements.statements import SelectStatement
from oxidite.db.tables.columns import Column
from oxidite.db.values.dialects import Dialect
from oxidite.security.signing import Signers

__all__ = ["Keyset", "whole_order"]

AnyColumn: TypeAlias = Column[Any, Any]

_KINDS = frozenset(
    (
        *("integer", "text", "boolean", "float", "decimal", "bytes", "uuid"),
        *("datetime", "date", "time", "interval", "enum"),
    )
)
"""Kinds of values that a cursor holds; what others are equal to, databases do not agree on."""


class Keyset:
    """One page of a query, from the cursor that was given to the page that comes out."""

    def __init__(
        self,
        statement: SelectStatement,
        dialect: Dialect,
        signers: Signers,
        *,
        after: str | None,
        limit: int,
        parameter: str,
    ) -> None:
        _check(statement)
        self._order = whole_order(statement)
        self._places = [_place(statement, each) for each in self._order]
        self._may_be_null = [_may_be_null(statement, each) for each in self._order]
        self._dialect = dialect
        self._cursor = Cursor(signers, statement, self._order)
        self._limit = limit
        self._parameter = parameter
        self._start = None if after is None else self._cursor.read(after)
        self._where = statement.where
        # With counts beside it, an object is the first of a tuple.
        self._is_first = bool(statement.extra)

    @property
    def backwards(self) -> bool:
        """Whether the page is read from its end."""
        return self._start is not None and self._start.backwards

    def changes(self) -> dict[str, Any]:
        """Return what the statement of the page has instead: its conditions, order and limit."""
        order = [_reversed(o) for o in self._order] if self.backwards else self._order
        where = self._where
        if self._start is not None:
            after = _after(order, self._start.values, self._may_be_null, self._dialect)
            where = (*where, after)
        # One more than wanted: whether there is one tells whether there is a page after this one.
        return {"where": where, "order": tuple(order), "limit": self._limit + 1}

    def page(self, rows: list[Any]) -> CursorPage[Any]:
        """Return the page made of what the database gave."""
        has_more = len(rows) > self._limit
        items = rows[: self._limit]
        if self.backwards:
            items.reverse()
        was_given = self._start is not None
        follows = bool(items) and (was_given if self.backwards else has_more)
        precedes = bool(items) and (has_more if self.backwards else was_given)
        page = CursorPage(
            items=items,
            next=self._write(items[-1], backwards=False) if follows else None,
            previous=self._write(items[0], backwards=True) if precedes else None,
        )
        page.set_parameter(self._parameter)
        return page

    def _write(self, row: Any, *, backwards: bool) -> str:
        if self._is_first:
            row = row[0]
        values = [
            getattr(row, place) if isinstance(place, str) else row[place] for place in self._places
        ]
        return self._cursor.write(values, backwards=backwards)


def whole_order(statement: SelectStatement) -> list[Order]:
    """Return the order of a query, with the primary key at its end: so no two rows are equal."""
    order: list[Order] = []
    seen: set[object] = set()
    descending = bool(statement.order) and statement.order[-1].descending
    for each in (*statement.order, *_key(statement, descending=descending)):
        if each.expr.shape not in seen:
            seen.add(each.expr.shape)
            order.append(each)
    return order


def _key(statement: SelectStatement, *, descending: bool) -> list[Order]:
    """Return the order by the primary key, in the direction of the last one: one index has both."""
    table = statement.table
    aliased = statement.source is not table.key
    columns = [column.of(statement.source) if aliased else column for column in table.pk]
    return [column.desc() if descending else column.asc() for column in columns]


def _check(statement: SelectStatement) -> None:
    if statement.group or statement.distinct:
        raise QueryError("keyset() pages through rows; groups and distinct() are none. Use page().")
    if statement.limit is not None or statement.offset is not None:
        raise QueryError("keyset() has a limit= of its own: leave limit() and offset() out.")
    if not statement.table.pk:
        raise QueryError(f"{statement.table!r} has no primary key, so its order is never whole.")


def _place(statement: SelectStatement, order: Order) -> str | int:
    """Return where a row has the value that it is ordered by: an attribute, or a place in a tuple."""
    column = order.expr
    if not isinstance(column, Column) or column.kind.name not in _KINDS:
        raise QueryError(
            f"keyset() orders by columns with plain values, and {column!r} is none: a cursor holds the "
            "value of each. Keep what you order by in a column, or use page()."
        )
    if column.rules.get("hidden"):
        raise QueryError(f"{column!r} is hidden, and a cursor would show its values.")
    if statement.columns is not None:
        for place, each in enumerate(statement.columns):
            if each.shape == column.shape:
                return place
        raise QueryError(f"keyset() is ordered by {column!r}, so select() has to have it too.")
    if column.table.name != statement.source.name:
        raise QueryError(f"{column!r} is of another table, and rows do not have it. Use select().")
    return column.name


# The condition: what comes after a place, in an order that may go both ways and have NULL in it.


def _after(
    order: Sequence[Order],
    values: Sequence[object],
    may_be_null: Sequence[bool],
    dialect: Dialect,
) -> Condition:
    columns: list[AnyColumn] = [each.expr for each in order]  # type: ignore[misc]  # _place has looked
    directions = {each.descending for each in order}
    if len(order) > 1 and dialect.compares_rows and len(directions) == 1 and not any(may_be_null):
        bound = [Value[Any, Any](v, c.kind) for c, v in zip(columns, values, strict=True)]
        return Condition("row_lt" if directions.pop() else "row_gt", (*columns, *bound))
    ways: list[Condition] = []
    equal: list[Condition] = []
    for each, value, nullable in zip(order, values, may_be_null, strict=True):
        beyond = _beyond(each, value, dialect, nullable=nullable)
        if beyond is not None:
            ways.append(every([*equal, beyond]) if equal else beyond)
        equal.append(exactly(each.expr, value))
    first, value = columns[0], values[0]
    if len(columns) == 1 or may_be_null[0]:
        return some(ways)
    # Implied by each of the ways, and what an index is good for.
    return every([first <= value if order[0].descending else first >= value, some(ways)])


def _beyond(order: Order, value: object, dialect: Dialect, *, nullable: bool) -> Condition | None:
    """Return what comes after ``value`` in one column; ``None`` if nothing does."""
    column = order.expr
    if value is None:
        return column.not_null() if _nulls_first(order, dialect) else None
    beyond = column < value if order.descending else column > value
    if nullable and not _nulls_first(order, dialect):
        return beyond | column.is_null()
    return beyond


def _may_be_null(statement: SelectStatement, order: Order) -> bool:
    """Tell whether a column may have no value in a row: also where an outer join found nothing."""
    column: AnyColumn = order.expr  # type: ignore[assignment]  # as above
    return column.nullable or any(
        each.full or (each.outer and each.key is column.table) for each in statement.joins
    )


def _nulls_first(order: Order, dialect: Dialect) -> bool:
    if order.nulls_first is not None:
        return order.nulls_first
    return order.descending if dialect.nulls_are_large else not order.descending


def _reversed(order: Order) -> Order:
    nulls = None if order.nulls_first is None else not order.nulls_first
    return Order(order.expr, descending=not order.descending, nulls_first=nulls)
