"""What objects know of their rows is undone with the transaction in which it came about."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias
from weakref import ref

from oxidite.db.connections.transaction import current_transaction
from oxidite.db.database import Database
from oxidite.db.tables.state import keep_row, row_of
from oxidite.db.tables.table import Table

__all__ = ["remember"]

_Before: TypeAlias = tuple[ref[Any], Any, list[tuple[str, Any]]]


def remember(database: Database, table: Table, objects: Sequence[Any]) -> None:
    """Have objects that are about to be written be as they are now if the open transaction is undone.

    That is their rows, and the columns that nobody but we set: what the program has changed stays
    changed, so it can be saved again.
    """
    transaction = current_transaction(database)
    if transaction is None:
        return
    marks = (table.version, table.soft_deletes)
    names = [
        column.name
        for column in table.columns
        if column.is_generated
        or "on_update" in column.rules
        or any(column is mark for mark in marks)
    ]
    before: list[_Before] = [
        (ref(one), row_of(one), [(name, getattr(one, name)) for name in names]) for one in objects
    ]
    transaction.on_rollback(partial(_restore, before))


def _restore(before: Sequence[_Before]) -> None:
    for alive, row, values in before:
        one = alive()
        if one is not None:
            keep_row(one, row)
            for name, value in values:
                setattr(one, name, value)
