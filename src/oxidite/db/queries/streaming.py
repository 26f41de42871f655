"""Reading very many rows without holding them: streams, and parts by primary key."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from msgspec.structs import replace

from oxidite.db.connections.notices import listeners
from oxidite.db.connections.running import stream_rows
from oxidite.db.database import database_of
from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import Condition, every, exactly, some
from oxidite.db.statements.hearing import hear_read
from oxidite.db.statements.peers import follow_if_asked
from oxidite.db.statements.statements import SelectStatement
from oxidite.db.tables.columns import Column

__all__ = ["chunks", "stream"]


async def stream(query: SelectStatement, size: int) -> AsyncGenerator[Any, None]:
    """Yield the rows of a query, read by ``size`` as they are asked for."""
    _check_size(size)
    database = database_of(query.table)
    plan = database.plans.get(query)
    if listeners:
        hear_read(query, database.dialect)
    async with aclosing(stream_rows(database, plan.sql, plan.bind(query.values()), size)) as parts:
        async for rows in parts:
            found = plan.read(rows)
            await follow_if_asked(query, found)
            for one in found:
                yield one


async def chunks(query: SelectStatement, size: int) -> AsyncGenerator[list[Any], None]:
    """Yield the rows of a query by ``size``, in the order of the primary key, each part by a query."""
    _check_size(size)
    _check_plain(query)
    database = database_of(query.table)
    keys = query.table.pk
    part = replace(query, order=tuple(key.asc() for key in keys), limit=size)
    while True:
        rows = await database.fetch(part)
        last = [getattr(rows[-1], key.name) for key in keys] if rows else []
        if rows:
            yield rows
        if len(rows) < size:
            return
        part = replace(part, where=(*query.where, _after(keys, last)))


def _after(keys: tuple[Column[Any, Any], ...], last: list[Any]) -> Condition:
    """Return the condition of the rows that come after one, by all of its key."""
    return some(
        every(
            [
                *(exactly(key, value) for key, value in zip(keys[:place], last, strict=False)),
                keys[place] > last[place],
            ]
        )
        for place in range(len(keys))
    )


def _check_size(size: int) -> None:
    if size < 1:
        raise QueryError(f"Rows are read by one or more at a time, not by {size}.")


def _check_plain(query: SelectStatement) -> None:
    said = [
        name
        for name, is_said in (
            ("select()", query.columns is not None),
            ("order_by()", bool(query.order)),
            ("limit()", query.limit is not None),
            ("offset()", query.offset is not None),
            ("group_by()", bool(query.group)),
            ("distinct()", query.distinct),
        )
        if is_said
    ]
    if said:
        raise QueryError(
            f"chunk() goes through whole rows by their primary key, so {', '.join(said)} cannot be said. "
            "stream() takes any query."
        )
