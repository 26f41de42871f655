"""Whatever a column may hold comes back as it was, and is found by its value, on each database."""

from __future__ import annotations

import contextlib
import enum
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from oxidite.db import Col, Database, Model, QueryError
from oxidite.db import col as column


class Color(enum.Enum):
    RED = "red"
    BLUE = "blau\u00e4"


class Prefs(Struct):
    name: str
    numbers: list[int]
    deep: dict[str, float | None] = {}


class Kept(Model, table="kept"):
    id: Col[int] = column(pk=True, init=False)
    text: Col[str | None] = column(default=None)
    number: Col[int | None] = column(default=None)
    real: Col[float | None] = column(default=None)
    exact: Col[Decimal | None] = column(default=None)
    money: Col[Decimal | None] = column(default=None, precision=12, scale=2)
    yes: Col[bool | None] = column(default=None)
    blob: Col[bytes | None] = column(default=None)
    key: Col[UUID | None] = column(default=None)
    at: Col[datetime | None] = column(default=None)
    day: Col[date | None] = column(default=None)
    clock: Col[time | None] = column(default=None)
    took: Col[timedelta | None] = column(default=None)
    prefs: Col[Prefs | None] = column(json=True, default=None)
    many: Col[list[str] | None] = column(json=True, default=None)
    color: Col[Color | None] = column(default=None)
    size: Col[Literal["s", "m"] | None] = column(default=None)


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
ZONES = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
# Of what `Decimal` can say, PostgreSQL and MariaDB keep a part: 35 digits before the point, 30 after.
EXACT = st.decimals(
    allow_nan=False, allow_infinity=False, places=8, min_value=-(10**30), max_value=10**30
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXT,
    "number": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(allow_nan=False, allow_infinity=False),
    "exact": EXACT,
    "money": st.integers(-(10**12) + 1, 10**12 - 1).map(lambda cents: Decimal(cents) / 100),
    "yes": st.booleans(),
    "blob": st.binary(max_size=300),
    "key": st.uuids(),
    # The first day of all is PostgreSQL's word for "since ever".
    "at": st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 30), timezones=st.just(UTC) | ZONES),  # noqa: DTZ001 - as Hypothesis wants them
    "day": st.dates(),
    "clock": st.times(),
    "took": st.timedeltas(timedelta(days=-90_000), timedelta(days=90_000)),
    "prefs": st.builds(
        Prefs,
        TEXT,
        st.lists(st.integers(-(2**53), 2**53), max_size=3),
        st.dictionaries(TEXT, st.none() | st.floats(-1e9, 1e9), max_size=2),
    ),
    "many": st.lists(TEXT, max_size=3),
    "color": st.sampled_from(Color),
    "size": st.sampled_from(["s", "m"]),
}


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.fixed_dictionaries({name: st.none() | known for name, known in VALUES.items()}))
async def test_a_row_comes_back(db: Database, values: dict[str, Any]) -> None:
    await db.push(Kept)
    one = await Kept.create(**values)
    found = await Kept.get(one.id)

    assert {name: getattr(found, name) for name in VALUES} == values
    assert found.changed() == []
    assert one.changed() == []
    for name, value in values.items():
        if name not in ("prefs", "many"):
            here: Any = getattr(Kept, name)
            # SQLite keeps a Decimal as it is written, and 1.0 is written in another way than 1.
            assert await Kept.where(Kept.id == one.id, here == value).exists(), name
            if value is not None:
                assert await Kept.where(Kept.id == one.id, here.in_([value])).exists(), name


@pytest.mark.parametrize(
    "values",
    [
        {"text": "x" * 1_000_000},
        {"text": "\U0001f600" * 250_000},
        {"text": "'\\\"" * 300_000},
        {"blob": bytes(range(256)) * 4_000},
        {"many": ['"\\'] * 200_000},
        {"number": -(2**63), "real": 5e-324, "day": date.min},
        {"number": 2**63 - 1, "real": -1.7976931348623157e308, "day": date.max},
        {"real": -0.0, "exact": Decimal(0), "took": timedelta(days=-100_000, microseconds=1)},
        {"exact": Decimal("12345678901234567890123456789012345.0123456789")},
        {"exact": Decimal("1E+3")},
    ],
    ids=lambda values: str(values)[:30],
)
async def test_what_is_extreme_comes_back(db: Database, values: dict[str, Any]) -> None:
    await db.push(Kept)
    one = await Kept.create(**values)
    found = await Kept.get(one.id)

    assert {name: getattr(found, name) for name in values} == values
    assert found.changed() == []


async def test_a_number_that_is_infinite(db: Database) -> None:
    await db.push(Kept)
    if db.dialect.infinity:
        one = await Kept.create(real=float("inf"))
        assert (await Kept.get(one.id)).real == float("inf")
    else:
        with pytest.raises(QueryError, match="inf is no number that MariaDB or MySQL could keep"):
            await Kept.create(real=float("inf"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", 0),
        ("text", True),
        ("text", {"a": "'; DROP TABLE kept; --"}),
        ("text", ["a", "b"]),
        ("number", "abc"),
        ("color", 0),
        ("blob", "abc"),
        ("day", "2026-01-01' OR '1"),
    ],
)
async def test_a_value_of_another_type_finds_nothing(
    db: Database, name: str, value: object
) -> None:
    """Such as one out of JSON that nobody has checked. MySQL itself says that 'abc' is 0."""
    await db.push(Kept)
    await Kept.create(text="abc", number=0, color=Color.RED, blob=b"abc", day=date(2026, 1, 1))
    here: Any = getattr(Kept, name)

    query = Kept.where(here == value)
    if db.dialect.is_mysql:
        with pytest.raises(QueryError, match="cannot be bound"):
            await query.count()
    else:
        with contextlib.suppress(Exception):  # drivers refuse some of them
            assert await query.count() == 0
    assert await Kept.count() == 1
