"""What a type checker makes of ranges and what is asked of them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import assert_type

from oxidite.db import Col, Model, Range, col
from oxidite.db.expressions.expressions import Condition, Expr


class Stay(Model, table="typed_stays"):
    id: Col[int] = col(pk=True, init=False)
    during: Col[Range[datetime]]
    nights: Col[Range[date] | None] = col(default=None)
    name: Col[str] = col(default="")
    at: Col[datetime]


def columns(stay: Stay, now: datetime) -> None:
    assert_type(stay.during, Range[datetime])
    assert_type(stay.nights, Range[date] | None)
    assert_type(stay.during.lower, datetime | None)
    assert_type(Stay.during.contains(now), Condition)
    assert_type(Stay.during.contains(Range(now, None)), Condition)
    assert_type(Stay.during.contains(Stay.at), Condition)
    assert_type(Stay.during.overlaps(stay.during), Condition)
    assert_type(Stay.during.overlaps(Stay.during), Condition)
    assert_type(Stay.nights.contained_by(Range(date(2026, 1, 1), date(2026, 2, 1))), Condition)
    assert_type(Stay.nights.is_empty(), Condition)
    assert_type(Stay.during.lower(), Expr[datetime, datetime | None])
    assert_type(Stay.nights.upper(), Expr[date, date | None])
    assert_type(Stay.name.lower(), Expr[str, str])
    assert_type(Stay.name.contains("a"), Condition)


def mistakes(now: datetime) -> None:
    Stay.during.contains("a")  # type: ignore[call-overload]  # no moment
    Stay.name.overlaps(Range(now, None))  # type: ignore[misc, arg-type]  # no range
    Stay.name.is_empty()  # type: ignore[misc]  # no range
    Range("a", "b")  # type: ignore[arg-type]  # no bounds


def values() -> None:
    assert_type(Range(1, 5), Range[int])
    assert_type(Range(Decimal(1), None), Range[Decimal])
    assert_type(Range(1, 5).intersection(Range(2, 3)), Range[int])
    assert_type(5 in Range(1, 5), bool)
