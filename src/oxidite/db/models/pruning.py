"""Rows that are not kept for ever: ``class Log(Model, Timestamps, prune_after=timedelta(days=30))``."""

from __future__ import annotations

from datetime import datetime

from oxidite.clock import now
from oxidite.db.database import HasTable, database_of
from oxidite.db.errors import ModelError
from oxidite.db.expressions.expressions import Condition
from oxidite.db.rules.scopes import UNSCOPED
from oxidite.db.statements.statements import Deleted, DeleteStatement, SelectStatement
from oxidite.db.tables.history import FROM, ID, UNTIL
from oxidite.db.tables.table import AnyColumn, Table

__all__ = ["prune"]


async def prune(*models: HasTable, batch: int = 1000) -> int:
    """Delete the rows of models that are older than they are kept; return how many there were.

    About ``batch`` rows at a time, each with a statement of its own, so that nobody waits for long. Rows that
    seem to be deleted are deleted too, and so are those of every tenant; hooks are not called. Versions of
    rows that are past for longer than ``prune_history_after`` are deleted as well, and not counted.

    Raises:
        ModelError: a model has neither ``prune_after`` nor ``prune_history_after``.
    """
    count = 0
    for model in models:
        table = model.__table__
        if table.prune_after is not None or table.prune_history_after is None:
            done = batch
            while done >= batch:
                done = await _prune(table, batch)
                count += done
        if table.history is not None and table.prune_history_after is not None:
            until = now() - table.prune_history_after
            while await _prune_history(table.history, until, batch) >= batch:
                pass
    return count


async def _prune(table: Table, batch: int) -> int:
    column = table.by_name.get(table.prune_by)
    if table.prune_after is None or column is None:
        raise ModelError(
            f"{table!r} does not say how long its rows are kept: class Log(Model, Timestamps, "
            "prune_after=timedelta(days=30)). Their age is that of created_at, or of prune_by=."
        )
    old: Condition = column < now() - table.prune_after
    return await _delete_first(table, column, (old, UNSCOPED), batch, deleted="with")


async def _prune_history(history: Table, until: datetime, batch: int) -> int:
    """Delete versions that were past before a moment, those that were made first before others."""
    number, ended = history.by_name[ID], history.by_name[UNTIL]
    old: tuple[Condition, ...] = (ended < until, history.by_name[FROM] < until)
    return await _delete_first(history, number, old, batch)


async def _delete_first(
    table: Table,
    order: AnyColumn,
    old: tuple[Condition, ...],
    batch: int,
    *,
    deleted: Deleted = "without",
) -> int:
    """Delete about ``batch`` rows for which conditions hold, the first by a column; return how many."""
    database = database_of(table)
    last = await database.fetch(
        SelectStatement(
            table=table,
            source=table.key,
            columns=(order,),
            where=old,
            order=(order.asc(),),
            limit=1,
            offset=batch - 1,
            deleted=deleted,
        )
    )
    where = (*old, order <= last[0][0]) if last else old
    done = await database.run(DeleteStatement(table=table, where=where, deleted=deleted))
    return done.rowcount
