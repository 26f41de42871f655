"""Queries of rows as they were at a moment."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self, TypeVar

from oxidite.db.errors import ModelError, QueryError
from oxidite.db.expressions.expressions import Condition, Expr, some
from oxidite.db.queries.query import Select
from oxidite.db.rules.scopes import UNSCOPED
from oxidite.db.statements.correlated import Correlated
from oxidite.db.statements.selects import DerivedTable, SelectStatement
from oxidite.db.statements.walking import inner_exprs
from oxidite.db.tables.history import FROM, UNTIL
from oxidite.db.tables.table import Table

__all__ = ["PastSelect", "history_table", "past_rows", "versions"]

T = TypeVar("T")

_REFUSED = {
    "loads": "with_()",
    "extra": "with_count()",
    "joins": "a join",
    "lock": "a lock",
    "lazy": "lazy()",
}


class PastSelect(Select[T]):
    """The rows of a model as they were at a moment, for which something holds.

    What it knows is one table. What relations lead to, other tables and locks are of now, so they are
    refused: read the other model as it was, too, or put two such queries together as ``subquery``.
    """

    __slots__ = ()

    def _with(self, **changes: Any) -> Self:
        for name, words in _REFUSED.items():
            if name in changes:
                raise QueryError(
                    f"{words} is about rows as they are now, and this query about rows as they were. Read "
                    "the other model as it was at that moment, too."
                )
        made = super()._with(**changes)
        if any(isinstance(each, Correlated) for each in inner_exprs(made.statement)):
            raise QueryError(
                "A condition over a relation is about rows as they are now, and this query about rows as "
                "they were. Compare with the keys of the other model as it was at that moment."
            )
        return made


def history_table(table: Table) -> Table:
    """Return what has the versions of the rows of a table.

    Raises:
        ModelError: nothing has.
    """
    if table.history is None:
        raise ModelError(
            f"{table!r} has no history. Its model keeps one as class Price(Model, History, …)."
        )
    return table.history


def versions(table: Table, *conditions: Condition) -> DerivedTable:
    """Return versions of rows as the table that they are of."""
    history = history_table(table)
    statement = SelectStatement(table=history, source=history.key, where=conditions, deleted="with")
    return DerivedTable(key=table.key, columns=history.columns, statement=statement, past=True)


def past_rows(table: Table, moment: datetime, *, unscoped: bool) -> SelectStatement:
    """Return the SELECT of the rows that were there at a moment.

    Raises:
        QueryError: that is none, as it has no time zone.
        ModelError: the table has no history.
    """
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise QueryError(
            f"as_of() takes a moment, and {moment!r} has no time zone: oxidite.clock.now() - "
            "timedelta(days=1), or say which zone it is in, value.replace(tzinfo=...)."
        )
    history = history_table(table)
    since: Expr[Any, Any] = history.by_name[FROM]
    until: Expr[Any, Any] = history.by_name[UNTIL]
    return SelectStatement(
        table=table,
        source=table.key,
        derived=versions(table, since <= moment, some([until.is_null(), until > moment])),
        where=(UNSCOPED,) if unscoped else table.scoped(),
        lazy="raise",
    )
