"""Every kind of value, there and back on each kind of database: anything that is accepted comes back."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, localcontext
from typing import Any, Literal, NewType
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from oxidite.config import Secret
from oxidite.db import (
    Cast,
    Col,
    Database,
    Kind,
    Model,
    ModelError,
    QueryError,
    UniqueError,
    col,
    ulid,
    uuid7,
)
from oxidite.db.values.kinds import kind_of
from oxidite.encoding import encode_json


class Color(enum.Enum):
    RED = "red"
    BLUE = "it's blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 500


class Shape(enum.StrEnum):
    ROUND = "round"


class Prefs(Struct):
    theme: str = "light"
    sizes: list[int] = []
    more: dict[str, float | None] = {}


@dataclass(frozen=True, order=True)
class Money:
    """An amount of a currency, in cents."""

    cents: int

    @classmethod
    def of(cls, cents: int) -> Money:
        return cls(cents)


UserId = NewType("UserId", int)
money: Cast[Money, int] = Cast(Money, int, lambda value: value.cents, Money.of)


class Kinds(Model, table="kinds"):
    id: Col[UUID] = col(pk=True, default_factory=uuid7)
    small: Col[int | None] = col(default=None, bits=16)
    middle: Col[int | None] = col(default=None, bits=32)
    big: Col[int | None] = col(default=None)
    named: Col[UserId | None] = col(default=None)
    short: Col[str | None] = col(default=None, max_length=20)
    text: Col[str | None] = col(default=None)
    caseless: Col[str | None] = col(default=None, ignore_case=True)
    flag: Col[bool | None] = col(default=None)
    real: Col[float | None] = col(default=None)
    exact: Col[Decimal | None] = col(default=None)
    cents: Col[Decimal | None] = col(default=None, precision=12, scale=2)
    day: Col[date | None] = col(default=None)
    clock: Col[time | None] = col(default=None)
    moment: Col[datetime | None] = col(default=None)
    took: Col[timedelta | None] = col(default=None)
    uuid: Col[UUID | None] = col(default=None)
    blob: Col[bytes | None] = col(default=None)
    color: Col[Color | None] = col(default=None)
    native: Col[Color | None] = col(default=None, native=True)
    shape: Col[Shape | None] = col(default=None)
    level: Col[Level | None] = col(default=None)
    word: Col[Literal["a", "b"] | None] = col(default=None)
    number: Col[Literal[1, -2] | None] = col(default=None)
    prefs: Col[Prefs | None] = col(default=None, json=True)
    things: Col[dict[str, Any] | None] = col(default=None, json=True)
    anything: Col[Any] = col(default=None, json=True)
    numbers: Col[list[int] | None] = col(default=None, array=True)
    words: Col[list[str] | None] = col(default=None, array=True)
    moments: Col[list[datetime] | None] = col(default=None, array=True)
    secret: Col[Secret[str] | None] = col(default=None)
    secret_bytes: Col[Secret[bytes] | None] = col(default=None)
    price: Col[Money | None] = col(default=None, cast=money)


text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
int64 = st.integers(-(2**63), 2**63 - 1)
zones = st.timedeltas(timedelta(hours=-14), timedelta(hours=14)).map(
    lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))
)
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=zones)  # noqa: DTZ001 - the zone is drawn
reals = st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "small": st.integers(-(2**15), 2**15 - 1),
    "middle": st.integers(-(2**31), 2**31 - 1),
    "big": int64,
    "named": int64,
    "short": text.filter(lambda value: len(value) <= 20),
    "text": text,
    "caseless": text,
    "flag": st.booleans(),
    "real": reals,
    "exact": st.decimals(allow_nan=False, allow_infinity=False).filter(
        lambda value: -900 < value.adjusted() < 900 and int(value.as_tuple().exponent) > -900
    ),
    "cents": st.decimals(-9_999_999_999, 9_999_999_999, places=2),
    "day": st.dates(),
    "clock": st.times(),
    "moment": moments,
    "took": st.timedeltas(timedelta(days=-70_000_000), timedelta(days=70_000_000)),
    "uuid": st.uuids(),
    "blob": st.binary(),
    "color": st.sampled_from(Color),
    "native": st.sampled_from(Color),
    "shape": st.sampled_from(Shape),
    "level": st.sampled_from(Level),
    "word": st.sampled_from(["a", "b"]),
    "number": st.sampled_from([1, -2]),
    "prefs": st.builds(
        Prefs,
        text,
        st.lists(int64, max_size=3),
        st.dictionaries(text, st.none() | reals, max_size=2),
    ),
    "things": st.dictionaries(text, plain, max_size=3),
    "anything": plain,
    "numbers": st.lists(int64, max_size=4),
    "words": st.lists(text, max_size=4),
    "moments": st.lists(moments, max_size=3),
    "secret": text.map(Secret),
    "secret_bytes": st.binary().map(Secret),
    "price": int64.map(Money),
}


@pytest.fixture
async def kinds(db: Database) -> Database:
    await db.push(Kinds)
    return db


def test_every_column_has_values_here() -> None:
    assert {*VALUES, "id"} == set(Kinds.__table__.by_name)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(values=st.fixed_dictionaries({}, optional=VALUES))
async def test_what_is_accepted_comes_back(kinds: Database, values: dict[str, Any]) -> None:
    if kinds.dialect.is_mysql and "exact" in values:
        values["exact"] = in_mysql(values["exact"])
    made = await Kinds.create(**values)
    assert made.changed() == []
    found = await Kinds.get(made.id)
    for name in VALUES:
        assert getattr(found, name) == values.get(name), name
        assert isinstance(getattr(found, name), type(getattr(made, name))), name
    assert found.changed() == []
    assert msgspec.json.decode(encode_json(found))["id"] == str(made.id)
    # And every one can be written over what was there.
    for name in VALUES:
        setattr(found, name, None)
    await found.save()
    for name, value in values.items():
        setattr(found, name, value)
    await found.save()
    assert {name: getattr(found, name) for name in values} == values
    again = await Kinds.get(made.id)
    assert {name: getattr(again, name) for name in values} == values


def in_mysql(value: Decimal) -> Decimal:
    """Return a number of those that MariaDB holds: of 35 digits before the point and 30 after it."""
    with localcontext(prec=2000):
        return (value % 10**35).quantize(Decimal("1e-30"))


EXTREMES: list[tuple[str, Any]] = [
    ("text", "x" * 1_000_000),
    ("text", "\U0001f468\u200d\U0001f469 e\u0301 \ufdfd \u202e \U0010ffff"),
    ("text", "'; DROP TABLE kinds; -- \\ %s $1 ? :name"),
    ("blob", bytes(1_000_000)),
    ("real", 5e-324),
    ("real", 1.7976931348623157e308),
    ("exact", Decimal("0E-900")),
    ("exact", Decimal("9" * 500 + "." + "9" * 400)),
    ("day", date.min),
    ("day", date.max),
    ("clock", time.max),
    ("moment", datetime(1, 1, 2, tzinfo=timezone(timedelta(hours=14)))),
    ("moment", datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=timezone(timedelta(hours=-14)))),
    ("moment", datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=-11)))),
    ("took", -timedelta(microseconds=1)),
    ("things", {"\\u0000": "\\u0000", "": [None, {}, []]}),
    ("prefs", Prefs("x" * 100_000)),
    ("words", ["", "NULL", '"', "{}", "\\"]),
]


@pytest.mark.parametrize(("name", "value"), EXTREMES)
async def test_extremes_come_back(kinds: Database, name: str, value: Any) -> None:
    if kinds.dialect.is_mysql and name == "exact" and value:
        with pytest.raises(QueryError, match="has more than 30 digits after the point"):
            await Kinds.create(exact=Decimal("1e-31"))
        with pytest.raises(QueryError, match="does not fit"):
            await Kinds.create(exact=Decimal(10**35))
        value = Decimal("9" * 35 + "." + "9" * 30)
    made = await Kinds.create(**{name: value})
    found = await Kinds.get(made.id)
    assert getattr(found, name) == value
    assert found.changed() == []


REFUSED: list[tuple[str, Any]] = [
    ("moment", datetime(2026, 1, 1)),  # noqa: DTZ001 - that is the point
    ("moment", datetime.min.replace(tzinfo=UTC)),
    ("moment", datetime.max.replace(tzinfo=UTC)),
    ("clock", time(1, tzinfo=UTC)),
    ("took", timedelta.max),
    ("real", float("inf")),
    ("exact", Decimal("1E+1000000")),
    ("exact", Decimal("1E-1000000")),
    ("text", "a\0b"),
    ("things", {"x": "a\0b"}),
    ("things", {"x": "\ud800"}),
    ("anything", {"x": [object()]}),
    ("secret", Secret("a\0b")),
    ("color", "red"),
    ("level", 1),
    ("price", 3),
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
async def test_what_a_database_could_not_keep_is_refused(
    kinds: Database, name: str, value: Any
) -> None:
    from oxidite import ValidationError

    with pytest.raises(ValidationError) as caught:
        await Kinds.create(**{name: value})
    assert [(e.pointer, e.code) for e in caught.value.errors] == [(f"/{name}", "type")]
    with pytest.raises(ValidationError) as caught:
        await Kinds.create_many([Kinds(), Kinds(**{name: value})])
    assert [(e.pointer, e.code) for e in caught.value.errors] == [(f"/1/{name}", "type")]
    assert await Kinds.count() == 0


async def test_they_are_compared_as_values(kinds: Database) -> None:
    for cents, level, day in ((5, Level.LOW, 1), (50, Level.HIGH, 2)):
        await Kinds.create(
            price=Money(cents),
            level=level,
            moment=datetime(2026, 1, day, tzinfo=UTC),
            secret=Secret(f"s{cents}"),
            native=Color.BLUE if day == 1 else None,
        )
    assert await Kinds.where(Kinds.price > Money(5)).count() == 1
    assert await Kinds.where(Kinds.price.in_([Money(5), Money(50)])).count() == 2
    assert await Kinds.where(Kinds.level == Level.HIGH).count() == 1
    assert await Kinds.where(Kinds.secret == Secret("s5")).count() == 1
    assert await Kinds.where(Kinds.native == Color.BLUE).count() == 1
    assert await Kinds.where(Kinds.native.in_([Color.BLUE, Color.RED])).count() == 1
    zone = timezone(timedelta(hours=5))
    assert await Kinds.where(Kinds.moment == datetime(2026, 1, 2, 5, tzinfo=zone)).count() == 1
    rows = await Kinds.order_by(Kinds.price).select(Kinds.price, Kinds.level).all()
    assert rows == [(Money(5), Level.LOW), (Money(50), Level.HIGH)]


class Member(Model, table="members"):
    id: Col[str] = col(pk=True, max_length=26, default_factory=ulid)
    email: Col[str] = col(unique=True, ignore_case=True)


async def test_text_that_ignores_case(db: Database) -> None:
    await db.push(Member)
    made = await Member.create(email="Ann@Example.com")
    assert (await Member.where(Member.email == "aNN@example.COM").one()).email == "Ann@Example.com"
    assert await Member.where(Member.email.in_(["ANN@EXAMPLE.COM"])).exists()
    assert not await Member.where(Member.email != "ann@example.com").exists()
    assert not await Member.where(Member.email.not_in(["ann@example.com"])).exists()
    with pytest.raises(UniqueError) as caught:
        await Member.create(email="ann@example.com")
    assert [(e.pointer, e.code) for e in caught.value.errors] == [("/email", "unique")]
    made.email = "ANN@example.com"
    assert made.changed() == ["email"]
    await made.save()
    assert (await Member.get(made.id)).email == "ANN@example.com"


@pytest.mark.parametrize(
    "annotation", [object, list[int], dict[str, int], Literal["a", 1], Secret[object], complex]
)
def test_what_no_column_holds_is_refused(annotation: Any) -> None:
    with pytest.raises(ModelError, match="no column holds"):
        kind_of(annotation)


def test_a_kind_says_what_the_database_sees() -> None:
    assert isinstance(Kinds.price.kind, Kind)
    assert Kinds.price.kind.stored is Kinds.big.kind
    assert Kinds.secret.kind.stored is Kinds.text.kind
