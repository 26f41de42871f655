"""Functions over a window of rows: places, sums so far, the row before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import AnyExpr, Call, Condition, Expr, Order, Shape
from oxidite.db.values.kinds import Kind

__all__ = ["Aggregate", "Exprs", "Frame", "Orders", "Over", "Window", "window"]

O = TypeVar("O")  # noqa: E741 - the operand: what it may be compared with
R = TypeVar("R")

Frame: TypeAlias = tuple[int | None, int | None]
"""From which row to which, counted from this one: ``(-2, 0)``; ``None`` is the first or the last."""
Exprs: TypeAlias = AnyExpr | Sequence[AnyExpr]
Orders: TypeAlias = Order | AnyExpr | Sequence[Order | AnyExpr]


class Over(Expr[O, R]):
    """A function over a window of rows: what it yields differs in each of them."""

    __slots__ = ("call", "frame", "order_by", "partition_by", "unit")

    def __init__(
        self,
        call: Call[O, R],
        partition_by: tuple[AnyExpr, ...],
        order_by: tuple[Order, ...],
        unit: Literal["rows", "range_"],
        frame: Frame | None,
    ) -> None:
        self.call: Call[O, R] = call
        self.partition_by: tuple[AnyExpr, ...] = partition_by
        self.order_by: tuple[Order, ...] = order_by
        self.unit: Literal["rows", "range_"] = unit
        self.frame: Frame | None = frame
        self.kind: Kind = call.kind
        values = [*call.values]
        for expr in partition_by:
            values += expr.values
        for order in order_by:
            values += order.values
        self.values: tuple[object, ...] = tuple(values)
        self.shape: Shape = (
            "over",
            call.shape,
            tuple([each.shape for each in partition_by]),
            tuple([each.shape for each in order_by]),
            unit,
            frame,
        )


class Window(Generic[O, R]):
    """A function that only a window gives a meaning: say ``over(...)``."""

    __slots__ = ("_call",)

    def __init__(self, call: Call[O, R]) -> None:
        self._call = call

    def over(
        self,
        *,
        partition_by: Exprs = (),
        order_by: Orders = (),
        rows: Frame | None = None,
        range: Frame | None = None,
    ) -> Expr[O, R]:
        """Return its value in each row.

        ``partition_by`` makes a window of each group of rows, ``order_by`` says what is before and after
        in it. ``rows`` and ``range`` take a part of the window: ``rows=(-6, 0)`` is this row and the six
        before it; ``range`` counts rows that are equal in the order as one.

        Raises:
            QueryError: the frame is none.
        """
        return _over(self._call, partition_by, order_by, rows, range)


class Aggregate(Call[O, R]):
    """A function that makes one value of those of a group of rows."""

    __slots__ = ()

    def filter(self, *conditions: Condition) -> Aggregate[O, R]:
        """Return it of the rows only for which the conditions hold."""
        if not conditions:
            return self
        condition = conditions[0] if len(conditions) == 1 else Condition("and", conditions)
        return Aggregate("filter", (self, condition), self.kind)

    def over(
        self,
        *,
        partition_by: Exprs = (),
        order_by: Orders = (),
        rows: Frame | None = None,
        range: Frame | None = None,
    ) -> Expr[O, R]:
        """Return its value over a window in each row; see ``Window.over``.

        With ``order_by`` it is the value so far.
        """
        return _over(self, partition_by, order_by, rows, range)


def window(name: str, args: Iterable[AnyExpr], kind: Kind) -> Window[Any, Any]:
    """Return a window function."""
    return Window(Call(name, tuple(args), kind))


def _over(
    call: Call[O, R],
    partition_by: Exprs,
    order_by: Orders,
    rows: Frame | None,
    range: Frame | None,
) -> Over[O, R]:
    if rows is not None and range is not None:
        raise QueryError("A window has one frame: rows=... or range=..., not both.")
    orders = [order_by] if isinstance(order_by, Order | Expr) else order_by
    return Over(
        call,
        (partition_by,) if isinstance(partition_by, Expr) else tuple(partition_by),
        tuple([each if isinstance(each, Order) else each.asc() for each in orders]),
        "rows" if range is None else "range_",
        _checked(rows if range is None else range),
    )


def _checked(frame: Frame | None) -> Frame | None:
    if frame is None:
        return None
    try:
        first, last = frame
    except (TypeError, ValueError):
        raise QueryError(f"A frame is a pair such as (-6, 0), not {frame!r}.") from None
    for each in (first, last):
        if each is not None and (not isinstance(each, int) or isinstance(each, bool)):
            raise QueryError(f"A frame is counted in whole rows or is None, not {each!r}.")
    if first is not None and last is not None and first > last:
        raise QueryError(f"The frame {frame!r} ends before it begins.")
    return (first, last)
