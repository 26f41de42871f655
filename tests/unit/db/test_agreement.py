"""One query, three databases, the same rows: whatever a query is made of here, they must agree."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.db.conftest import database_url

from oxidite.db import Col, Condition, Database, Expr, Model, Order, every, some
from oxidite.db import col as column
from oxidite.db.writes.saving import insert_many

pytestmark = [pytest.mark.service("postgres"), pytest.mark.service("mariadb")]


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Sample(Model, table="samples"):
    id: Col[int] = column(pk=True)
    text: Col[str | None] = column(default=None)
    word: Col[str] = column(default="", max_length=50, index=True)
    number: Col[int | None] = column(default=None)
    total: Col[int] = column(default=0)
    real: Col[float | None] = column(default=None)
    exact: Col[Decimal | None] = column(default=None, precision=12, scale=2)
    yes: Col[bool | None] = column(default=None)
    blob: Col[bytes | None] = column(default=None)
    key: Col[UUID | None] = column(default=None)
    at: Col[datetime | None] = column(default=None)
    day: Col[date | None] = column(default=None)
    clock: Col[time | None] = column(default=None)
    took: Col[timedelta | None] = column(default=None)
    color: Col[Color | None] = column(default=None)
    size: Col[Literal["s", "m"] | None] = column(default=None)


TEXTS = [
    "", " ", "a", "A", "a ", "ab", "aB", "b%", "_b", "a_b", "100%", "\\", "a\\b", "'", "''", '"', "`",
    "a'b", "%_\\'", "\U0001f600", "a\U0001f600b", "\u00e9", "x\n", "?", "$1", ":a", "%s", "--", "/*",
    "z" * 300, "\u4e2d\u6587",
]  # fmt: skip
VALUES: dict[str, list[Any]] = {
    "text": TEXTS,
    "word": [text for text in TEXTS if len(text) < 50],
    "number": [0, 1, -1, 2, 7, -7, 1000, -1000],
    "total": [0, 1, 2, 3, -3],
    "real": [0.0, 0.5, -0.5, 1.0, 1e300, -1e-300, 0.1],
    "exact": [
        Decimal(each) for each in ("0.00", "1.50", "-1.50", "9.00", "10.50", "-10.00", "1234567890.12")
    ],
    "yes": [True, False],
    "blob": [b"", b"a", b"A", b"\0", bytes(range(256)), b"'", b"\\", b"a "],
    "key": [UUID(int=number) for number in (0, 1, 2**64, 2**127, 2**128 - 1)],
    "at": [
        datetime(1, 1, 2, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 30, 0, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
    "day": [date.min, date(2024, 2, 29), date.max],
    "clock": [time(), time(12), time(23, 59, 59, 999_999)],
    "took": [timedelta(), timedelta(microseconds=1), -timedelta(days=1), timedelta(days=9999)],
    "color": list(Color),
    "size": ["s", "m"],
}  # fmt: skip
NULLABLE = [each for each in Sample.__table__.columns if each.nullable]


def samples() -> list[Sample]:
    """Rows with every value of each column in some of them, and none in some."""
    made = []
    for number in range(60):
        values: dict[str, Any] = {
            name: None
            if number % 7 == 3 and Sample.__table__.by_name[name].nullable
            else known[(number * (place + 1)) % len(known)]
            for place, (name, known) in enumerate(VALUES.items())
        }
        made.append(Sample(id=number, **values))
    return made


@pytest.fixture
async def databases(tmp_path: Path) -> AsyncIterator[list[Database]]:
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for kind in ("memory", "postgresql", "mariadb"):
            url = await stack.enter_async_context(database_url(kind, tmp_path))
            one = await stack.enter_async_context(Database.from_url(url))
            with one.using():
                await one.push(Sample)
                await insert_many(samples())
            found.append(one)
        yield found


def texts() -> st.SearchStrategy[str]:
    return st.text(alphabet="aAbB%_\\'\U0001f600\u00e9 ?", max_size=4)


def patterns() -> st.SearchStrategy[str]:
    # What ends with half an escape is refused by PostgreSQL, and nobody else.
    return texts().filter(lambda text: (len(text) - len(text.rstrip("\\"))) % 2 == 0)


def ascii_patterns() -> st.SearchStrategy[str]:
    return patterns().map(lambda text: text.replace("\u00e9", "e"))


def numbers() -> st.SearchStrategy[Expr[int, Any]]:
    leaves: st.SearchStrategy[Any] = st.sampled_from(
        [Sample.number, Sample.total, Sample.id, Sample.word.length()]
    )
    plain = st.integers(-9, 9)
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(lambda a, b: a + b, inner, inner | plain),
            st.builds(lambda a, b: a - b, inner, inner | plain),
            st.builds(lambda a, b: a * b, inner, plain),
            st.builds(lambda a, b: a % b, inner, inner | plain | st.just(2**40)),
            st.builds(lambda a: -a, inner),
            st.builds(lambda a, b: b - a, inner, plain),
        ),
        max_leaves=4,
    )


def phrases() -> st.SearchStrategy[Expr[str, Any]]:
    leaves: st.SearchStrategy[Any] = st.sampled_from([Sample.text, Sample.word])
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(lambda a, b: a + b, inner, inner | texts()),
            st.builds(lambda a, b: b + a, inner, texts()),
            st.builds(lambda a: a.lower(), inner),
        ),
        max_leaves=3,
    )


def of_column(name: str) -> st.SearchStrategy[Condition]:
    here: Expr[Any, Any] = getattr(Sample, name)
    known = st.sampled_from(VALUES[name])
    made = [
        st.builds(lambda value: here == value, known),
        st.builds(lambda value: here != value, known),
        st.builds(lambda values: here.in_(values), st.lists(known, max_size=4)),
        st.builds(lambda values: here.not_in(values), st.lists(known, max_size=4)),
        st.just(here.is_null()),
        st.just(here.not_null()),
    ]
    if name not in ("yes", "color", "size"):
        made += [
            st.builds(lambda value: here > value, known),
            st.builds(lambda value: here <= value, known),
            st.builds(lambda low, high: here.between(low, high), known, known),
        ]
    return st.one_of(made)


def conditions() -> st.SearchStrategy[Condition]:
    leaves = st.one_of(
        st.sampled_from(list(VALUES)).flatmap(of_column),
        st.builds(lambda a, b: a == b, numbers(), st.integers(-9, 9)),
        st.builds(lambda a, b: a < b, numbers(), numbers()),
        st.builds(lambda a, b, c: a / b > c, numbers(), numbers(), st.floats(-9, 9)),
        st.builds(
            lambda a, b: Sample.real / a > b, st.sampled_from([0.0, 0.5, -3.0]), st.floats(-9, 9)
        ),
        st.builds(lambda a, b: a.like(b), phrases(), patterns()),
        st.builds(lambda a, b: a.ilike(b), phrases(), ascii_patterns()),
        st.builds(lambda a, b: a.contains(b), phrases(), texts()),
        st.builds(lambda a, b: a.startswith(b), phrases(), texts()),
        st.builds(lambda a, b: a.endswith(b), phrases(), texts()),
        st.builds(lambda a, b: a == b, phrases(), texts()),
        st.builds(lambda a, b: a >= b, phrases(), phrases()),
        st.builds(lambda a: a.upper() == "A", st.just(Sample.word)),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(lambda a, b: a & b, inner, inner),
            st.builds(lambda a, b: a | b, inner, inner),
            st.builds(lambda a: ~a, inner),
            st.lists(inner, max_size=2).map(every),
            st.lists(inner, max_size=2).map(some),
        ),
        max_leaves=4,
    )


def orders() -> st.SearchStrategy[Order]:
    known: list[Expr[Any, Any]] = [*NULLABLE]
    return st.builds(
        lambda expr, down, first: Order(expr, descending=down, nulls_first=first),
        st.one_of(st.sampled_from([*known, Sample.word]), numbers(), phrases()),
        st.booleans(),
        st.booleans(),
    )


async def rows(database: Database, query: Any) -> list[Any]:
    with database.using():
        return [
            [getattr(each, name) for name in ("id", *VALUES)] if isinstance(each, Sample) else each
            for each in await query.all()
        ]


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(conditions(), max_size=2),
    st.lists(orders(), max_size=2),
    st.none() | st.tuples(st.integers(0, 20), st.integers(0, 5)),
)
async def test_the_same_rows_in_the_same_order(
    databases: list[Database],
    where: list[Condition],
    order: list[Order],
    part: tuple[int, int] | None,
) -> None:
    query = Sample.where(*where).order_by(*order, Sample.id)
    if part is not None:
        query = query.limit(part[0]).offset(part[1])
    sqlite, postgresql, mariadb = [await rows(each, query) for each in databases]

    assert mariadb == sqlite
    assert postgresql == sqlite


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(numbers(), phrases(), numbers())
async def test_the_same_values(
    databases: list[Database], number: Expr[int, Any], phrase: Expr[str, Any], other: Any
) -> None:
    query = Sample.order_by(Sample.id).select(
        number, phrase, phrase.length(), number / other, Sample.real / 0.5, Sample.at, Sample.color
    )
    sqlite, postgresql, mariadb = [await rows(each, query) for each in databases]

    assert mariadb == sqlite
    assert postgresql == sqlite
    assert [type(each) for each in mariadb[0]] == [type(each) for each in sqlite[0]]


@pytest.mark.parametrize("name", VALUES)
async def test_one_of_many_values_of_every_kind(databases: list[Database], name: str) -> None:
    here: Expr[Any, Any] = getattr(Sample, name)
    for database in databases:
        with database.using():
            assert (
                await Sample.where(here.in_(VALUES[name])).count()
                == await Sample.where(here.not_null()).count()
            )
            assert await Sample.where(here.in_([])).count() == 0
            assert await Sample.where(here.not_in([])).count() == 60
            one = VALUES[name][-1]
            assert (
                await Sample.where(here.in_([one, one])).count()
                == await Sample.where(here == one).count()
            )
