"""Rows that may be there already: upsert, get or create, update or create."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec import UNSET

from oxidite.db import (
    Col,
    Database,
    Model,
    QueryError,
    SoftDeletes,
    Tenancy,
    Timestamps,
    UniqueError,
    Version,
    col,
    excluded,
    index,
)
from oxidite.errors import ValidationError


class Page(Model, table="pages"):
    id: Col[int] = col(pk=True, init=False)
    path: Col[str] = col(unique=True, min_length=1)
    visits: Col[int] = col(default=1)
    title: Col[str] = col(default="")


class Item(Model, Timestamps, SoftDeletes, Version, table="items"):
    id: Col[UUID] = col(pk=True, default_factory=uuid4)
    name: Col[str] = col(unique=True)
    price: Col[Decimal] = col(default=Decimal(0), precision=12, scale=2)


class Seat(Model, table="seats", indexes=[index("row", "number", unique=True)]):
    id: Col[int] = col(pk=True, init=False)
    row: Col[str]
    number: Col[int]
    guest: Col[str | None] = col(default=None)
    colors: Col[list[str]] = col(array=True, default_factory=list)


class Label(Model, table="labels"):
    id: Col[int] = col(pk=True, init=False)
    word: Col[str] = col(unique=True)


class Country(Model, table="countries"):
    code: Col[str] = col(pk=True)
    name: Col[str]


@pytest.fixture(autouse=True)
async def tables(db: Database) -> None:
    await db.push(Page, Item, Seat, Label, Country)


class TestUpsert:
    async def test_one(self) -> None:
        first = Page(path="/", title="Home")
        done = await Page.upsert(first, on=[Page.path])
        assert (done.inserted, done.updated, done.skipped) == ([first], [], [])

        second = Page(path="/", title="Start", visits=9)
        done = await Page.upsert(second, on=[Page.path])
        assert done.inserted == []
        assert done.updated[0] is second
        assert (second.id, second.title, second.visits) == (first.id, "Start", 9)
        assert second.changed() == []
        assert await Page.count() == 1

    @pytest.mark.parametrize("count", [1, 3, 300])
    async def test_many(self, count: int) -> None:
        await Page.create_many([Page(path=f"/{n}", title="old") for n in range(0, count, 2)])
        pages = [Page(path=f"/{n}", title="new", visits=n) for n in range(count)]
        done = await Page.upsert(pages, on=[Page.path], update=[Page.title])

        assert [page.path for page in done.updated] == [f"/{n}" for n in range(0, count, 2)]
        assert [page.path for page in done.inserted] == [f"/{n}" for n in range(1, count, 2)]
        found = {page.path: page for page in await Page.query().all()}
        assert len(found) == count
        for n, page in enumerate(pages):
            same = found[page.path]
            assert (page.id, page.title, page.visits) == (same.id, "new", same.visits)
            assert same.visits == (1 if n % 2 == 0 else n)

    async def test_very_many_are_few_statements(self, db: Database) -> None:
        most = {"postgresql": 1, "sqlite": 3, "mariadb": 16}[db.dialect.name]
        for title, inserted in (("old", 4096), ("new", 0)):
            pages = [Page(path=f"/{n}", title=title) for n in range(4096)]
            before = db.stats.statements
            done = await Page.upsert(
                pages, on=[Page.path], update=[Page.title, Page.visits.to(Page.visits + 41)]
            )
            assert db.stats.statements - before <= most
            assert (len(done.inserted), len(done.updated)) == (inserted, 4096 - inserted)
        assert await Page.where(Page.title == "new", Page.visits == 42).count() == 4096

    async def test_an_expression_of_both_rows(self) -> None:
        await Page.create(path="/", visits=10)
        page = Page(path="/", visits=5)
        for again in (Page(path="/", visits=5), page):
            await Page.upsert(
                again,
                on=[Page.path],
                update=[Page.visits.to(Page.visits + excluded(Page.visits)), Page.title.to("x")],
            )
        assert (page.visits, page.title) == (20, "x")
        with pytest.raises(QueryError, match="upsert was to insert"):
            await Page.where(Page.visits == excluded(Page.visits)).all()

    async def test_what_is_there_can_be_left_alone(self) -> None:
        await Page.create(path="/a", title="old")
        pages = [Page(path=path, title="new") for path in ("/a", "/b", "/b")]
        done = await Page.upsert(pages, on=[Page.path], update=[])

        assert done.inserted == [pages[1]]
        assert done.skipped[0] is pages[0]
        assert done.skipped[1] is pages[2]
        assert getattr(pages[0], "id", UNSET) is UNSET
        assert (await Page.where(Page.path == "/a").one()).title == "old"

    async def test_a_key_of_several_columns_and_arrays(self) -> None:
        seats = [Seat(row="A", number=n, colors=["red"]) for n in range(3)]
        await Seat.upsert(seats, on=[Seat.row, Seat.number])
        again = [Seat(row="A", number=n, guest="Ann", colors=["b", ""]) for n in range(2, 5)]
        done = await Seat.upsert(again, on=[Seat.number, Seat.row])

        assert (len(done.inserted), len(done.updated)) == (2, 1)
        found = await Seat.order_by(Seat.number).all()
        assert [seat.guest for seat in found] == [None, None, "Ann", "Ann", "Ann"]
        assert found[2].colors == ["b", ""]

    async def test_by_primary_key(self) -> None:
        await Country.upsert([Country(code="no", name="Norge")], on=[Country.code])
        done = await Country.upsert(
            [Country(code="no", name="Norway"), Country(code="se", name="Sweden")],
            on=[Country.code],
        )
        assert [c.code for c in done.updated] == ["no"]
        assert (await Country.get("no")).name == "Norway"

    async def test_a_row_that_is_all_key_is_told_too(self) -> None:
        first = Label(word="tea")
        await Label.upsert(first, on=[Label.word])
        second = Label(word="tea")
        done = await Label.upsert([second, Label(word="milk")], on=[Label.word])
        assert done.updated == [first]
        assert second.id == first.id
        assert await Label.count() == 2

    async def test_times_versions_and_deleted_rows(self) -> None:
        first = await Item.create(name="tea", price=Decimal("1.50"))
        second = Item(name="tea", price=Decimal("2.00"))
        done = await Item.upsert(second, on=[Item.name])
        assert done.updated == [second]
        assert (second.id, second.version, second.price) == (first.id, 2, Decimal("2.00"))
        assert second.created_at == first.created_at
        assert second.updated_at > first.updated_at

        await second.delete()
        third = Item(name="tea")
        assert (await Item.upsert(third, on=[Item.name])).inserted == [third]
        assert await Item.query().with_deleted().count() == 2

    async def test_keys_that_are_given_and_keys_that_are_made(self) -> None:
        pages = [Page(path=f"/{n}") for n in range(4)]
        pages[2].id = 50
        done = await Page.upsert(pages, on=[Page.path])

        assert done.inserted == pages
        assert (await Page.get(50)).path == "/2"

    async def test_all_is_checked_before(self) -> None:
        with pytest.raises(ValidationError) as caught:
            await Page.upsert([Page(path="/"), Page(path="")], on=[Page.path])
        assert [each.pointer for each in caught.value.errors] == ["/1/path"]
        assert await Page.count() == 0

    async def test_another_key_that_is_taken_is_an_error(self) -> None:
        await Page.create(path="/a")
        page = Page(path="/b")
        page.id = (await Page.where(Page.path == "/a").one()).id
        with pytest.raises(UniqueError):
            await Page.upsert([Page(path="/c"), page], on=[Page.path])
        assert await Page.count() == 1

    async def test_what_cannot_be_meant_is_refused(self) -> None:
        with pytest.raises(QueryError, match=r"no unique key of title.*It has: id; path"):
            await Page.upsert(Page(path="/"), on=[Page.title])
        with pytest.raises(QueryError, match="no unique key of no column"):
            await Page.upsert(Page(path="/"), on=[])
        with pytest.raises(QueryError, match="columns of a unique key of pages"):
            await Page.upsert(Page(path="/"), on=[Item.name])
        with pytest.raises(QueryError, match="at 0 and 1 have the same path"):
            await Page.upsert([Page(path="/"), Page(path="/")], on=[Page.path])
        with pytest.raises(QueryError, match="at 0 has no id"):
            await Page.upsert([Page(path="/")], on=[Page.id])
        with pytest.raises(QueryError, match="no column to be updated"):
            await Page.upsert(Page(path="/"), on=[Page.path], update=[Page.visits + 1])
        with pytest.raises(QueryError, match="no object of the model"):
            await Page.upsert(3, on=[Page.path])  # type: ignore[arg-type]
        assert (await Page.upsert([], on=[Page.path])).inserted == []


class TestGetOrCreate:
    async def test_it_is_made_once(self) -> None:
        one, is_new = await Page.get_or_create(Page(path="/", title="a"), on=[Page.path])
        assert is_new
        other, is_new = await Page.get_or_create(Page(path="/", title="b"), on=[Page.path])
        assert (other, other.title, is_new) == (one, "a", False)

    async def test_two_at_the_same_time_get_the_same(self) -> None:
        found = await asyncio.gather(
            *(Page.get_or_create(Page(path="/", visits=n), on=[Page.path]) for n in range(8))
        )
        assert len({page.id for page, _ in found}) == 1
        assert sum(is_new for _, is_new in found) == 1
        assert await Page.count() == 1

    async def test_in_a_transaction(self, db: Database) -> None:
        async with db.transaction():
            await Page.get_or_create(Page(path="/"), on=[Page.path])
            _, is_new = await Page.get_or_create(Page(path="/"), on=[Page.path])
            assert not is_new
        assert await Page.count() == 1

    async def test_what_is_made_is_checked(self) -> None:
        with pytest.raises(ValidationError):
            await Page.get_or_create(Page(path=""), on=[Page.path])


async def test_update_or_create() -> None:
    one, is_new = await Page.update_or_create(Page(path="/", title="a"), on=[Page.path])
    assert is_new
    other, is_new = await Page.update_or_create(
        Page(path="/", title="b", visits=7), on=[Page.path], update=[Page.title]
    )
    assert (other, other.title, other.visits, is_new) == (one, "b", 1, False)


@pytest.fixture
def plain(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the database seem to be one that returns no rows of what it changes."""
    # PostgreSQL tells the key of a new row in no other way.
    returning: frozenset[Any] = frozenset({"insert"} if db.dialect.name == "postgresql" else ())
    less = replace(
        db.dialect, returning=returning, tells_inserted=False, unnests=False, copies=False
    )
    monkeypatch.setattr(type(db.driver), "dialect", less)
    db.plans.dialect = less


@pytest.mark.usefixtures("plain")
class TestWithoutReturning:
    async def test_what_became_of_the_rows_is_read(self) -> None:
        await Page.create(path="/0", title="old", visits=7)
        pages = [Page(path=f"/{n}", title="new") for n in range(3)]
        done = await Page.upsert(pages, on=[Page.path], update=[Page.title])
        assert (done.updated, done.inserted) == ([pages[0]], pages[1:])
        assert [(page.title, page.visits) for page in pages] == [("new", 7), ("new", 1), ("new", 1)]
        assert pages[2] == await Page.where(Page.path == "/2").one()

        again = [Page(path=path) for path in ("/0", "/9", "/9")]
        done = await Page.upsert(again, on=[Page.path], update=[])
        assert (done.inserted, done.skipped) == ([again[1]], [again[0], again[2]])
        _, is_new = await Page.get_or_create(Page(path="/9"), on=[Page.path])
        assert not is_new

    async def test_a_key_of_several_columns(self) -> None:
        await Seat.upsert([Seat(row="A", number=n) for n in range(3)], on=[Seat.row, Seat.number])
        done = await Seat.upsert(
            [Seat(row=row, number=2, guest="Ann") for row in "AB"], on=[Seat.row, Seat.number]
        )
        assert ([s.row for s in done.updated], [s.row for s in done.inserted]) == (["A"], ["B"])
        assert await Seat.where(Seat.guest == "Ann").count() == 2

    async def test_increment_reads_again(self) -> None:
        page = await Page.create(path="/")
        assert await page.increment(Page.visits, 3) == 4
        with pytest.raises(QueryError, match=r"does not return the rows of update\(\)"):
            await Page.query().update(title="x", returning=True)


tenancy = Tenancy[int]()


class Key(Model, table="keys_of_tenants", scope=tenancy.by("tenant")):
    id: Col[int] = col(pk=True, init=False)
    tenant: Col[int] = col(init=False, default_factory=tenancy.current)
    name: Col[str] = col(unique=True, max_length=20)
    value: Col[int] = col(default=0)


class TestTenants:
    """A name is unique for all tenants here, so the row in the way may be somebody else's."""

    @pytest.fixture(autouse=True)
    async def of_another(self, db: Database) -> None:
        await db.push(Key)
        with tenancy.of(1):
            await Key.create(name="taken", value=1)

    async def test_a_row_of_another_one_is_not_changed(self) -> None:
        with tenancy.of(2):
            own = await Key.create(name="own")
            for many in ([Key(name="taken", value=2)], [Key(name=n) for n in ("new", "taken")]):
                with pytest.raises(UniqueError):
                    await Key.upsert(many, on=[Key.name])
            done = await Key.upsert([Key(name="own", value=3), Key(name="new")], on=[Key.name])
            assert [key.id for key in done.updated] == [own.id]
            assert await Key.order_by(Key.name).select(Key.name, Key.value).all() == [
                ("new", 0),
                ("own", 3),
            ]
        with tenancy.of(1):
            assert await Key.query().select(Key.name, Key.value).all() == [("taken", 1)]

    async def test_a_row_of_another_one_is_not_got(self) -> None:
        with tenancy.of(2), pytest.raises(UniqueError):
            await Key.get_or_create(Key(name="taken"), on=[Key.name])
