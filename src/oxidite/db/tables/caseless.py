"""Text that is the same in upper and lower case: ``col(ignore_case=True)``.

Both sides are compared in lower case, and an index is on the lower case of the column, so it is used and
``unique`` means it. No collation or extension is needed. SQLite knows the lower case of ASCII only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from oxidite.db.expressions.expressions import Call, Condition, Expr, Subselect, Value, listed
from oxidite.db.tables.columns import Column
from oxidite.db.values.kinds import CASELESS, TEXT, is_text

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
        # The types are those of every column. The database lowers both sides, wherever it can: what it
        # takes for lower case is then the same on both.

        def __eq__(self, other: object) -> Condition:
            if other is None:
                return self.is_null()
            return lower(self) == _lowered(other)

        def __ne__(self, other: object) -> Condition:
            if other is None:
                return self.not_null()
            return lower(self) != _lowered(other)

        __hash__ = Column.__hash__

        def in_(self, values: object) -> Condition:
            return _among("in", self, values)

        def not_in(self, values: object) -> Condition:
            return _among("not_in", self, values)


def _lowered(operand: Any) -> Any:
    if isinstance(operand, str) and not is_text(operand):
        return operand  # which is told from all that there is, without being bound
    return lower(operand if isinstance(operand, Expr) else Value(operand, TEXT))


def _among(name: str, column: Column[Any, Any], values: Any) -> Condition:
    if isinstance(values, Subselect):
        return Condition(f"{name}_rows", (lower(column), values.as_values()), ("lower",))
    found = [each for each in listed(values) if not isinstance(each, str) or is_text(each)]
    return Condition(name, (lower(column), Value(found, CASELESS.list_of())))
