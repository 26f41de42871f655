"""What MySQL is spared of: without RETURNING, keys are counted and rows are looked for."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.db.conftest import database_url

from oxidite.db import Col, Database, Model, QueryError, UniqueError, col, excluded
from oxidite.db.drivers import mysql
from oxidite.db.values.dialects import MARIADB

pytestmark = pytest.mark.service("mariadb")


class Page(Model, table="pages"):
    id: Col[int] = col(pk=True, init=False)
    path: Col[str] = col(unique=True, max_length=50)
    code: Col[str | None] = col(unique=True, max_length=50, default=None)
    visits: Col[int] = col(default=1)


class Tick(Model, table="ticks"):
    id: Col[int] = col(pk=True, init=False)


@pytest.fixture
async def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    less = dataclasses.replace(MARIADB, returning=frozenset(), tells_inserted=False)
    monkeypatch.setattr(mysql, "_dialect_of", lambda _: less)
    async with database_url("mariadb", tmp_path) as url, Database.from_url(url) as found:
        await found.push(Page, Tick)
        yield found


@pytest.mark.usefixtures("db")
class TestKeys:
    async def test_one(self) -> None:
        first, second = await Page.create(path="a"), await Page.create(path="b")
        assert second.id > first.id
        assert (await Page.get(second.id)).path == "b"

    @pytest.mark.parametrize("step", [1, 3])
    async def test_many(self, db: Database, step: int) -> None:
        async with db.driver.connection(write=True) as connection:
            vars(connection)["_id_step"] = step
            await connection.run(f"SET SESSION auto_increment_increment = {step}", ())
        made = await Page.create_many([Page(path=f"/{n}") for n in range(300)])
        assert {page.id: page.path for page in await Page.all()} == {
            page.id: page.path for page in made
        }

    async def test_rows_without_values(self) -> None:
        made = await Tick.create_many([Tick() for _ in range(5)])
        assert sorted(tick.id for tick in made) == [tick.id for tick in await Tick.all()]


@pytest.mark.usefixtures("db")
class TestUpserts:
    async def test_what_is_new_and_what_was_there(self) -> None:
        old = await Page.create(path="/1")
        done = await Page.upsert(
            [Page(path=f"/{n}", visits=5) for n in range(3)],
            on=[Page.path],
            update=[Page.visits.to(Page.visits + excluded(Page.visits))],
        )
        assert [page.path for page in done.inserted] == ["/0", "/2"]
        assert [(page.id, page.visits) for page in done.updated] == [(old.id, 6)]

    async def test_what_is_there_is_left_alone(self) -> None:
        old = await Page.create(path="/")
        found, is_new = await Page.get_or_create(Page(path="/", visits=9), on=[Page.path])
        assert (found.id, found.visits, is_new) == (old.id, 1, False)

    async def test_another_key_that_is_taken_is_an_error(self) -> None:
        await Page.create(path="/", code="x")
        with pytest.raises(UniqueError):
            await Page.upsert(Page(path="/other", code="x"), on=[Page.path])
        assert await Page.count() == 1

    async def test_rows_are_not_told(self) -> None:
        with pytest.raises(QueryError, match=r"does not return the rows of delete\(\)"):
            await Page.query().delete(returning=True)
