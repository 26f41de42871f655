"""MySQL's ways, on MariaDB: its dialect is a part of what MariaDB can do, but for names of collations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.db.conftest import database_url

from oxidite.db import Col, Database, Model, SoftDeletes, UniqueError, col, index
from oxidite.db.drivers.mysql import MySQLDriver
from oxidite.db.errors import QueryError
from oxidite.db.sql.compiler import compile_statement
from oxidite.db.sql.schema import create_statements
from oxidite.db.statements.statements import InsertStatement, SelectStatement, UpdateStatement
from oxidite.db.values.dialects import MARIADB, MYSQL
from oxidite.db.writes.saving import insert_many

pytestmark = pytest.mark.service("mariadb")


class Item(Model, SoftDeletes, table="items", indexes=[index("note"), index("code", "size")]):
    id: Col[int] = col(pk=True, init=False)
    code: Col[str] = col(unique=True, max_length=20)
    size: Col[int] = col(default=0)
    note: Col[str | None] = col(default=None)


@pytest.fixture
async def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    ways = replace(MYSQL, **{name: getattr(MARIADB, name) for name in ("name", "product")})
    monkeypatch.setattr(MySQLDriver, "dialect", property(lambda _: ways))
    async with database_url("mariadb", tmp_path) as url, Database.from_url(url) as found:
        yield found


async def test_keys_of_inserted_rows_are_known_without_returning(db: Database) -> None:
    await db.push(Item)
    one = await Item.create(code="one")
    many = [Item(code=f"many {number}") for number in range(5)]
    await insert_many(many)

    assert one.id == 1
    assert len({item.id for item in many}) == 5
    for item in many:
        assert (await Item.get(item.id)).code == item.code


async def test_a_schema_is_pushed_twice(db: Database) -> None:
    await db.push(Item)
    await db.push(Item)
    one = await Item.create(code="one")
    with pytest.raises(UniqueError):
        await Item.create(code="one")
    await one.delete()
    await Item.create(code="one")


async def test_returning_is_refused(db: Database) -> None:
    await db.push(Item)
    with pytest.raises(QueryError, match="MariaDB does not return the rows of an INSERT"):
        await db.fetch(
            InsertStatement(
                table=Item.__table__, columns=("code",), rows=[["x"]], returning=("id",)
            )
        )
    with pytest.raises(QueryError, match="does not return the rows of an UPDATE"):
        await db.fetch(
            UpdateStatement(
                table=Item.__table__,
                columns=("size",),
                exprs=(Item.size + 1,),
                where=(),
                returning=("id",),
            )
        )


def test_the_sql_for_mysql() -> None:
    (create,) = create_statements([Item.__table__], MYSQL)
    assert "COLLATE utf8mb4_0900_bin" in create
    assert "\tUNIQUE INDEX uq_items_code (code, __only_uq_items_code)" in create
    assert "\tINDEX ix_items_note (note(255))" in create
    assert "GENERATED ALWAYS AS (CASE WHEN deleted_at IS NULL THEN 1 END) VIRTUAL" in create

    query = SelectStatement(
        table=Item.__table__,
        source=Item.__table__.key,
        where=(Item.code.in_(["a"]), Item.note.ilike("a%")),
        order=(Item.note.asc(nulls_first=False),),
        limit=1,
        deleted="with",
    )
    sql = compile_statement(query, MYSQL).sql
    assert "WHERE (items.code IN ?) AND lower(items.note) LIKE lower(?) ESCAPE '\\'" in sql
    assert "ORDER BY items.note IS NULL, items.note ASC" in sql
