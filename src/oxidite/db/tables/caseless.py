"""Text that is the same in upper and lower case: ``col(ignore_case=True)``.

Both sides are compared in lower case, and an index is on the lower case of the column, so it is used and
``unique`` means it. No collation or extension is needed. SQLite knows the lower case of ASCII only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from oxidite.db.expressions.expressions import Call, Condition, Expr, Subselect, Value
from oxidite.db.tables.columns import Column
from oxidite.db.values.kinds import TEXT

__all__ = ["CaselessColumn", "lower"]

O = TypeVar("O")  # noqa: E741 - the operand, as in columns.py
R = TypeVar("R")


def lower(expr: Expr[Any, Any]) -> Expr[Any, Any]:
    """Return an expression in lower case."""
    return Call("lower", (expr,), TEXT)


class CaselessColumn(Column[O, R]):
    """A column of text that is compared in lower case."""

    __slots__ = ()

    if not TYPE_CHECKING:
        # The types are those of every column.

        def __eq__(self, other: object) -> Condition:
            if other is None:
                return self.is_null()
            return Condition("eq", (lower(self), _lowered(other)))

        def __ne__(self, other: object) -> Condition:
            if other is None:
                return self.not_null()
            return Condition("ne", (lower(self), _lowered(other)))

        __hash__ = Column.__hash__

        def in_(self, values: object) -> Condition:
            if isinstance(values, Subselect):
                return Condition("in_rows", (lower(self), values.as_values()))
            return Condition("in", (lower(self), _lowered_list(values)))

        def not_in(self, values: object) -> Condition:
            if isinstance(values, Subselect):
                return Condition("not_in_rows", (lower(self), values.as_values()))
            return Condition("not_in", (lower(self), _lowered_list(values)))


def _lowered(operand: object) -> Expr[Any, Any]:
    # The database lowers both sides: what it takes for lower case is then the same on both.
    return lower(operand if isinstance(operand, Expr) else Value(operand, TEXT))


def _lowered_list(values: Iterable[Any]) -> Expr[Any, Any]:
    return Value([str(each).lower() for each in values], TEXT.list_of())
