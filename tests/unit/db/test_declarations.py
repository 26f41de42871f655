"""What a class declares and the database keeps: computed columns, keys, sizes, comments, retention."""

from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.clock import TravelClock, use
from oxidite.db import (
    CheckError,
    Col,
    ConstraintError,
    Database,
    MissingReferenceError,
    MissingTenantError,
    Model,
    ModelError,
    SoftDeletes,
    Tenancy,
    Timestamps,
    UniqueError,
    Version,
    check,
    col,
    index,
    prune,
)
from oxidite.db.sql.schema import create_statements
from oxidite.db.values.dialects import POSTGRESQL, SQLITE

START = datetime(2030, 1, 1, tzinfo=UTC)


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Order(Model, Version, table="orders"):
    id: Col[int] = col(pk=True, init=False)
    price: Col[int] = col(comment="In cents, it's said.")
    pieces: Col[int] = col(default=1, bits=16)
    total: Col[int] = col(init=False, computed="price * pieces")
    label: Col[str | None] = col(init=False, computed="'No. ' || price")


async def test_a_column_that_the_database_computes(db: Database) -> None:
    await db.push(Order)
    order = await Order.create(price=5, pieces=3)
    assert (order.total, order.label) == (15, "No. 5")
    assert order.changed() == []
    order.pieces = 4
    await order.save()
    assert order.total == 20
    found = await Order.where(Order.total == 20).one()
    assert (found.total, found.pieces, found.version) == (20, 4, 2)
    assert found.changed() == []
    assert "total" not in Order.Create.__struct_fields__
    assert "total" in Order.Out.__struct_fields__
    many = [Order(price=n) for n in range(3)]
    for each in many:
        await each.save()
    assert [each.total for each in many] == [0, 1, 2]


def test_one_that_is_computed_is_no_argument() -> None:
    with pytest.raises(ModelError, match=r"col\(init=False"):

        class Odd(Model, table="odd"):
            id: Col[int] = col(pk=True, init=False)
            twice: Col[int] = col(computed="id * 2")


class Country(Model, table="countries"):
    code: Col[str] = col(pk=True, max_length=2)


class Town(Model, table="towns"):
    id: Col[int] = col(pk=True, init=False)
    country: Col[str] = col(references=Country.code, on_delete="cascade", on_key_update="cascade")


async def test_a_key_that_changes_takes_what_refers_to_it_along(db: Database) -> None:
    await db.push(Country, Town)
    country = await Country.create(code="uk")
    town = await Town.create(country="uk")
    country.code = "gb"
    await country.save()
    assert (await Town.get(town.id)).country == "gb"
    await country.delete()
    assert await Town.count() == 0


class Described(
    Model,
    SoftDeletes,
    table="described",
    indexes=[
        index("name", "mood", unique=True),
        index(lambda one: one.size % 7, name="by_seven"),
        index("size", where=lambda one: one.size > 100, using="btree", name="large"),
    ],
):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(unique=True, ignore_case=True, max_length=9)
    size: Col[int] = col(bits=32, ge=0, check=True, index=True)
    mood: Col[Mood] = col(native=True, comment="How it's felt.")


def test_what_is_written_for_it() -> None:
    postgresql = "\n".join(create_statements([Described.__table__], POSTGRESQL))
    for part in (
        "CREATE TYPE described_mood AS ENUM ('good', 'bad')",
        "name VARCHAR(9) NOT NULL",
        "size INTEGER NOT NULL",
        "mood described_mood NOT NULL",
        "CONSTRAINT ck_described_size_ge CHECK (size >= 0)",
        "uq_described_name ON described (lower(name)) WHERE deleted_at IS NULL",
        "uq_described_name_mood ON described (lower(name), mood) WHERE deleted_at IS NULL",
        "by_seven ON described ((size % nullif(CAST(7 AS BIGINT), 0)))",
        "large ON described USING btree (size) WHERE size > 100",
        "ix_described_size ON described (size)",
        "COMMENT ON COLUMN described.mood IS 'How it''s felt.'",
    ):
        assert part in postgresql, part
    sqlite = "\n".join(create_statements([Described.__table__], SQLITE))
    assert "CHECK (mood IN ('good', 'bad'))" in sqlite
    assert "large ON described (size) WHERE size > 100" in sqlite


async def test_the_database_takes_it_twice(db: Database) -> None:
    await db.push(Described)
    await db.push(Described)
    await Described.create(name="x", size=101, mood=Mood.GOOD)
    assert await Described.where(Described.mood == Mood.GOOD, Described.name == "X").count() == 1


tenancy = Tenancy[int]()


class Log(Model, Timestamps, table="logs", prune_after=timedelta(days=30)):
    id: Col[int] = col(pk=True, init=False)


class Visit(
    Model,
    SoftDeletes,
    table="visits",
    prune_after=timedelta(days=1),
    prune_by="seen",
    scope=tenancy.by("tenant"),
):
    id: Col[int] = col(pk=True, init=False)
    tenant: Col[int] = col(init=False, default_factory=tenancy.current)
    seen: Col[datetime] = col()


async def test_rows_that_are_kept_for_a_time(db: Database) -> None:
    await db.push(Log)
    for day in (0, 10, 31, 60):
        with use(TravelClock(START + timedelta(days=day))):
            await Log.create()
    with use(TravelClock(START + timedelta(days=62))):
        assert await prune(Log) == 3
        assert await prune(Log) == 0
    assert await Log.count() == 1


async def test_they_go_in_batches_and_with_those_that_seem_deleted(db: Database) -> None:
    await db.push(Visit)
    for tenant in (1, 2):
        with tenancy.of(tenant):
            for hour in range(10):
                visit = await Visit.create(seen=START + timedelta(hours=hour % 5))
                if hour == 3:
                    await visit.delete()
            await Visit.create(seen=START + timedelta(days=2))
    with use(TravelClock(START + timedelta(days=2))):
        assert await prune(Visit, batch=4) == 20
    assert await Visit.unscoped().with_deleted().count() == 2


async def test_a_model_that_does_not_say_is_refused(db: Database) -> None:
    await db.push(Order)
    with pytest.raises(ModelError, match="how long its rows are kept"):
        await prune(Order)


@given(values=st.dictionaries(st.sampled_from(["price", "pieces", "nope", "total"]), st.integers()))
def test_the_constructor_takes_its_columns_and_no_more(values: dict[str, Any]) -> None:
    if "price" in values and "nope" not in values:
        assert Order(**values).price == values["price"]
    else:
        with pytest.raises(TypeError):
            Order(**values)


class Kept(
    Timestamps,
    Model,
    abstract=True,
    database="archive",
    indexes=[index("name", unique=True)],
    checks=[check("name <> 'x'", name="no_x", columns=["name"])],
    prune_after=timedelta(days=1),
):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]


class Letter(
    Kept, table="letters", indexes=[index("name", "pages")], prune_after=timedelta(days=2)
):
    pages: Col[int] = col(default=1)


class Card(Kept, table="cards"):
    pass


async def test_a_base_hands_on_what_it_says(db: Database) -> None:
    assert [each.on for each in Letter.__table__.indexes] == [("name",), ("name", "pages")]
    assert Letter.__table__.prune_after == timedelta(days=2)
    assert Card.__table__.prune_after == timedelta(days=1)
    await db.push(Order)
    async with Database.from_url("sqlite://", name="archive") as archive:
        await archive.push(Letter, Card)
        await Letter.create(name="a")
        await Card.create(name="a")
        with pytest.raises(UniqueError):
            await Card.create(name="a")
        with pytest.raises(CheckError) as caught:
            await Card.create(name="x")
        assert [error.pointer for error in caught.value.errors] == ["/name"]
        assert await Letter.count() == 1
        await Order.create(price=1)
        assert await Order.count() == 1


def test_a_base_hands_its_scope_on() -> None:
    class Owned(Model, abstract=True, scope=tenancy.by("tenant")):
        id: Col[int] = col(pk=True, init=False)
        tenant: Col[int] = col(init=False, default_factory=tenancy.current)

    class Thing(Owned, table="things"):
        pass

    with pytest.raises(MissingTenantError):
        Thing.query()


def test_a_model_says_what_its_table_is() -> None:
    with pytest.raises(ModelError, match="says nothing of its table"):

        class Odd(Model):
            id: Col[int] = col(pk=True, init=False)

    with pytest.raises(ModelError, match="Below says nothing of its table"):

        class Below(Order):
            pass


class Chicken(Model, table="circle_chickens"):
    id: Col[int] = col(pk=True, init=False)
    egg_id: Col[int | None] = col(default=None, references="circle_eggs.id")


class Egg(Model, table="circle_eggs"):
    id: Col[int] = col(pk=True, init=False)
    chicken_id: Col[int | None] = col(default=None, references=Chicken.id)


async def test_tables_that_refer_to_each_other_are_pushed(db: Database) -> None:
    for _ in range(2):  # what is there already stays
        await db.push(Chicken, Egg)
    chicken = await Chicken.create()
    egg = await Egg.create(chicken_id=chicken.id)
    chicken.egg_id = egg.id
    await chicken.save()
    for make in (lambda: Chicken.create(egg_id=99), lambda: Egg.create(chicken_id=99)):
        with pytest.raises(MissingReferenceError):
            await make()


LONG = f"t{'x' * 56}"


class LongNames(Model, table=LONG):
    id: Col[int] = col(pk=True, init=False)
    size: Col[int] = col(name=f"a{'y' * 59}", ge=1, check=True, default=1)
    state: Col[Literal["on", "off"]] = col(name=f"b{'y' * 59}", native=True, default="on")
    phase: Col[Literal["up", "down"]] = col(name=f"c{'y' * 59}", native=True, default="up")
    other: Col[int | None] = col(name=f"d{'y' * 59}", default=None, references=f"{LONG}.id")
    code: Col[str] = col(name=f"e{'y' * 59}", unique=True, max_length=20)


async def test_long_names_are_told_apart(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await db.push(LongNames)
    await LongNames.create(code="a", phase="down")
    monkeypatch.setattr("oxidite.db.writes.saving.check_object", lambda *_: None)
    wrong: list[tuple[dict[str, Any], type[ConstraintError]]] = [
        ({"code": "a"}, UniqueError),
        ({"code": "b", "size": 0}, CheckError),
        ({"code": "b", "other": 99}, MissingReferenceError),
    ]
    for values, error in wrong:
        with pytest.raises(error) as caught:
            await LongNames.create(**values)
        assert [each.pointer for each in caught.value.errors] == [f"/{list(values)[-1]}"]
