"""Tells the triggers of the history when something is changed, by whom and why.

That is the user that is carried here (``oxidite.carried.user``), the ``reason``, and one moment for all
that a transaction changes. A statement by itself gets a transaction around it, as only there what the
triggers are told ends by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from oxidite.carried import Carried, user
from oxidite.clock import now
from oxidite.db.connections.base import Connection
from oxidite.db.connections.transaction import (
    Owner,
    Told,
    Transaction,
    TransactionBlock,
    current_transaction,
)

__all__ = ["noted", "reason"]

R = TypeVar("R")

reason: Carried = Carried("reason")
"""Why something is changed: ``with reason.of("a new price list"):``. The history of models keeps it."""


async def noted(owner: Owner, work: Callable[[], Awaitable[R]]) -> R:
    """Change what has a history, and let it know who does."""
    transaction = current_transaction(owner)
    if transaction is not None:
        await _tell(owner, transaction)
        return await work()
    async with TransactionBlock(owner, None, read_only=False, retry=0) as made:
        await _tell(owner, made)
        return await work()


async def _tell(owner: Owner, transaction: Transaction) -> None:
    outermost = transaction.outermost
    who = (user.get(), reason.get())
    told = outermost._told  # noqa: SLF001 - it is no part of what users have
    if told is not None and told.who == who:
        return
    moment = now() if told is None else told.moment
    async with transaction.statement() as connection:
        name = owner.driver.dialect.name
        tell = {"sqlite": _tell_sqlite, "postgresql": _tell_postgresql}.get(name, _tell_mysql)
        outermost._told = await tell(connection, moment, who)  # noqa: SLF001 - as above


async def _tell_sqlite(
    connection: Connection, moment: datetime, who: tuple[str | None, str | None]
) -> Told:
    # Not there as long as nothing has a history here: of models, some may live in another file.
    there = await connection.fetch("SELECT 1 FROM sqlite_master WHERE name = 'ox_history'", ())
    if not there:
        return Told(moment, who, None, outlives=False)
    text = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    await connection.run("INSERT OR REPLACE INTO ox_history VALUES (1, ?, ?, ?)", (text, *who))
    return Told(moment, who, "DELETE FROM ox_history", outlives=False)


async def _tell_postgresql(
    connection: Connection, moment: datetime, who: tuple[str | None, str | None]
) -> Told:
    await connection.fetch(
        "SELECT set_config('oxidite.moment', $1, true), set_config('oxidite.user', $2, true), "
        "set_config('oxidite.reason', $3, true)",
        (moment.isoformat(), *[each or "" for each in who]),
    )
    return Told(moment, who, None, outlives=False)


async def _tell_mysql(
    connection: Connection, moment: datetime, who: tuple[str | None, str | None]
) -> Told:
    text = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    await connection.run(
        "SET @oxidite_moment = ?, @oxidite_user = ?, @oxidite_reason = ?", (text, *who)
    )
    end = "SET @oxidite_moment = NULL, @oxidite_user = NULL, @oxidite_reason = NULL"
    return Told(moment, who, end, outlives=True)
