"""Aggregates and window functions of queries; users have them as ``fn.count()`` and so on."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeVar, overload

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import AnyExpr, Call, Expr, Order, Value
from oxidite.db.expressions.windows import Aggregate, Orders, Window, window
from oxidite.db.values.kinds import FLOAT, INTEGER, TEXT, WHOLE

__all__ = [
    "array_agg",
    "avg",
    "count",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "max",
    "min",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
    "string_agg",
    "sum",
]

O = TypeVar("O")  # noqa: E741 - the operand: what it may be compared with
R = TypeVar("R")
N = TypeVar("N", int, float, Decimal)


# Aggregates: one value of a group of rows, or of all of them.


def count(expr: Expr[Any, Any] | None = None, *, distinct: bool = False) -> Aggregate[int, int]:
    """The number of rows; of ``expr`` that of its values, or of its different ones.

    Raises:
        QueryError: ``distinct`` of nothing.
    """
    if expr is None:
        if distinct:
            raise QueryError(
                "count(distinct=True) of what? Say fn.count(User.name, distinct=True)."
            )
        return Aggregate("rows", (), INTEGER)
    return Aggregate("count_distinct" if distinct else "count", (expr,), INTEGER)


def sum(expr: Expr[N, Any]) -> Aggregate[N, N | None]:
    """The sum of the values; ``None`` if there are none."""
    return Aggregate("sum", (expr,), WHOLE if expr.kind is INTEGER else expr.kind)


@overload
def avg(expr: Expr[Decimal, Any]) -> Aggregate[Decimal, Decimal | None]: ...
@overload
def avg(expr: Expr[int, Any] | Expr[float, Any]) -> Aggregate[float, float | None]: ...
def avg(expr: AnyExpr) -> Aggregate[Any, Any]:
    """The mean of the values; ``None`` if there are none."""
    kind = expr.kind if expr.kind.name == "decimal" else FLOAT
    return Aggregate("avg", (expr,), kind, (expr.kind.name,))


def min(expr: Expr[O, Any]) -> Aggregate[O, O | None]:
    """The smallest value; ``None`` if there are none."""
    return Aggregate("min", (expr,), expr.kind)


def max(expr: Expr[O, Any]) -> Aggregate[O, O | None]:
    """The largest value; ``None`` if there are none."""
    return Aggregate("max", (expr,), expr.kind)


def string_agg(
    expr: Expr[str, Any], separator: str = ", ", *, order_by: Orders = ()
) -> Aggregate[str, str | None]:
    """The texts put together, without those that are ``None``; ``None`` if there are none.

    Not every database takes an order; then none is promised.
    """
    exprs, directions = _ordered(order_by)
    return Aggregate("string_agg", (expr, Value(separator, TEXT), *exprs), TEXT, directions)


def array_agg(expr: Expr[O, R], *, order_by: Orders = ()) -> Aggregate[list[O], list[R] | None]:
    """The values as a list; ``None`` or an empty list if there are none."""
    exprs, directions = _ordered(order_by)
    return Aggregate("array_agg", (expr, *exprs), expr.kind.list_of(), directions)


def _ordered(order_by: Orders) -> tuple[tuple[AnyExpr, ...], tuple[bool, ...]]:
    given = [order_by] if isinstance(order_by, Order | Expr) else order_by
    orders = [each if isinstance(each, Order) else each.asc() for each in given]
    if any(each.nulls_first is not None for each in orders):
        raise QueryError("The order of an aggregate does not say where None comes.")
    return tuple([each.expr for each in orders]), tuple([each.descending for each in orders])


# Windows.


def row_number() -> Window[int, int]:
    """The place of the row in its window, from 1."""
    return window("row_number", (), INTEGER)


def rank() -> Window[int, int]:
    """The place of the row, the same for equal ones, which leave a gap behind them."""
    return window("rank", (), INTEGER)


def dense_rank() -> Window[int, int]:
    """The place of the row, the same for equal ones, without gaps."""
    return window("dense_rank", (), INTEGER)


def percent_rank() -> Window[float, float]:
    """The place of the row from 0 to 1."""
    return window("percent_rank", (), FLOAT)


def ntile(parts: int) -> Window[int, int]:
    """In which of so many parts of its window the row is, from 1.

    Raises:
        QueryError: there is no part.
    """
    if parts < 1:
        raise QueryError(f"ntile({parts}): a window has one part at least.")
    return Window(Call("ntile", (), INTEGER, (int(parts),)))


@overload
def lag(expr: Expr[O, R], offset: int = 1) -> Window[O, R | None]: ...
@overload
def lag(expr: Expr[O, R], offset: int = 1, *, default: O) -> Window[O, R]: ...
def lag(expr: Expr[Any, Any], offset: int = 1, *, default: Any = None) -> Window[Any, Any]:
    """The value ``offset`` rows before; ``default`` where there is none."""
    return _beside("lag", expr, offset, default)


@overload
def lead(expr: Expr[O, R], offset: int = 1) -> Window[O, R | None]: ...
@overload
def lead(expr: Expr[O, R], offset: int = 1, *, default: O) -> Window[O, R]: ...
def lead(expr: Expr[Any, Any], offset: int = 1, *, default: Any = None) -> Window[Any, Any]:
    """The value ``offset`` rows after; ``default`` where there is none."""
    return _beside("lead", expr, offset, default)


def _beside(name: str, expr: AnyExpr, offset: int, default: object) -> Window[Any, Any]:
    if offset < 0:
        raise QueryError(f"{name}() goes by {offset} rows: take the other one of lag() and lead().")
    args = (expr,) if default is None else (expr, Value(default, expr.kind))
    return Window(Call(name, args, expr.kind, (int(offset),)))


def first_value(expr: Expr[O, R]) -> Window[O, R]:
    """The value in the first row of the frame."""
    return window("first_value", (expr,), expr.kind)


def last_value(expr: Expr[O, R]) -> Window[O, R]:
    """The value in the last row of the frame; without a frame that is this row."""
    return window("last_value", (expr,), expr.kind)
