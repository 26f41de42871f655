"""Queries inside of queries: as a value, as a list of values, as a condition."""

from __future__ import annotations

from typing import Any, Protocol

from msgspec.structs import replace

from oxidite.db.expressions.expressions import AnyExpr, Condition, Expr, Shape
from oxidite.db.statements.selects import SelectStatement, check_one_column
from oxidite.db.values.kinds import BOOLEAN, Kind

__all__ = ["HasStatement", "Subquery", "exists", "scalar"]


class HasStatement(Protocol):
    """A query."""

    @property
    def statement(self) -> SelectStatement:
        """What is asked for."""
        ...


class Subquery(Expr[Any, Any]):
    """A SELECT in parentheses. It may name columns of the query that it stands in."""

    __slots__ = ("statement",)

    def __init__(self, statement: SelectStatement, of: AnyExpr | None) -> None:
        self.statement: SelectStatement = statement
        self.kind: Kind = BOOLEAN if of is None else of.kind
        self.shape: Shape = ("select", statement.key())
        self.values: tuple[object, ...] = tuple(statement.values())


def exists(query: HasStatement | SelectStatement) -> Condition:
    """Whether a query has a row; it may name columns of the query that it stands in.

    ``exists(Post.where(Post.author_id == User.id))`` are the users with a post. ``~exists(...)`` is the
    contrary.
    """
    statement = query if isinstance(query, SelectStatement) else query.statement
    if statement.order and statement.limit is None and statement.offset is None:
        statement = replace(statement, order=())
    return Condition("exists", (Subquery(statement, None),))


def scalar(statement: SelectStatement) -> Subquery:
    """Return the value of the only column of a query as an expression."""
    return Subquery(statement, check_one_column(statement))
