"""Columns of ranges are found again as such, by their type or by the check of their texts."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from oxidite.db import Col, Database, Model, Range, col, index
from oxidite.db.migrations.compare import differences
from oxidite.db.migrations.models import schema_of

from .support import imported, inspected, tables_in


class Stay(Model, table="stays", indexes=[index("beds", "nights", name="both")]):
    id: Col[int] = col(pk=True, init=False)
    during: Col[Range[datetime]] = col(index=True)
    nights: Col[Range[date] | None] = col(default=None)
    beds: Col[Range[int]]
    price: Col[Range[Decimal]] = col(unique=True)
    text: Col[str]


async def test_ranges_are_read_back(db: Database, tmp_path: Path) -> None:
    await db.push(Stay)
    text = await inspected(db)
    assert "during: Col[Range[datetime]] = col(index=True)" in text
    (table,) = tables_in(imported(text, tmp_path))
    schema = schema_of([table], db.dialect)
    assert schema == schema_of([Stay.__table__], db.dialect)
    async with db.driver.connection(write=True) as connection:
        assert await differences(connection, db.dialect, schema) == []
