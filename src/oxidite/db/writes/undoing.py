"""What objects know of their rows is undone with the transaction in which it came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any
from weakref import ref

from oxidite.db.connections.transaction import current_transaction
from oxidite.db.database import Database
from oxidite.db.tables.state import keep_row, rows_of
from oxidite.db.tables.table import Table

__all__ = ["remember"]


def remember(
    database: Database, table: Table, objects: Sequence[Any], *, are_new: bool = False
) -> None:
    """Have objects that are about to be written be as they are now if the open transaction is undone.

    That is their rows, and the columns that nobody but we set: what the program has changed stays
    changed, so it can be saved again. Objects that ``are_new`` are known to have no rows.
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
    before = _Before(
        list(map(ref, objects)),
        [None] * len(objects) if are_new else rows_of(objects),
        {name: list(map(attrgetter(name), objects)) for name in names},
    )
    transaction.on_rollback(before.restore)


@dataclass(frozen=True, slots=True)
class _Before:
    """How objects were, a list for each thing: a tuple for each object is work for the collector."""

    objects: list[ref[Any]]
    """None is kept alive."""
    rows: list[Any]
    values: dict[str, list[Any]]
    """By the name of a column."""

    def restore(self) -> None:
        for place, alive in enumerate(self.objects):
            one = alive()
            if one is not None:
                keep_row(one, self.rows[place])
                for name, values in self.values.items():
                    setattr(one, name, values[place])
