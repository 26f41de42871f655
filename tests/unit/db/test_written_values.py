"""Every kind of value there and back by each way of writing it, whatever the value."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, localcontext
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from oxidite.db import Col, Database, Model, col
from oxidite.db.database import database_of
from oxidite.errors import ValidationError


class Shape(Struct):
    name: str
    sides: int | None = None


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Grain(Model, table="grains"):
    id: Col[UUID] = col(pk=True, default_factory=uuid4)
    text: Col[str | None] = col(default=None)
    number: Col[int | None] = col(default=None)
    real: Col[float | None] = col(default=None)
    exact: Col[Decimal | None] = col(default=None)
    yes: Col[bool | None] = col(default=None)
    blob: Col[bytes | None] = col(default=None)
    at: Col[datetime | None] = col(default=None)
    day: Col[date | None] = col(default=None)
    clock: Col[time | None] = col(default=None)
    took: Col[timedelta | None] = col(default=None)
    shape: Col[Shape | None] = col(json=True, default=None)
    things: Col[dict[str, list[int]] | None] = col(json=True, default=None)
    mood: Col[Mood | None] = col(default=None)
    size: Col[Literal["s", "m"] | None] = col(default=None)
    words: Col[list[str] | None] = col(array=True, default=None)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
INTEGER = st.integers(-(2**63), 2**63 - 1)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-11)), timezone(timedelta(hours=5.5))])
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXT | st.just("\U0001f600' \" \\ % _ :x $1 ?"),
    "number": INTEGER,
    "real": st.floats(allow_nan=False, allow_infinity=False),
    "exact": st.decimals(
        allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20
    ),
    "yes": st.booleans(),
    "blob": st.binary(max_size=40),
    "at": st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES),  # noqa: DTZ001 - the bounds have none
    "day": st.dates(),
    "clock": st.times(),
    "took": st.timedeltas(timedelta(days=-(10**6)), timedelta(days=10**6)),
    "shape": st.builds(Shape, TEXT, st.none() | st.integers(-(2**53), 2**53)),
    "things": st.dictionaries(TEXT, st.lists(st.integers(-(2**53), 2**53), max_size=3), max_size=3),
    "mood": st.sampled_from(Mood),
    "size": st.sampled_from(["s", "m"]),
    "words": st.lists(TEXT, max_size=4),
}
VALUES = st.fixed_dictionaries({name: st.none() | each for name, each in KINDS.items()})


async def create_many(grains: list[Grain]) -> None:
    await Grain.create_many(grains)


async def load_many(grains: list[Grain]) -> None:
    async def each() -> AsyncIterator[Grain]:
        for grain in grains:
            yield grain

    await Grain.load_many(each(), chunk=2)


async def update_many(grains: list[Grain]) -> None:
    made = await Grain.create_many([Grain(id=grain.id) for grain in grains])
    for one, grain in zip(made, grains, strict=True):
        for name in KINDS:
            setattr(one, name, getattr(grain, name))
    await Grain.update_many(made)


async def upsert(grains: list[Grain]) -> None:
    await Grain.create_many([Grain(id=grain.id) for grain in grains[::2]])
    done = await Grain.upsert(grains, on=[Grain.id])
    assert len(done.updated) == len(grains[::2])


async def update(grains: list[Grain]) -> None:
    await Grain.create_many([Grain(id=grain.id) for grain in grains])
    for grain in grains:
        values = {name: getattr(grain, name) for name in KINDS}
        rows = Grain.where(Grain.id == grain.id)
        if database_of(Grain.__table__).dialect.is_mysql:
            assert await rows.update(**values) == 1
            continue
        (found,) = await rows.update(returning=True, **values)
        _same(found, values)


WAYS: list[Callable[[list[Grain]], Awaitable[None]]] = [
    create_many,
    load_many,
    update_many,
    upsert,
    update,
]


def _same(found: Grain, values: dict[str, Any]) -> None:
    for name, value in values.items():
        back = getattr(found, name)
        assert back == value, name


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
async def test_every_value_comes_back(
    db: Database, way: Callable[[list[Grain]], Awaitable[None]]
) -> None:
    await db.push(Grain)
    drawn: list[list[dict[str, Any]]] = []

    # What is drawn does not depend on the database, so it is drawn first: a test of hypothesis is no
    # coroutine.
    @settings(
        max_examples=12, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    @given(st.lists(VALUES, min_size=1, max_size=4))
    def draw(rows: list[dict[str, Any]]) -> None:
        drawn.append(rows)

    draw()
    for rows in drawn:
        for row in rows if db.dialect.is_mysql else ():
            if row["exact"] is not None:
                # It has 30 digits after the point.
                with localcontext(prec=100):
                    row["exact"] = row["exact"].quantize(Decimal("1e-30"))
        grains = [Grain(**row) for row in rows]
        await way(grains)
        found = {grain.id: grain for grain in await Grain.query().all()}
        for grain, row in zip(grains, rows, strict=True):
            _same(found[grain.id], row)
            assert found[grain.id].changed() == []


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
async def test_a_megabyte_comes_back(
    db: Database, way: Callable[[list[Grain]], Awaitable[None]]
) -> None:
    await db.push(Grain)
    grain = Grain(text="\U0001f426x" * 200_000, blob=bytes(range(256)) * 4096)
    await way([grain])

    found = await Grain.get(grain.id)
    assert (found.text, found.blob) == (grain.text, grain.blob)


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
async def test_what_is_no_text_is_refused_by_every_way(db: Database, text: str) -> None:
    await db.push(Grain)
    grain = await Grain.create()
    writes: list[Callable[[Grain], Awaitable[object]]] = [
        lambda wrong: Grain.create_many([wrong]),
        lambda wrong: Grain.load_many([wrong]),
        lambda wrong: Grain.upsert(wrong, on=[Grain.id]),
        lambda wrong: Grain.query().update(Grain.text.to(wrong.text)),
        lambda wrong: wrong.save(),
    ]
    for write in writes:
        with pytest.raises(ValidationError) as caught:
            await write(Grain(text=text))
        assert ["without NUL" in each.message for each in caught.value.errors] == [True]
    grain.text = text
    with pytest.raises(ValidationError):
        await Grain.update_many([grain])
    assert await Grain.count() == 1
