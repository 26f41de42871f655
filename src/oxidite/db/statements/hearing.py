"""Tells those who listen what statements read and change; called only while somebody does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Protocol, TypeVar

from oxidite.db.connections.notices import Changes, Rows, listeners, tell_changes
from oxidite.db.connections.transaction import current_transaction
from oxidite.db.statements.statements import SelectStatement, Statement
from oxidite.db.statements.touching import changes_of, name_of, rows_read
from oxidite.db.tables.table import Table
from oxidite.db.values.dialects import Dialect

__all__ = ["hear_changes", "hear_read", "hear_row", "heard"]

T = TypeVar("T")


class _Owner(Protocol):
    @property
    def dialect(self) -> Dialect: ...


async def heard(owner: _Owner, statement: Statement, work: Awaitable[T]) -> T:
    """Do the work of a statement, and tell of it: what it reads before, what it changed after."""
    if isinstance(statement, SelectStatement):
        hear_read(statement, owner.dialect)
        return await work
    result: T | None = None
    try:
        result = await work
        return result
    finally:
        await hear_changes(owner, changes_of(statement, result, owner.dialect))


async def hear_changes(owner: object, changes: Changes) -> None:
    """Tell of changes: once the transaction that is open is committed, or now."""
    transaction = current_transaction(owner)
    if transaction is not None:
        transaction._note(changes)  # noqa: SLF001 - it is no part of what users have
    elif changes:
        await tell_changes(changes)


def hear_read(statement: SelectStatement, dialect: Dialect) -> None:
    """Tell that a query is about to be read."""
    _tell_read(lambda: rows_read(statement, dialect))


def hear_row(table: Table, key: Hashable) -> None:
    """Tell that a row is about to be read by its primary key."""
    _tell_read(lambda: {name_of(table): (key,)})


def _tell_read(rows: Callable[[], Rows]) -> None:
    found: Rows | None = None
    for each in listeners:
        if each.hears_reads:
            found = rows() if found is None else found
            each.read(found)
