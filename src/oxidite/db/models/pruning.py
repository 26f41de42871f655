"""Rows that are not kept for ever: ``class Log(Model, Timestamps, prune_after=timedelta(days=30))``."""

from __future__ import annotations

from oxidite.clock import now
from oxidite.db.database import HasTable, database_of
from oxidite.db.errors import ModelError
from oxidite.db.expressions.expressions import Condition
from oxidite.db.rules.scopes import UNSCOPED
from oxidite.db.statements.statements import DeleteStatement, SelectStatement
from oxidite.db.tables.table import Table

__all__ = ["prune"]


async def prune(*models: HasTable, batch: int = 1000) -> int:
    """Delete the rows of models that are older than they are kept; return how many there were.

    About ``batch`` rows at a time, each with a statement of its own, so that nobody waits for long. Rows that
    seem to be deleted are deleted too, and so are those of every tenant; hooks are not called.

    Raises:
        ModelError: a model has no ``prune_after``.
    """
    count = 0
    for model in models:
        table = model.__table__
        done = batch
        while done >= batch:
            done = await _prune(table, batch)
            count += done
    return count


async def _prune(table: Table, batch: int) -> int:
    column = table.by_name.get(table.prune_by)
    if table.prune_after is None or column is None:
        raise ModelError(
            f"{table!r} does not say how long its rows are kept: class Log(Model, Timestamps, "
            "prune_after=timedelta(days=30)). Their age is that of created_at, or of prune_by=."
        )
    old: Condition = column < now() - table.prune_after
    database = database_of(table)
    last = await database.fetch(
        SelectStatement(
            table=table,
            source=table.key,
            columns=(column,),
            where=(old, UNSCOPED),
            order=(column.asc(),),
            limit=1,
            offset=batch - 1,
            deleted="with",
        )
    )
    where: Condition = column <= last[0][0] if last else old
    done = await database.run(DeleteStatement(table=table, where=(where, UNSCOPED), deleted="with"))
    return done.rowcount
