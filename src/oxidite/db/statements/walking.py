"""What stands inside of a statement: its expressions, its queries and its tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from oxidite.db.expressions.expressions import Call, Expr
from oxidite.db.expressions.windows import Over
from oxidite.db.statements.correlated import Correlated
from oxidite.db.statements.selects import DerivedTable, Output, SelectStatement
from oxidite.db.statements.statements import Statement
from oxidite.db.statements.subqueries import Subquery
from oxidite.db.tables.table import Table

__all__ = ["derived_tables", "inner_exprs", "inner_tables"]


def derived_tables(statement: SelectStatement) -> Iterator[DerivedTable]:
    """Yield the queries that stand as tables in another one."""
    if statement.derived is not None:
        yield statement.derived
    for join in statement.joins:
        if isinstance(join.table, DerivedTable):
            yield join.table


def inner_exprs(statement: Statement) -> Iterator[Expr[Any, Any]]:
    """Yield all the expressions of a statement, those inside of others too, but not of its queries."""
    if isinstance(statement, SelectStatement):
        found = [
            *(statement.columns or ()),
            *statement.extra,
            *(join.on for join in statement.joins),
            *statement.where,
            *statement.group,
            *statement.having,
            *statement.distinct_on,
            *(each.expr for each in statement.order),
            *statement.per,
        ]
    else:
        found = [*getattr(statement, "exprs", ()), *statement.where]
    for each in found:
        yield from _inside(each)


def _inside(expr: Expr[Any, Any]) -> Iterator[Expr[Any, Any]]:
    yield expr
    match expr:
        case Call():
            inner: Sequence[Expr[Any, Any]] = expr.args
        case Over():
            inner = (expr.call, *expr.partition_by, *(each.expr for each in expr.order_by))
        case Output():
            inner = (expr.expr,)
        case Correlated():
            inner = expr.conditions
        case _:
            inner = ()
    for each in inner:
        yield from _inside(each)


def inner_tables(statement: Statement) -> Iterator[Table]:
    """Yield the tables of a statement, those of the queries in it too; one may come more than once."""
    yield statement.table
    for expr in inner_exprs(statement):
        if isinstance(expr, Subquery):
            yield from inner_tables(expr.statement)
        elif isinstance(expr, Correlated):
            yield from (hop.table for hop in expr.hops)
    if not isinstance(statement, SelectStatement):
        return
    yield from (join.table for join in statement.joins if isinstance(join.table, Table))
    inner = [each for table in derived_tables(statement) for each in (table.statement, table.step)]
    for each in (*inner, *(part.statement for part in statement.compound)):
        if each is not None:
            yield from inner_tables(each)
