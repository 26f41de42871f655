"""Columns of vectors are found again as such, by their type or by the check of their length."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.db.conftest import KINDS, vectors_url

from oxidite.db import Col, Database, Model, Vector, col, index
from oxidite.db.migrations.compare import differences
from oxidite.db.migrations.models import schema_of

from .support import imported, inspected, tables_in


class Placed(Model, table="placed", indexes=[index("near", using="ivfflat", name="lists")]):
    id: Col[int] = col(pk=True, init=False)
    at: Col[Vector] = col(dimensions=3, index=True)
    near: Col[Vector | None] = col(dimensions=2, metric="l2", default=None)
    product: Col[Vector] = col(dimensions=2, metric="inner_product", index=True)
    plain: Col[bytes] = col(default=b"")


@pytest.mark.parametrize("kind", KINDS)
async def test_vectors_are_read_back(kind: str, tmp_path: Path) -> None:
    async with vectors_url(kind, tmp_path) as url, Database.from_url(url) as db:
        await db.push(Placed)
        text = await inspected(db)
        (table,) = tables_in(imported(text, tmp_path))
        schema = schema_of([table], db.dialect)
        wanted = schema_of([Placed.__table__], db.dialect)
        assert schema["placed"].columns == wanted["placed"].columns
        if db.dialect.name == "postgresql":
            assert schema == wanted
            assert 'near: Col[Vector | None] = col(dimensions=2, metric="l2", default=None)' in text
        else:  # where there are no such indexes, nothing tells the metric
            assert schema["placed"].indexes == ()
        async with db.driver.connection(write=True) as connection:
            assert await differences(connection, db.dialect, schema) == []
