"""Ranges in rows: kept with all their extremes, and found as plain Python finds them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from tests.unit.db.conftest import KINDS as DATABASES
from tests.unit.db.conftest import database_url

from oxidite import Json, Oxidite
from oxidite.db import (
    Col,
    Database,
    DatabaseError,
    Keys,
    Model,
    ModelError,
    QueryError,
    Range,
    UniqueError,
    alias,
    col,
    filter_by,
    fn,
)
from oxidite.db.factories import Factory
from oxidite.db.statements.aliases import Alias
from oxidite.db.values.kinds import kind_of
from oxidite.errors import ValidationError
from oxidite.openapi import OpenAPI
from oxidite.testing import Client

KEYS = Keys(Keys.generate())


class Span(Model, table="range_spans"):
    id: Col[int] = col(pk=True, init=False)
    int8range: Col[Range[int] | None] = col(default=None, index=True)
    numrange: Col[Range[Decimal] | None] = col(default=None, index=True)
    daterange: Col[Range[date] | None] = col(default=None)
    tstzrange: Col[Range[datetime] | None] = col(default=None, index=True)
    number: Col[int | None] = col(default=None)
    amount: Col[Decimal | None] = col(default=None)
    day: Col[date | None] = col(default=None)
    moment: Col[datetime | None] = col(default=None)


class Booking(Model, table="range_bookings"):
    id: Col[int] = col(pk=True, init=False)
    during: Col[Range[datetime]]
    seats: Col[Range[int]] = col(unique=True, default_factory=lambda: Range(1, 2))


class Stay(Model, table="range_stays"):
    id: Col[int] = col(pk=True, init=False)
    nights: Col[Range[date]] = col(unique=True)
    beds: Col[Range[int]]
    price: Col[Range[Decimal]]
    during: Col[Range[datetime]]


class Hidden(Model, table="range_hidden"):
    id: Col[int] = col(pk=True, init=False)
    days: Col[Range[date]] = col(encrypted=KEYS, searchable=True)


SPANS: Any = Span
declared: Any = col
"""As a program without a type checker has them."""
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
BOUNDS: list[Any] = ["[)", "[]", "(]", "()"]
ELEMENTS: Mapping[str, tuple[str, list[Any]]] = {
    "int8range": ("number", [-(2**63), -11, -10, -2, -1, 0, 1, 2, 9, 10, 11, 2**63 - 2]),
    "numrange": (
        "amount",
        [
            *map(
                Decimal,
                ("-100", "-99.5", "-2", "-1.5", "-1.05", "0", "0.1", "1", "1.05", "9", "10"),
            ),
            *map(Decimal, ("1e-30", "-1e-30", "9e34", "-9e34")),
            Decimal("12345678901234567890123456789012345.012345678901234567890123456789"),
        ],
    ),
    "daterange": (
        "day",
        [
            *(date(2026, 1, 1) + timedelta(days=each) for each in range(8)),
            *(date(1, 1, 2), date(999, 12, 31), date(9999, 12, 30)),
        ],
    ),
    "tstzrange": (
        "moment",
        [
            *(NOON + timedelta(microseconds=each) for each in range(4)),
            *(NOON + timedelta(hours=each) for each in range(1, 5)),
            datetime(1, 1, 2, tzinfo=UTC),
            datetime(999, 1, 1, tzinfo=UTC),
            datetime(9999, 12, 30, 23, 59, 59, 999999, tzinfo=UTC),
        ],
    ),
}


def made(chance: random.Random, values: list[Any]) -> Range[Any]:
    """Return a range by chance: one in eight has no bounds or nothing in it."""
    ends = sorted(chance.choices(values, k=2))
    kind = chance.randrange(8)
    if kind == 0:
        return Range(empty=True)
    low, high = (None if kind == 1 + place else each for place, each in enumerate(ends))
    bounds = chance.choice(BOUNDS)
    return Range(low, None if kind == 3 else high, bounds=bounds)


OPERATORS: Mapping[str, tuple[Callable[..., Any], Callable[..., object]]] = {
    "contains": (lambda column, one: column.contains(one), lambda row, one: row.contains(one)),
    "contained_by": (
        lambda column, one: column.contained_by(one),
        lambda row, one: row.contained_by(one),
    ),
    "overlaps": (lambda column, one: column.overlaps(one), lambda row, one: row.overlaps(one)),
    "adjacent_to": (
        lambda column, one: column.adjacent_to(one),
        lambda row, one: row.adjacent_to(one),
    ),
    "before": (lambda column, one: column.before(one), lambda row, one: row.before(one)),
    "after": (lambda column, one: column.after(one), lambda row, one: row.after(one)),
    "==": (lambda column, one: column == one, lambda row, one: row == one),
    "<": (lambda column, one: column < one, lambda row, one: row < one),
    ">=": (lambda column, one: column >= one, lambda row, one: row >= one),
    "in_": (lambda column, one: column.in_([one]), lambda row, one: row == one),
    "not": (lambda column, one: ~column.overlaps(one), lambda row, one: not row.overlaps(one)),
}


async def filled(db: Database, kind: str, count: int = 60) -> tuple[list[Span], random.Random]:
    """Return rows with ranges by chance, and values of their own beside; some have none."""
    await db.push(Span)
    chance = random.Random(kind)
    name, values = ELEMENTS[kind]
    spans = [
        SPANS(
            **{
                kind: None if place % 10 == 9 else made(chance, values),
                name: None if place % 7 == 6 else chance.choice(values),
            }
        )
        for place in range(count)
    ]
    return await Span.create_many(spans), chance


async def ids(condition: Any) -> set[int]:
    return {each.id for each in await Span.where(condition).all()}


@pytest.mark.parametrize("kind", ELEMENTS)
async def test_each_database_finds_what_python_finds(kind: str, db: Database) -> None:
    spans, chance = await filled(db, kind)
    column: Any = getattr(Span, kind)
    there = [each for each in spans if getattr(each, kind) is not None]
    for one in [made(chance, ELEMENTS[kind][1]) for _ in range(15)]:
        for name, (ask, holds) in OPERATORS.items():
            wanted = {each.id for each in there if holds(getattr(each, kind), one)}
            assert await ids(ask(column, one)) == wanted, (name, one)


@pytest.mark.parametrize("kind", ELEMENTS)
async def test_each_database_finds_a_value_in_them(kind: str, db: Database) -> None:
    spans, _ = await filled(db, kind)
    column: Any = getattr(Span, kind)
    there = [each for each in spans if getattr(each, kind) is not None]
    for value in ELEMENTS[kind][1]:
        wanted = {each.id for each in there if value in getattr(each, kind)}
        assert await ids(column.contains(value)) == wanted, value
        assert await ids(~column.contains(value)) == {each.id for each in there} - wanted, value


@pytest.mark.parametrize("kind", ELEMENTS)
async def test_each_database_finds_the_value_of_a_row_in_them(kind: str, db: Database) -> None:
    spans, _ = await filled(db, kind)
    name, _ = ELEMENTS[kind]
    column: Any = getattr(Span, kind)
    condition = column.contains(getattr(Span, name))
    if kind == "numrange" and db.dialect.name != "postgresql":
        with pytest.raises(QueryError, match=r"lower\(\) <="):
            await ids(condition)
        return
    wanted = {
        each.id
        for each in spans
        if None not in (getattr(each, kind), getattr(each, name))
        and getattr(each, name) in getattr(each, kind)
    }
    assert wanted
    assert await ids(condition) == wanted


@pytest.mark.parametrize("kind", ELEMENTS)
async def test_each_database_compares_two_of_a_row(kind: str, db: Database) -> None:
    spans, _ = await filled(db, kind, 12)
    other = alias(Span, "other")
    column, theirs = getattr(Span, kind), getattr(other, kind)
    for name in ("overlaps", "contains", "adjacent_to", "before"):
        query = Span.query().join(other, on=getattr(column, name)(theirs))
        found = set(await query.select(Span.id, other.id).all())
        wanted = {
            (one.id, two.id)
            for one in spans
            for two in spans
            if None not in (getattr(one, kind), getattr(two, kind))
            and getattr(getattr(one, kind), name)(getattr(two, kind))
        }
        assert found == wanted, name


@pytest.mark.parametrize("kind", ELEMENTS)
async def test_their_bounds_are_values(kind: str, db: Database) -> None:
    spans, _ = await filled(db, kind)
    column: Any = getattr(Span, kind)
    rows = (
        await Span.query().select(Span.id, column.lower(), column.upper(), column.is_empty()).all()
    )
    ranges = {each.id: getattr(each, kind) for each in spans}
    for id_, lower, upper, empty in rows:
        one = ranges[id_]
        if one is None:
            assert (lower, upper, empty) == (None, None, None)
        else:
            assert (lower, upper, bool(empty)) == (one.lower, one.upper, one.is_empty)
    middle = sorted(ELEMENTS[kind][1])[len(ELEMENTS[kind][1]) // 2]
    wanted = {
        id_ for id_, one in ranges.items() if one and one.lower is not None and one.lower < middle
    }
    assert await ids(column.lower() < middle) == wanted
    ends = {id_ for id_, one in ranges.items() if one and one.upper == middle}
    assert await ids(column.upper() == middle) == ends


@pytest.mark.parametrize("kind", ELEMENTS)
async def test_they_are_ordered_as_python_orders_them(kind: str, db: Database) -> None:
    spans, _ = await filled(db, kind)
    column: Any = getattr(Span, kind)
    found = await Span.where(column.not_null()).order_by(column, Span.id).select(column).all()
    wanted = sorted(getattr(each, kind) for each in spans if getattr(each, kind) is not None)
    assert [each for (each,) in found] == wanted


EXTREMES: list[dict[str, Range[Any] | None]] = [
    {"int8range": Range(-(2**63), 2**63 - 1), "tstzrange": Range()},
    {"int8range": Range(None, -(2**63)), "daterange": Range(date.min, date(9999, 12, 31))},
    {"int8range": Range(empty=True), "daterange": Range(empty=True)},
    {"int8range": None, "numrange": None, "daterange": None, "tstzrange": None},
    {"numrange": Range(Decimal("-" + "9" * 35 + "." + "9" * 30), Decimal("1e-30"), bounds="(]")},
    {"numrange": Range(Decimal("-0.000"), None, bounds="()")},
    {"numrange": Range(empty=True), "tstzrange": Range(empty=True)},
    {
        "tstzrange": Range(
            datetime(1, 1, 2, 0, 0, 0, 1, tzinfo=UTC),
            datetime(9999, 12, 30, 23, 59, 59, 999999, tzinfo=UTC),
            bounds="[]",
        )
    },
    {"daterange": Range(None, date(1, 1, 1), bounds="[]")},
]


async def test_all_extremes_are_read_as_they_were_written(db: Database) -> None:
    await db.push(Span)
    one_by_one = [await SPANS(**each).save() for each in EXTREMES]
    together = await Span.create_many([SPANS(**each) for each in EXTREMES])
    await Span.load_many([SPANS(**each) for each in EXTREMES])
    rows = await Span.order_by(Span.id).all()
    assert len(rows) == 3 * len(EXTREMES)
    for row, wanted in zip(rows, EXTREMES * 3, strict=True):
        for name in ELEMENTS:
            assert getattr(row, name) == wanted.get(name), name
    assert [each.id for each in one_by_one + together] == [
        each.id for each in rows[: 2 * len(EXTREMES)]
    ]


async def test_a_row_with_one_is_changed_and_left_alone(db: Database) -> None:
    await db.push(Booking)
    one = await Booking(during=Range(NOON, NOON + timedelta(hours=1)), seats=Range(1, 5)).save()
    one.seats = Range(1, 4, bounds="[]")
    await one.save()
    one.during = Range(NOON, None)
    await one.save()
    assert (await Booking.get(one.id)).during == Range(NOON, None)
    await Booking.where(Booking.id == one.id).update(seats=Range[int](empty=True))
    assert (await Booking.get(one.id)).seats.is_empty


async def test_equal_ones_are_not_unique(db: Database) -> None:
    await db.push(Booking)
    await Booking(during=Range(), seats=Range(1, 5)).save()
    with pytest.raises(UniqueError) as caught:
        await Booking(during=Range(), seats=Range(1, 4, bounds="[]")).save()
    assert caught.value.errors[0].pointer == "/seats"


BIG = Decimal(10) ** 35
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"int8range": Range(0, 2**63)}, "64 bits"),
    ({"int8range": Range(-(2**63) - 1, None)}, "64 bits"),
    ({"int8range": Range(Decimal(1), None)}, "a range of int"),
    ({"int8range": (1, 2)}, "a range of int"),
    ({"numrange": Range(BIG, None)}, "35 or fewer digits before"),
    ({"numrange": Range(None, Decimal("1e-31"))}, "30 or fewer digits after"),
    ({"daterange": Range(NOON, None)}, "a range of date"),
    ({"tstzrange": Range(date(2026, 1, 1), None)}, "a range of datetime"),
    ({"tstzrange": Range(datetime.min.replace(tzinfo=UTC), None)}, "years 1 to 9999"),
    ({"tstzrange": Range(None, datetime.max.replace(tzinfo=UTC))}, "years 1 to 9999"),
]


@pytest.mark.parametrize(("values", "message"), WRONG)
async def test_what_not_every_database_can_hold_is_refused(
    values: dict[str, Any], message: str
) -> None:
    async with Database.from_url("sqlite://") as db:
        await db.push(Span)
        with pytest.raises(ValidationError) as caught:
            await SPANS(**values).save()
        (error,) = caught.value.errors
        assert error.pointer == f"/{next(iter(values))}"
        assert message in error.message
        assert await Span.query().count() == 0


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: SPANS.int8range.contains("1"), "no such range"),
        (lambda: SPANS.int8range.contains(True), "no such range"),
        (lambda: SPANS.int8range.contains(None), "no such range"),
        (lambda: SPANS.int8range.contains(Decimal(1)), "no such range"),
        (lambda: SPANS.int8range.contains(Span.day), "no such range"),
        (lambda: SPANS.int8range.overlaps(Range(date(2026, 1, 1), None)), "no such range"),
        (lambda: SPANS.int8range.overlaps(5), "no such range"),
        (lambda: SPANS.int8range.overlaps(Span.daterange), "no such range"),
        (lambda: SPANS.tstzrange.contains(date(2026, 1, 1)), "no such range"),
        (lambda: SPANS.number.is_empty(), "is no range"),
        (lambda: SPANS.number.before(Range(1, 2)), "is no range"),
        (lambda: filter_by({"tstzrange": "x"}, allow=[Span.tstzrange]), "compared with text"),
    ],
)
def test_what_makes_no_sense_is_a_mistake_of_the_program(
    ask: Callable[[], object], message: str
) -> None:
    with pytest.raises(QueryError, match=message):
        ask()


@pytest.mark.parametrize(
    "ask",
    [
        lambda: Span.int8range.contains(2**63),
        lambda: Span.int8range.overlaps(Range(None, 2**70)),
        lambda: Span.numrange.contains(Decimal("1e35")),
        lambda: Span.numrange.contains(Decimal("NaN")),
        lambda: Span.tstzrange.contains(datetime(2026, 1, 1)),  # noqa: DTZ001 - meant
        lambda: Span.tstzrange.contains(datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_what_a_client_may_ask_for_and_no_range_has_is_told_of_its_field(
    ask: Callable[[], object],
) -> None:
    with pytest.raises(ValidationError) as caught:
        ask()
    assert caught.value.errors[0].pointer in ("/int8range", "/numrange", "/tstzrange")


async def test_a_moment_in_another_zone_is_the_same_one(db: Database) -> None:
    await db.push(Booking)
    await Booking(during=Range(NOON, NOON + timedelta(hours=1))).save()
    there = timezone(timedelta(hours=-9))
    assert await Booking.where(Booking.during.contains(NOON.astimezone(there))).count() == 1
    after = (NOON + timedelta(hours=1)).astimezone(there)
    assert await Booking.where(Booking.during.contains(after)).count() == 0


async def test_an_encrypted_one_is_read_and_found(db: Database) -> None:
    await db.push(Hidden)
    days = Range(date(2026, 1, 1), date(2026, 1, 31), bounds="[]")
    one = await Hidden(days=days).save()
    assert (await Hidden.where(Hidden.days == days).one()).days == days
    assert await Hidden.where(Hidden.days == Range(date(2026, 1, 1), None)).count() == 0
    with pytest.raises(QueryError, match="encrypted"):
        await Hidden.where(Hidden.days.contains(date(2026, 1, 1))).count()
    assert one.id == 1


async def test_they_are_grouped_and_gathered(db: Database) -> None:
    await db.push(Booking)
    await Booking.create_many(
        [Booking(during=Range(NOON, None), seats=Range(each, each + 2)) for each in (1, 5, 3)]
    )
    rows = await Booking.query().group_by(Booking.during).select(Booking.during, fn.count()).all()
    assert rows == [(Range(NOON, None), 3)]
    first = await Booking.query().select(fn.min(Booking.seats.lower())).one()
    assert first == (1,)


# What others have written.


@pytest.fixture
async def postgresql(tmp_path: Any) -> Any:
    async with database_url("postgresql", tmp_path) as url, Database.from_url(url) as db:
        await db.push(Span)
        yield db


async def wrote(db: Database, column: str, sql: str) -> None:
    async with db.driver.connection(write=True) as connection:
        await connection.run(f"INSERT INTO range_spans ({column}) VALUES ({sql})", ())


@pytest.mark.service("postgres")
@pytest.mark.parametrize(
    ("column", "sql", "wanted"),
    [
        ("tstzrange", "tstzrange('2026-01-31 12:00+00', 'infinity')", Range(NOON, None)),
        (
            "tstzrange",
            "tstzrange('-infinity', '2026-01-31 12:00+00', '[]')",
            Range(None, NOON, bounds="[]"),
        ),
        ("numrange", "numrange(1, 'Infinity', '[]')", Range(Decimal(1), None)),
        ("daterange", "daterange('2026-01-01', 'infinity', '[]')", Range(date(2026, 1, 1), None)),
        ("int8range", "int8range(1, 5, '[]')", Range(1, 6)),
    ],
)
async def test_infinities_of_postgresql_are_no_bounds(
    column: str, sql: str, wanted: Range[Any], postgresql: Database
) -> None:
    await wrote(postgresql, column, sql)
    assert getattr(await Span.query().one(), column) == wanted


@pytest.mark.service("postgres")
@pytest.mark.parametrize(
    ("column", "sql"),
    [
        ("tstzrange", "tstzrange('20000-01-01', NULL)"),
        ("tstzrange", "tstzrange('0044-03-15 BC', NULL)"),
        ("daterange", "daterange('2026-01-01', '9999-12-31', '[]')"),
        ("daterange", "daterange('0044-03-15 BC', NULL)"),
        ("moment", "'20000-01-01'"),
    ],
)
async def test_years_that_python_has_not_are_told(
    column: str, sql: str, postgresql: Database
) -> None:
    await wrote(postgresql, column, sql)
    with pytest.raises(DatabaseError, match="years 1 to 9999"):
        await Span.query().all()
    assert await Span.query().count() == 1  # the connection is of use


@pytest.mark.parametrize(
    "kind", ["memory", pytest.param("mariadb", marks=pytest.mark.service("mariadb"))]
)
@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01",
        "2026-01-02<2026-01-01<",
        "2026-01-02<2026-01-02<",
        "2026-01-01<2026-01-02",
        " ",
        "'; DROP TABLE range_spans; --",
    ],
)
async def test_a_text_that_stands_for_none_is_refused(kind: str, text: str, tmp_path: Any) -> None:
    async with database_url(kind, tmp_path) as url, Database.from_url(url) as db:
        await db.push(Span)
        with pytest.raises(ValidationError):
            async with db.driver.connection(write=True) as connection:
                await connection.run("INSERT INTO range_spans (daterange) VALUES (?)", (text,))


async def test_a_text_of_no_day_is_told() -> None:
    async with Database.from_url("sqlite://") as db:
        await db.push(Span)
        await wrote(db, "daterange", "'2026-13-01<2026-14-01<'")
        with pytest.raises(DatabaseError, match="daterange that Python cannot hold"):
            await Span.query().all()


# Declared.


@pytest.mark.parametrize("rules", [{"ge": 1}, {"max_length": 3}, {"precision": 3}, {"check": True}])
def test_rules_of_other_types_are_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=f"{next(iter(rules))}= is not for a Range"):

        class Wrong(Model, table="range_wrong"):
            id: Col[int] = col(pk=True, init=False)
            during: Col[Range[int]] = declared(**rules)


def test_other_ranges_and_lists_of_them_are_refused() -> None:
    others: Any = Range
    for wrong in (others[str], others, others[int | None]):
        with pytest.raises(ModelError, match=r"it is Range\[int\]"):
            kind_of(wrong)

    with pytest.raises(ModelError, match="row of each"):

        class Many(Model, table="range_wrong"):
            id: Col[int] = col(pk=True, init=False)
            during: Col[list[Range[int]]] = col(array=True)


@pytest.mark.parametrize("kind", [*DATABASES[:1]])
async def test_a_factory_makes_some_that_are_apart(kind: str, tmp_path: Any) -> None:
    class Stays(Factory[Stay]):
        pass

    async with database_url(kind, tmp_path) as url, Database.from_url(url) as db:
        await db.push(Stay)
        found = await Stays().create_many(3)
        assert len({each.nights for each in found}) == 3


# In requests and responses.


async def test_a_client_gives_and_gets_them() -> None:
    app = Oxidite(plugins=[OpenAPI(title="Rooms")])

    @app.post("/bookings")
    async def book(data: Json[Booking.Create]) -> Booking:
        return await Booking.create_from(data)

    async with Database.from_url("sqlite://") as db, Client(app) as client:
        await db.push(Booking)
        body = {
            "during": {"lower": "2026-01-31T12:00:00Z"},
            "seats": {"lower": 1, "upper": 4, "bounds": "[]"},
        }
        answer = await client.post("/bookings", json=body)
        assert answer.json() == {
            "id": 1,
            "during": {"lower": "2026-01-31T12:00:00Z", "upper": None, "bounds": "[)"},
            "seats": {"lower": 1, "upper": 5, "bounds": "[)"},
        }
        wrong = await client.post(
            "/bookings", json={"during": {}, "seats": {"lower": 2, "upper": 1}}
        )
        assert wrong.status_code == 422
        (error,) = wrong.json()["errors"]
        assert error["pointer"] == "#/seats"
        huge = await client.post("/bookings", json={"during": {}, "seats": {"lower": 2**63}})
        assert huge.json()["errors"][0]["pointer"] == "#/seats"
        document = (await client.get("/openapi.json")).json()
    for name in ("BookingCreate", "Booking"):
        schema = document["components"]["schemas"][name]["properties"]
        assert schema["seats"]["properties"]["lower"]["anyOf"][0] == {"type": "integer"}
        assert schema["during"]["properties"]["upper"]["anyOf"][0]["format"] == "date-time"


def test_an_alias_has_them_too() -> None:
    assert isinstance(alias(Span, "other"), Alias)
