"""Values in checks and in conditions of indexes: written into the SQL, and meaning there what they are."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from oxidite.db import (
    Col,
    ConstraintError,
    Database,
    Model,
    ModelError,
    UniqueError,
    check,
    col,
    index,
)
from oxidite.db.sql.literals import text_of
from oxidite.db.sql.schema import create_statements
from oxidite.db.values.dialects import POSTGRESQL, SQLITE


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "it's bad: %s ?"


EAST = timezone(timedelta(hours=2))
START = datetime(2026, 1, 1, 1, 30, tzinfo=EAST)  # in 2025 for UTC
KEY = UUID(int=7)


class Visit(
    Model,
    table="visits",
    checks=[
        check(lambda row: row.at >= START, name="at"),
        check(lambda row: row.day != date(2026, 1, 2), name="day"),
        check(lambda row: row.opens < time(12, 30), name="opens"),
        check(lambda row: row.takes <= timedelta(days=1, microseconds=5), name="takes"),
        check(lambda row: row.price < Decimal("10.5"), name="price"),
        check(lambda row: row.key != KEY, name="key"),
        check(lambda row: row.mood.in_([Mood.GOOD]), name="is_good"),
        check(lambda row: row.is_open == True, name="is_open"),  # noqa: E712 - an expression
        check(lambda row: row.data != b"\x00'", name="data"),
        check(lambda row: row.name != "a 'b' :c ? % \\", name="name"),
        check("name <> ' :d ? %'", name="written"),
    ],
):
    id: Col[int] = col(pk=True, init=False)
    at: Col[datetime] = col(default=START)
    day: Col[date] = col(default=date(2026, 1, 1))
    opens: Col[time] = col(default=time(8))
    takes: Col[timedelta] = col(default=timedelta(days=1, microseconds=5))
    price: Col[Decimal] = col(default=Decimal("9.00"), precision=10, scale=2)
    key: Col[UUID] = col(default=UUID(int=8))
    mood: Col[Mood] = col(default=Mood.GOOD)
    is_open: Col[bool] = col(default=True)
    data: Col[bytes] = col(default=b"x")
    name: Col[str] = col(default="x", max_length=50)


async def test_the_edge_of_each_check_is_where_the_model_says(db: Database) -> None:
    await db.push(Visit)
    await Visit.create()
    wrong: list[dict[str, Any]] = [
        {"at": START - timedelta(microseconds=1)},
        {"day": date(2026, 1, 2)},
        {"opens": time(12, 30)},
        {"takes": timedelta(days=1, microseconds=6)},
        {"price": Decimal("10.50")},
        {"key": KEY},
        {"mood": Mood.BAD},
        {"is_open": False},
        {"data": b"\x00'"},
        {"name": "a 'b' :c ? % \\"},
        {"name": " :d ? %"},
    ]
    for values in wrong:
        with pytest.raises(ConstraintError):
            await Visit.create(**values)
    await Visit.create(price=Decimal("10.49"), opens=time(12, 29, 59, 999999))
    assert await Visit.count() == 2


class Seat(
    Model,
    table="seats",
    indexes=[
        index("number", where=lambda row: row.at >= START, unique=True, name="one_since"),
        index("row", where=lambda row: row.price > Decimal(10), unique=True, name="one_dear"),
        index("at", where=lambda row: row.key.in_([KEY, UUID(int=9)]), name="some"),
    ],
):
    id: Col[int] = col(pk=True, init=False)
    number: Col[int]
    row: Col[int] = col(default=0)
    at: Col[datetime]
    price: Col[Decimal] = col(default=Decimal(9), precision=10, scale=2)
    key: Col[UUID] = col(default=KEY)


async def test_an_index_of_some_rows_is_of_those_that_are_meant(db: Database) -> None:
    await db.push(Seat)
    before = START - timedelta(microseconds=1)
    for moment in (before, before, START):
        await Seat.create(number=1, at=moment)
    with pytest.raises(UniqueError):
        await Seat.create(number=1, at=START.astimezone(UTC))
    await Seat.create(number=2, at=before, price=Decimal(100), row=5)
    with pytest.raises(UniqueError):
        await Seat.create(number=3, at=before, price=Decimal("10.01"), row=5)


def test_what_cannot_be_written_is_refused() -> None:
    class Odd(
        Model, table="odd", checks=[check(lambda row: row.real + float("inf") > 1, name="a")]
    ):
        id: Col[int] = col(pk=True, init=False)
        real: Col[float]

    class Naive(
        Model,
        table="naive",
        checks=[check(lambda row: row.at > START.replace(tzinfo=None), name="a")],
    ):
        id: Col[int] = col(pk=True, init=False)
        at: Col[datetime]

    with pytest.raises(ModelError, match="inf cannot stand in an index or a check"):
        create_statements([Odd.__table__], POSTGRESQL)
    with pytest.raises(ModelError, match="no time zone"):
        create_statements([Naive.__table__], SQLITE)


def test_what_a_migration_says_is_read_by_sqlite_too() -> None:
    for said, kept in {
        "at > TIMESTAMPTZ '2026-01-01 00:00:00+02:00'": "at > '2025-12-31 22:00:00.000000'",
        "at > timestamptz'2026-01-01T00:00Z'": "at > '2026-01-01 00:00:00.000000'",
        "takes < INTERVAL '1 days 5 us'": "takes < 86400000005",
        f"key = UUID '{KEY}'": f"key = X'{KEY.hex}'",
        "data = BYTEA '\\x00ff'": "data = X'00ff'",
        "name = 'it''s UUID ''x'' :y'": "name = 'it''s UUID ''x'' :y'",
        "\"a'b\" = 'UUID'": "\"a'b\" = 'UUID'",
    }.items():
        assert str(text_of(said, SQLITE).compile()) == kept
        assert str(text_of(said, POSTGRESQL).compile()) == said


@pytest.mark.parametrize("said", ["INTERVAL '1 day'", "UUID 'x'", "TIMESTAMPTZ 'now'"])
def test_what_sqlite_cannot_be_told_is_refused(said: str) -> None:
    with pytest.raises(ModelError, match=f"SQLite does not know {said}"):
        text_of(f"a = {said}", SQLITE)
