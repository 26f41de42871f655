"""Objects written together: in one transaction, and as they were before if that is undone."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from oxidite.db.database import database_of
from oxidite.db.tables.state import keep_row, row_of
from oxidite.db.tables.table import Table

__all__ = ["whole"]


@contextlib.asynccontextmanager
async def whole(objects: Sequence[Any], table: Table) -> AsyncIterator[None]:
    """Do all of it or nothing in the database of a table; if nothing, the objects are as they were."""
    before = [
        (one, row_of(one), [(each.name, getattr(one, each.name)) for each in columns])
        for one in objects
        for columns in (type(one).__table__.columns,)
    ]
    try:
        async with database_of(table).transaction():
            yield
    except BaseException:
        for one, row, values in before:
            keep_row(one, row)
            for name, value in values:
                setattr(one, name, value)
        raise
