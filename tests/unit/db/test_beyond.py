"""Values that no row can have: a client who names one is answered, and the database is not asked for it."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from oxidite.db import Col, Column, Database, Model, QueryError, col, filter_by
from oxidite.errors import ValidationError

pytestmark = pytest.mark.anyio


class Thing(Model, table="beyond_things"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(default="abc")
    mail: Col[str] = col(default="abc", ignore_case=True)
    data: Col[dict[str, str]] = col(json=True, default_factory=lambda: {"key": "abc"})
    at: Col[datetime] = col(default=datetime(2026, 1, 1, tzinfo=UTC))
    day: Col[date] = col(default=date(2026, 1, 1))
    took: Col[timedelta] = col(default=timedelta(days=1))
    price: Col[Decimal] = col(default=Decimal(1))
    score: Col[float] = col(default=1.0)


@pytest.fixture
async def thing(db: Database) -> Thing:
    await db.push(Thing)
    return await Thing.create()


async def count(*conditions: Any) -> int:
    return await Thing.where(*conditions).count()


@pytest.mark.parametrize("text", ["a\0b", "\0", "\ud800", "a\ud800", "zz\0"], ids=ascii)
async def test_text_that_cannot_be_kept_is_in_no_row(thing: Thing, text: str) -> None:
    before = int(text.startswith("zz"))
    for column in (Thing.name, Thing.mail):
        assert await count(column == text) == 0
        assert await count(column != text) == 1
        assert await count(column.in_([text])) == 0
        assert await count(column.in_([text, "abc"])) == 1
        assert await count(column.not_in([text])) == 1
        for found in (
            column.like(text),
            column.ilike(text),
            column.contains(text),
            column.startswith(text),
            column.endswith(text),
        ):
            assert await count(found) == 0
            assert await count(~found) == 1
        assert await count(column < text) == await count(column <= text) == before
        assert await count(column > text) == await count(column >= text) == 1 - before
    assert await count(Thing.data["key"] == text) == 0
    assert await count(Thing.data["key"] != text) == 1
    assert await count(Thing.data["key"] < text) == before


EAST, WEST = timezone(timedelta(hours=5)), timezone(timedelta(hours=-5))
BELOW: list[tuple[Column[Any, Any], Any]] = [
    (Thing.at, datetime(1, 1, 1, tzinfo=EAST)),
    (Thing.at, datetime(1, 1, 1, tzinfo=UTC)),
    (Thing.day, date.min),
    (Thing.took, timedelta.min),
    (Thing.score, -math.inf),
    (Thing.price, Decimal("-Infinity")),
    (Thing.price, Decimal("-1e200000")),
    (Thing.id, -(2**63) - 1),
]
ABOVE: list[tuple[Column[Any, Any], Any]] = [
    (Thing.at, datetime(9999, 12, 31, 23, tzinfo=WEST)),
    (Thing.at, datetime.max.replace(tzinfo=UTC)),
    (Thing.day, date.max),
    (Thing.took, timedelta.max),
    (Thing.score, math.inf),
    (Thing.price, Decimal("Infinity")),
    (Thing.price, Decimal("1e200000")),
    (Thing.id, 2**63),
]


@pytest.mark.parametrize("place", range(len(BELOW)))
async def test_what_is_smaller_than_all_rows_have(thing: Thing, place: int) -> None:
    column, value = BELOW[place]
    assert await count(column > value) == await count(column >= value) == 1
    assert await count(column < value) == await count(column == value) == 0
    assert await count(column != value) == await count(column.not_in([value])) == 1


@pytest.mark.parametrize("place", range(len(ABOVE)))
async def test_what_is_larger_than_all_rows_have(thing: Thing, place: int) -> None:
    column, value = ABOVE[place]
    assert await count(column < value) == await count(column <= value) == 1
    assert await count(column > value) == await count(column == value) == 0
    assert await count(column != value) == await count(column.not_in([value])) == 1


async def test_what_is_no_number_is_like_none(thing: Thing) -> None:
    numbers: list[tuple[Column[Any, Any], Any]] = [
        (Thing.score, math.nan),
        (Thing.price, Decimal("NaN")),
        (Thing.price, Decimal("sNaN")),
    ]
    for column, value in numbers:
        assert await count(column == value) == await count(column.in_([value])) == 0
        assert await count(column < value) == await count(column > value) == 0
        assert await count(column != value) == 1


async def test_more_digits_than_can_be_kept_lie_between_two_numbers(
    db: Database, thing: Thing
) -> None:
    value = Decimal("1e-200000")
    assert await count(Thing.price == value) == await count(Thing.price < value) == 0
    assert await count(Thing.price > value) == await count(Thing.price != value) == 1
    if db.dialect.is_mysql:
        with pytest.raises(QueryError, match="more than 30 digits"):
            await count(Thing.price < -value)
    else:
        assert await count(Thing.price < -value) == 0


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        (Thing.at, "2026-01-01T00:00:00", "Expected `datetime` with a time zone"),
        (Thing.score, "nan", "Expected a finite number"),
        (Thing.score, "-inf", "Expected a finite number"),
        (Thing.price, "NaN", "Expected a finite number"),
        (Thing.price, "sNaN", "Expected a finite number"),
        (Thing.price, "Infinity", "Expected a finite number"),
    ],
)
def test_a_filter_refuses_what_a_column_cannot_hold(
    column: Column[Any, Any], text: str, message: str
) -> None:
    for value in (text, [text]):
        with pytest.raises(ValidationError) as caught:
            filter_by({"x": value}, allow={"x": column})
        assert [(e.source, e.name, e.message) for e in caught.value.errors] == [
            ("query", "x", message)
        ]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (Thing.at, "0001-01-01T00:00:00+05:00"),
        (Thing.at, "9999-12-31T23:00:00-05:00"),
        (Thing.price, "1e999999"),
        (Thing.price, "1e-999999"),
        (Thing.name, "\0"),
        (Thing.day, "0001-01-01"),
        (Thing.took, "P200000D"),
    ],
    ids=ascii,
)
async def test_a_filter_by_what_no_row_has_finds_none(
    thing: Thing, column: Column[Any, Any], text: str
) -> None:
    for value in (text, [text]):
        assert await count(*filter_by({"x": value}, allow={"x": column})) == 0
