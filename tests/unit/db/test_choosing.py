"""Orders and conditions that a client names."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from oxidite.db import Col, Column, Database, Model, QueryError, col, filter_by, fn, sort_by
from oxidite.errors import ValidationError


class Member(Model, table="members"):
    id: Col[int] = col(pk=True)
    name: Col[str]
    age: Col[int]
    active: Col[bool] = col(default=True)
    since: Col[date] = col(default=date(2024, 1, 1))
    secret: Col[str] = col(default="x", hidden=True)
    blob: Col[bytes] = col(default=b"")


ALLOWED: list[Column[Any, Any]] = [Member.name, Member.age, Member.active, Member.since]


@pytest.fixture
async def members(db: Database) -> Database:
    await db.push(Member)
    for id, name, age in ((1, "Ben", 30), (2, "Ann", 30), (3, "cat", 20)):
        await Member.create(id=id, name=name, age=age, active=age > 20)
    return db


async def test_orders_by_name(members: Database) -> None:
    async def ids(text: str | None) -> list[int]:
        orders = sort_by(text, allow=ALLOWED, default=[Member.id])
        return [member.id for member in await Member.order_by(*orders).all()]

    assert await ids("-age,name") == [2, 1, 3]
    assert await ids("age, -name") == [3, 1, 2]
    assert await ids(None) == await ids("") == [1, 2, 3]


async def test_names_may_be_others_and_of_expressions(members: Database) -> None:
    orders = sort_by("-title", allow={"title": fn.lower(Member.name)})
    assert [m.id for m in await Member.order_by(*orders).all()] == [3, 1, 2]


@pytest.mark.parametrize(
    "text", ["secret", "-secret", "age;DROP TABLE members", "nope", "--age", ","]
)
async def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        sort_by(text, allow=ALLOWED, parameter="order")
    (error,) = caught.value.errors
    assert (error.source, error.name, error.code) == ("query", "order", "unknown")
    assert error.message.endswith("There are: name, age, active, since")


async def test_a_long_text_makes_no_long_answer() -> None:
    with pytest.raises(ValidationError) as caught:
        sort_by(",".join(["x" * 10_000] * 100), allow=ALLOWED)
    assert len(str(caught.value.errors)) < 500
    with pytest.raises(ValidationError, match="1 error"):
        sort_by("age,-age", allow=ALLOWED)


async def test_conditions_by_name(members: Database) -> None:
    async def ids(values: dict[str, str | list[str]]) -> list[int]:
        query = Member.where(*filter_by(values, allow=ALLOWED)).order_by(Member.id)
        return [member.id for member in await query.all()]

    assert await ids({"age": "30"}) == [1, 2]
    assert await ids({"age": "30", "name": "Ann"}) == [2]
    assert await ids({"active": "false"}) == [3]
    assert await ids({"name": ["Ann", "cat", "' OR 1=1 --"]}) == [2, 3]
    assert await ids({"since": "2024-01-01"}) == [1, 2, 3]
    assert await ids({}) == [1, 2, 3]


async def test_all_that_is_wrong_is_told() -> None:
    with pytest.raises(ValidationError) as caught:
        filter_by({"age": "x", "secret": "x", "since": "soon"}, allow=ALLOWED)
    assert [(each.name, each.code) for each in caught.value.errors] == [
        ("age", "type"),
        ("secret", "unknown"),
        ("since", "type"),
    ]


async def test_mistakes_of_the_program() -> None:
    with pytest.raises(QueryError, match="is empty"):
        sort_by("age", allow=[])
    with pytest.raises(QueryError, match="cannot be compared with text"):
        filter_by({"blob": "x"}, allow=[Member.blob])
