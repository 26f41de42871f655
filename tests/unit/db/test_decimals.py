"""Decimals are compared and ordered as numbers on every database, though SQLite keeps them as text."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.db import Col, Database, Model, Select, col, fn
from oxidite.db.drivers.sqlite_functions import compare_decimals

PRICES = ["9.00", "10.50", "-2.00", "-10.00", "0.00", "100.00", "10.50"]


class Price(Model, table="prices"):
    id: Col[int] = col(pk=True, init=False)
    amount: Col[Decimal | None] = col(default=None, precision=12, scale=2, index=True)
    limit: Col[Decimal] = col(default=Decimal("9.50"), precision=12, scale=2)


@pytest.fixture
async def prices(db: Database) -> Database:
    await db.push(Price)
    await Price.create_many([Price(amount=Decimal(each)) for each in PRICES])
    return db


def numbers(*texts: str) -> list[Decimal]:
    return [Decimal(each) for each in texts]


async def amounts(query: Select[Price]) -> list[Decimal | None]:
    return [one.amount for one in await query.all()]


async def test_comparisons(prices: Database) -> None:
    by_id = Price.order_by(Price.id)
    assert await amounts(by_id.where(Price.amount > Decimal("9.5"))) == numbers(
        "10.50", "100.00", "10.50"
    )
    assert await amounts(by_id.where(Price.amount < Decimal(-5))) == numbers("-10.00")
    assert await amounts(by_id.where(Price.amount.between(Decimal(-2), Decimal(9)))) == numbers(
        "9.00", "-2.00", "0.00"
    )
    assert await amounts(by_id.where(Price.amount < Price.limit)) == numbers(
        "9.00", "-2.00", "-10.00", "0.00"
    )


async def test_zeros_at_the_end_make_no_other_number(prices: Database) -> None:
    assert await Price.where(Price.amount == Decimal(9)).count() == 1
    assert await Price.where(Price.amount != Decimal("10.5")).count() == 5
    assert await Price.where(Price.amount.in_([Decimal("9.0"), Decimal(100)])).count() == 2
    assert await Price.where(Price.amount.not_in([Decimal("10.5")])).count() == 5


async def test_orders_and_what_is_first_and_last(prices: Database) -> None:
    ordered = sorted(numbers(*PRICES))
    assert await amounts(Price.order_by(Price.amount, Price.id)) == ordered
    assert await amounts(Price.order_by(Price.amount.desc(), Price.id)) == ordered[::-1]
    found = await Price.query().select(fn.min(Price.amount), fn.max(Price.amount)).one()
    assert found == (Decimal(-10), Decimal(100))
    both = Price.where(Price.amount > Decimal(0)).select(Price.amount)
    rows = await both.union(Price.where(Price.amount <= Decimal(0)).select(Price.amount)).all()
    assert sorted(rows) == [(each,) for each in sorted(set(ordered))]
    greatest = await Price.order_by(Price.id).select(fn.greatest(Price.limit, Decimal(10))).first()
    assert greatest == (Decimal(10),)


async def test_groups(prices: Database) -> None:
    await Price.create(amount=Decimal("10.5"))
    grouped = Price.query().group_by(Price.amount).having(fn.count() > 1)
    assert await grouped.select(Price.amount, fn.count()).all() == [(Decimal("10.5"), 3)]
    assert await Price.query().select(fn.count(Price.amount, distinct=True)).one() == (6,)


async def test_pages_in_the_order_of_a_decimal_have_every_row_once(prices: Database) -> None:
    query, after = Price.order_by(Price.amount.desc()), None
    found: list[Decimal | None] = []
    while True:
        page = await query.keyset(after=after, limit=2)
        found += [each.amount for each in page.items]
        if page.next is None:
            break
        after = page.next
    assert found == sorted(numbers(*PRICES), reverse=True)


@given(
    st.decimals(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False),
)
def test_the_order_of_texts_is_that_of_the_numbers(one: Decimal, other: Decimal) -> None:
    assert compare_decimals(str(one), str(other)) == (one > other) - (one < other)


def test_what_is_no_number_comes_last_and_in_one_order() -> None:
    assert compare_decimals("x", "9") == compare_decimals("NaN", "1e9") == 1
    assert compare_decimals("9", "sNaN") == compare_decimals("x", "y") == -1
    assert compare_decimals("x", "x") == 0
