"""Values that are too long for an index, or for a column, are errors of their fields."""

from __future__ import annotations

import random
from typing import Any

import pytest

from oxidite.db import CheckError, Col, Database, Model, col, index

pytestmark = pytest.mark.anyio


class Page(Model, table="long_pages", indexes=[index("area", "number", unique=True)]):
    id: Col[int] = col(pk=True, init=False)
    code: Col[str] = col(unique=True)
    area: Col[str] = col(default="")
    number: Col[int] = col(default=0)
    mail: Col[str | None] = col(default=None, unique=True, ignore_case=True)
    note: Col[str | None] = col(default=None, index=True)
    cut: Col[str] = col(default="", max_length=9)


def text(length: int) -> str:
    """Text that cannot be compressed."""
    chance = random.Random(7)
    return "".join(chance.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(length))


@pytest.mark.parametrize("length", [4_000, 30_000])
@pytest.mark.parametrize("field", ["code", "area", "mail", "note"])
async def test_a_text_that_no_index_takes_is_an_error_of_its_field(
    db: Database, field: str, length: int
) -> None:
    await db.push(Page)
    values: dict[str, Any] = {"code": "x", field: text(length)}
    if db.dialect.name == "sqlite" or (db.dialect.is_mysql and field == "note"):
        made = await Page.create(**values)  # there it fits
        assert getattr(await Page.get(made.id), field) == values[field]
        return
    told: list[CheckError] = []
    for write in (
        lambda: Page.create(**values),
        lambda: Page.create_many([Page(**values)]),
        lambda: Page.where(Page.code == "y").update(**{field: values[field]}),
    ):
        await Page.query().force_delete()
        await Page.create(code="y", number=9)
        with pytest.raises(CheckError) as caught:
            await write()
        told.append(caught.value)
    saved = await Page.where(Page.code == "y").one()
    setattr(saved, field, values[field])
    with pytest.raises(CheckError) as caught:
        await saved.save()
    for exc in (*told, caught.value):
        assert exc.status == 422
        assert {(each.code, each.source) for each in exc.errors} == {("max_length", "body")}
        assert f"/{field}" in [each.pointer for each in exc.errors]
        assert length == 30_000 or len(exc.errors) == 1  # then PostgreSQL does not tell the index


async def test_what_the_database_makes_too_long_is_a_field_error_too(db: Database) -> None:
    await db.push(Page)
    await Page.create(code="x", cut="123456789")
    if db.dialect.name == "sqlite":
        assert await Page.query().update(Page.cut.to(Page.cut + "0")) == 1  # its text has no length
        return
    with pytest.raises(CheckError) as caught:
        await Page.query().update(Page.cut.to(Page.cut + "0"))
    (error,) = caught.value.errors
    assert error.code == "max_length"
    assert error.pointer == ("/cut" if db.dialect.is_mysql else "")
