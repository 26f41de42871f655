"""What a column that refers to another table has of a row there."""

from __future__ import annotations

from typing import Any, TypeAlias

from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import Table

__all__ = ["referred_name"]

AnyColumn: TypeAlias = Column[Any, Any]


def referred_name(column: AnyColumn, table: Table) -> str | None:
    """Return the name of the column of ``table`` that another one refers to.

    ``None`` if it refers to another table, or to none.
    """
    reference = column.rules.get("references")
    if isinstance(reference, Column):
        return reference.name if table.by_name.get(reference.name) is reference else None
    if isinstance(reference, str):
        name, _, found = reference.rpartition(".")
        if name == table.name:
            return next((each.name for each in table.columns if each.column_name == found), None)
    return None
