"""Functions, aggregates and windows, which are the same in each database."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from oxidite.db import Col, Database, Expr, Model, QueryError, col, fn


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Sale(Model, table="sales"):
    id: Col[int] = col(pk=True)
    shop: Col[str]
    amount: Col[int]
    weight: Col[float] = col(default=0.0)
    price: Col[Decimal] = col(default=Decimal(0), precision=12, scale=2)
    note: Col[str | None] = col(default=None)
    at: Col[datetime] = col(default=datetime(2024, 5, 17, 13, 45, 59, 987654, UTC))
    day: Col[date] = col(default=date(2024, 5, 17))
    key: Col[UUID] = col(default=UUID(int=7))
    blob: Col[bytes] = col(default=b"\x00\xff")
    mood: Col[Mood] = col(default=Mood.GOOD)
    paid: Col[bool] = col(default=False)


@pytest.fixture
async def sales(db: Database) -> Database:
    await db.push(Sale)
    for id, shop, amount, note in (
        (1, "a", 5, None),
        (2, "a", 7, "x"),
        (3, "b", 7, " yY "),
        (4, "b", 1, None),
        (5, "b", -3, "x"),
    ):
        await Sale.create(
            id=id,
            shop=shop,
            amount=amount,
            note=note,
            weight=amount / 2,
            key=UUID(int=id),
            paid=id > 3,
        )
    return db


async def value(expr: Expr[Any, Any], id: int = 3) -> Any:
    ((found,),) = await Sale.where(Sale.id == id).select(expr).all()
    return found


async def column(expr: Expr[Any, Any]) -> list[Any]:
    return [found for (found,) in await Sale.order_by(Sale.id).select(expr).all()]


class TestAggregates:
    async def test_of_all_rows(self, sales: Database) -> None:
        query = Sale.query().select(
            fn.count(), fn.count(Sale.note), fn.count(Sale.note, distinct=True), fn.sum(Sale.amount)
        )
        assert await query.all() == [(5, 3, 2, 17)]
        ((total, mean, low, high),) = (
            await Sale.query()
            .select(
                fn.sum(Sale.weight), fn.avg(Sale.amount), fn.min(Sale.amount), fn.max(Sale.note)
            )
            .all()
        )
        assert (total, mean, low, high) == (8.5, 3.4, -3, "x")
        assert type(mean) is float
        ((whole, day, moment, key),) = (
            await Sale.query()
            .select(fn.sum(Sale.amount), fn.max(Sale.day), fn.min(Sale.at), fn.count(Sale.key))
            .all()
        )
        assert (type(whole), day, key) == (int, date(2024, 5, 17), 5)
        assert moment == datetime(2024, 5, 17, 13, 45, 59, 987654, UTC)

    async def test_of_no_rows(self, sales: Database) -> None:
        none = Sale.where(Sale.id == 99)
        query = none.select(fn.count(), fn.sum(Sale.amount), fn.avg(Sale.weight), fn.max(Sale.day))
        assert await query.all() == [(0, None, None, None)]

    async def test_of_groups(self, sales: Database) -> None:
        total = fn.sum(Sale.amount)
        query = Sale.query().group_by(Sale.shop).select(Sale.shop, total, fn.count())

        assert await query.order_by(total.desc()).all() == [("a", 12, 2), ("b", 5, 3)]
        assert await query.having(fn.count() > 2, total > 0).all() == [("b", 5, 3)]

    async def test_of_some_rows_of_a_group(self, sales: Database) -> None:
        query = (
            Sale.query()
            .group_by(Sale.shop)
            .order_by(Sale.shop)
            .select(
                Sale.shop,
                fn.count().filter(Sale.amount > 5),
                fn.sum(Sale.amount).filter(Sale.paid == True, Sale.amount > 0),  # noqa: E712
                fn.count(Sale.note, distinct=True).filter(Sale.note == "x"),
            )
        )
        assert await query.all() == [("a", 1, None, 1), ("b", 1, 1, 1)]

    async def test_groups_of_an_expression_with_values(self, sales: Database) -> None:
        note = fn.coalesce(Sale.note, "none")
        query = Sale.query().group_by(note).select(note, fn.count()).order_by(note)

        assert sorted(await query.all()) == [(" yY ", 1), ("none", 2), ("x", 2)]
        other = Sale.query().select(note, fn.count()).group_by(note)
        assert sorted(await other.all()) == sorted(await query.all())
        assert await query.count() == 3

    async def test_texts_and_lists_put_together(self, sales: Database) -> None:
        query = Sale.query().group_by(Sale.shop).order_by(Sale.shop)
        found = await query.select(fn.string_agg(Sale.note, "|"), fn.array_agg(Sale.amount)).all()

        assert [sorted((text or "").split("|")) for text, _ in found] == [["x"], [" yY ", "x"]]
        assert [sorted(each or []) for _, each in found] == [[5, 7], [-3, 1, 7]]
        ((notes, keys, blobs, days, moods),) = (
            await Sale.where(Sale.id == 1)
            .select(
                fn.array_agg(Sale.note),
                fn.array_agg(Sale.key),
                fn.array_agg(Sale.blob),
                fn.array_agg(Sale.day),
                fn.array_agg(Sale.mood),
            )
            .all()
        )
        assert notes == [None]
        assert (keys, blobs, days) == ([UUID(int=1)], [b"\x00\xff"], [date(2024, 5, 17)])
        assert moods == [Mood.GOOD]

    async def test_texts_put_together_in_an_order(self, sales: Database) -> None:
        ordered = fn.string_agg(Sale.shop, "", order_by=Sale.id.desc())
        lists = fn.array_agg(Sale.id, order_by=[Sale.shop, Sale.id.desc()])
        query = Sale.query().select(ordered, lists)
        if sales.dialect.ordered_aggregates:
            assert await query.all() == [("bbbaa", [2, 1, 5, 4, 3])]
        else:
            with pytest.raises(QueryError, match="in no order"):
                await query.all()

    async def test_decimals_are_exact_or_refused(self, sales: Database) -> None:
        query = Sale.query().select(fn.sum(Sale.price), fn.avg(Sale.price))
        if sales.dialect.exact_decimals:
            await Sale.create(id=9, shop="c", amount=0, price=Decimal("0.10"))
            ((total, mean),) = await query.all()
            assert total == Decimal("0.10")
            assert isinstance(mean, Decimal)
        else:
            with pytest.raises(QueryError, match="does not compute with them"):
                await query.all()

    async def test_mistakes_are_told(self) -> None:
        with pytest.raises(QueryError, match="of what"):
            fn.count(distinct=True)
        with pytest.raises(QueryError, match="where None comes"):
            fn.array_agg(Sale.id, order_by=Sale.id.asc(nulls_first=True))


class TestWindows:
    async def test_places(self, sales: Database) -> None:
        by_amount = Sale.amount.desc()
        query = Sale.order_by(Sale.id).select(
            fn.row_number().over(partition_by=Sale.shop, order_by=by_amount),
            fn.rank().over(order_by=by_amount),
            fn.dense_rank().over(order_by=by_amount),
            fn.ntile(2).over(order_by=Sale.id),
        )
        assert await query.all() == [
            (2, 3, 2, 1),
            (1, 1, 1, 1),
            (1, 1, 1, 1),
            (2, 4, 3, 2),
            (3, 5, 4, 2),
        ]
        assert await column(fn.percent_rank().over(order_by=Sale.id)) == [0, 0.25, 0.5, 0.75, 1]

    async def test_rows_before_and_after(self, sales: Database) -> None:
        query = Sale.order_by(Sale.id).select(
            fn.lag(Sale.amount).over(order_by=Sale.id),
            fn.lead(Sale.amount, 2, default=0).over(order_by=Sale.id),
            fn.first_value(Sale.id).over(partition_by=[Sale.shop], order_by=[Sale.id]),
            fn.last_value(Sale.id).over(
                partition_by=Sale.shop, order_by=Sale.id, rows=(None, None)
            ),
        )
        assert await query.all() == [
            (None, 7, 1, 2),
            (5, 1, 1, 2),
            (7, -3, 3, 5),
            (7, 0, 3, 5),
            (1, 0, 3, 5),
        ]

    async def test_aggregates_so_far_and_in_a_frame(self, sales: Database) -> None:
        total = fn.sum(Sale.amount)
        assert await column(total.over(order_by=Sale.id)) == [5, 12, 19, 20, 17]
        assert await column(total.over(order_by=Sale.id, rows=(-1, 1))) == [12, 19, 15, 5, -2]
        assert await column(total.over(order_by=Sale.id, rows=(1, None))) == [12, 5, -2, -3, None]
        assert await column(total.over(order_by=Sale.shop, range=(None, 0))) == [12, 12, 17, 17, 17]
        positive = fn.count().filter(Sale.amount > 4).over(partition_by=Sale.shop)
        assert await column(positive) == [2, 2, 1, 1, 1]

    async def test_windows_are_filtered_in_a_query_around(self, sales: Database) -> None:
        place = fn.row_number().over(partition_by=Sale.shop, order_by=Sale.amount.desc())
        best = Sale.query().select(Sale.id, place).subquery("best")

        found = await best.query().where(best[place] == 1).order_by(best[Sale.id]).all()
        assert found == [(2, 1), (3, 1)]

    async def test_mistakes_are_told(self) -> None:
        for frame in ((1, 0), (0, "1; DROP TABLE sales"), (1,), (True, None), 3):
            with pytest.raises(QueryError, match=r"frame|counted"):
                fn.count().over(order_by=Sale.id, rows=frame)  # type: ignore[arg-type]
        with pytest.raises(QueryError, match="one frame"):
            fn.count().over(rows=(0, 0), range=(0, 0))
        with pytest.raises(QueryError, match="take the other one"):
            fn.lag(Sale.id, -1)
        with pytest.raises(QueryError, match="one part at least"):
            fn.ntile(0)


class TestFunctions:
    async def test_text(self, sales: Database) -> None:
        note = Sale.note
        assert await value(fn.lower(note)) == " yy "
        assert await value(fn.upper(note)) == " YY "
        assert await value(fn.trim(note)) == "yY"
        assert (await value(fn.ltrim(note)), await value(fn.rtrim(note))) == ("yY ", " yY")
        assert await value(fn.length(note)) == 4
        assert await value(fn.substr(note, 2)) == "yY "
        assert await value(fn.substr(note, 2, 1)) == "y"
        assert await value(fn.replace(note, "y", "zz")) == " zzY "
        assert await value(fn.concat(note, "-", Sale.shop)) == " yY -b"
        assert await value(fn.length(note + "é😀")) == 6
        assert await value(fn.lower(note), id=1) is None
        assert await value(fn.concat(note, "x"), id=1) is None

    async def test_numbers(self, sales: Database) -> None:
        weight, five = Sale.weight, 5
        assert await value(fn.abs(Sale.amount), id=five) == 3
        assert await value(fn.round(weight * 1.111, 2)) == 3.89
        assert await value(fn.round(weight)) == 4.0
        assert (await value(fn.floor(weight)), await value(fn.ceil(weight))) == (3, 4)
        assert await value(fn.floor(weight), id=five) == -2
        assert await value(fn.ceil(weight), id=five) == -1
        assert await value(fn.floor(Sale.amount)) == 7
        assert await value(Sale.amount % 4) == 3
        assert await value(Sale.amount / 2) == 3.5
        numbers = await column(fn.random())
        assert all(0 <= each < 1 for each in numbers)
        assert len(set(numbers)) > 1

    async def test_choices(self, sales: Database) -> None:
        assert await column(fn.coalesce(Sale.note, "-")) == ["-", "x", " yY ", "-", "x"]
        assert await column(fn.coalesce(Sale.note, fn.nullif(Sale.shop, "a"), "?")) == [
            *("?", "x", " yY ", "b", "x")
        ]
        size = fn.case((Sale.amount > 6, "large"), (Sale.amount > 0, "small"), else_="none")
        assert await column(size) == ["small", "large", "large", "small", "none"]
        assert await column(fn.case((Sale.amount > 6, Sale.amount * 10))) == [
            None,
            70,
            70,
            None,
            None,
        ]
        assert await column(fn.case((Sale.paid == True, 1), else_=0)) == [0, 0, 0, 1, 1]  # noqa: E712
        assert await column(fn.greatest(Sale.amount, 2, Sale.id)) == [5, 7, 7, 4, 5]
        assert await column(fn.least(Sale.amount, 2)) == [2, 2, 2, 1, -3]
        assert await value(fn.greatest(Sale.note, "a"), id=1) is None

    async def test_values_that_stand_for_themselves(self, sales: Database) -> None:
        for each in (3, "x'; --", 2.5, True, b"\x00", UUID(int=3), date(1999, 1, 2), Mood.BAD):
            assert await value(fn.value(each)) == each
        moment = datetime(2000, 1, 1, 3, tzinfo=timezone(timedelta(hours=3)))
        assert await value(fn.value(moment)) == moment

    async def test_casts(self, sales: Database) -> None:
        assert await value(fn.cast(Sale.amount, str)) == "7"
        assert await value(fn.cast(Sale.amount, float)) == 7.0
        assert await value(fn.cast(Sale.weight, int)) == 3
        assert await value(fn.cast(Sale.weight, int), id=5) == -1
        assert await value(fn.cast(fn.substr(fn.concat(Sale.shop, "12"), 2), int)) == 12
        assert await value(fn.cast(Sale.at, date)) == date(2024, 5, 17)
        with pytest.raises(QueryError, match="does not cast to interval"):
            await value(fn.cast(Sale.amount, timedelta))

    async def test_parts_of_dates(self, sales: Database) -> None:
        parts: dict[Any, int] = {
            "year": 2024,
            "quarter": 2,
            "month": 5,
            "week": 20,
            "day": 17,
            "weekday": 5,
            "yearday": 138,
        }
        for part, expected in parts.items():
            assert (await value(fn.date_part(part, Sale.at)), part) == (expected, part)
            assert (await value(fn.date_part(part, Sale.day)), part) == (expected, part)
        assert await value(fn.date_part("hour", Sale.at)) == 13
        assert await value(fn.date_part("minute", Sale.at)) == 45
        assert await value(fn.date_part("second", Sale.at)) == 59
        assert await value(fn.date_part("epoch", Sale.at)) == 1715953559
        sale = await Sale.get(3)
        for year in range(2018, 2030):
            for day in (date(year, 1, 1), date(year, 1, 3), date(year, 12, 30)):
                sale.day = day
                await sale.save()
                assert await value(fn.date_part("week", Sale.day)) == day.isocalendar().week
                assert await value(fn.date_part("weekday", Sale.day)) == day.isoweekday()

    async def test_dates_cut(self, sales: Database) -> None:
        moments: dict[Any, datetime] = {
            "year": datetime(2024, 1, 1, tzinfo=UTC),
            "quarter": datetime(2024, 4, 1, tzinfo=UTC),
            "month": datetime(2024, 5, 1, tzinfo=UTC),
            "week": datetime(2024, 5, 13, tzinfo=UTC),
            "day": datetime(2024, 5, 17, tzinfo=UTC),
            "hour": datetime(2024, 5, 17, 13, tzinfo=UTC),
            "minute": datetime(2024, 5, 17, 13, 45, tzinfo=UTC),
            "second": datetime(2024, 5, 17, 13, 45, 59, tzinfo=UTC),
        }
        for part, expected in moments.items():
            assert await value(fn.date_trunc(part, Sale.at)) == expected
            if part not in ("hour", "minute", "second"):
                assert await value(fn.date_trunc(part, Sale.day)) == expected.date()
        month = fn.date_trunc("month", Sale.at)
        assert await Sale.query().group_by(month).select(month, fn.count()).all() == [
            (datetime(2024, 5, 1, tzinfo=UTC), 5)
        ]

    async def test_the_time_of_the_database(self, sales: Database) -> None:
        found = await value(fn.now())
        assert abs(found - datetime.now(UTC)) < timedelta(minutes=1)
        assert await Sale.where(Sale.at < fn.now()).count() == 5

    async def test_any_other_function(self, sales: Database) -> None:
        assert await value(fn.func("abs", Sale.amount - 10, returns=int)) == 3
        assert await value(fn.func("nullif", Sale.shop, "b", returns=str)) is None
        for name in ("abs(1); --", "a b", "", "1a", 'x"', "é"):
            with pytest.raises(QueryError, match="cannot be a name"):
                fn.func(name, returns=int)

    async def test_mistakes_are_told(self) -> None:
        with pytest.raises(QueryError, match="no part 'eon'"):
            fn.date_part("eon", Sale.day)  # type: ignore[arg-type]
        with pytest.raises(QueryError, match="is cut to its"):
            fn.date_trunc("weekday", Sale.day)  # type: ignore[arg-type]
        with pytest.raises(QueryError, match="no hour"):
            fn.date_trunc("hour", Sale.day)
        with pytest.raises(QueryError, match="no date"):
            fn.date_part("year", Sale.id)  # type: ignore[arg-type]
        with pytest.raises(QueryError, match="counts from 1"):
            fn.substr(Sale.shop, 0)
        with pytest.raises(QueryError, match="digits after the point"):
            fn.round(Sale.weight, -1)
        with pytest.raises(QueryError, match="pairs"):
            fn.case()
        with pytest.raises(QueryError, match="pairs of a condition"):
            fn.case((True, 1))  # type: ignore[arg-type]
        with pytest.raises(QueryError, match="two or more"):
            fn.greatest(Sale.id)
        with pytest.raises(QueryError, match="stands in for the first"):
            fn.coalesce(Sale.note)  # type: ignore[call-overload]
