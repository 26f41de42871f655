"""What a query is as SQL, and how the database means to run it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from oxidite.db.connections.running import fetch_rows
from oxidite.db.database import database_of
from oxidite.db.errors import QueryError
from oxidite.db.statements.statements import SelectStatement

__all__ = ["BoundSQL", "explain", "sql_of"]


class BoundSQL(NamedTuple):
    """SQL, and what is bound to its parameters, in order and as the driver takes it."""

    sql: str
    values: list[object]


def sql_of(query: SelectStatement) -> BoundSQL:
    """Return the SQL of a query."""
    plan = database_of(query.table).plans.find(query)
    return BoundSQL(plan.sql, list(plan.bind(query.values())))


async def explain(query: SelectStatement, *, analyze: bool) -> str:
    """Return how the database means to run a query; with ``analyze`` it is run, and timed."""
    database = database_of(query.table)
    dialect = database.dialect
    if analyze and not dialect.analyzes:
        raise QueryError(
            f"{dialect.product} cannot run a query to explain it: leave out analyze=True."
        )
    sql, values = sql_of(query)
    if dialect.name == "sqlite":
        steps = await fetch_rows(database, f"EXPLAIN QUERY PLAN {sql}", values, write=False)
        return _tree(steps)
    words = "EXPLAIN (ANALYZE, BUFFERS)" if analyze else "EXPLAIN"
    if dialect.is_mysql:
        words = "EXPLAIN FORMAT=JSON"  # its table has columns whose names are not in the rows
    rows = await fetch_rows(database, f"{words} {sql}", values, write=query.lock is not None)
    return "\n".join("\t".join(map(str, row)) for row in rows)


def _tree(steps: Sequence[Any]) -> str:
    """Write SQLite's steps, each below and to the right of the one it belongs to."""
    depths: dict[int, int] = {0: -1}
    lines: list[str] = []
    for number, parent, _, text in steps:
        depths[number] = depths.get(parent, -1) + 1
        lines.append(f"{'  ' * depths[number]}{text}")
    return "\n".join(lines)
