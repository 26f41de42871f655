"""Text that is the same in upper and lower case: in lists, queries inside of queries, upserts and pages."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from oxidite.db import Col, Database, Expr, Model, Order, QueryError, SoftDeletes, UniqueError, col

pytestmark = pytest.mark.anyio


class Guest(Model, SoftDeletes, table="caseless_guests"):
    id: Col[int] = col(pk=True, init=False)
    email: Col[str] = col(unique=True, ignore_case=True, max_length=60)
    visits: Col[int] = col(default=0)


class Letter(Model, table="caseless_letters"):
    id: Col[int] = col(pk=True, init=False)
    to: Col[str] = col(max_length=60)


class Word(Model, table="caseless_words"):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str | None] = col(ignore_case=True)
    other: Col[str] = col(ignore_case=True)
    rank: Col[int]


class Pair(Model, table="caseless_pairs"):
    left: Col[str] = col(pk=True, ignore_case=True, max_length=9)
    right: Col[str] = col(pk=True, ignore_case=True, max_length=9)


class Code(Model, table="caseless_codes"):
    code: Col[str] = col(pk=True, ignore_case=True, max_length=9)


async def test_a_list_is_in_lower_case_as_the_database_has_it(db: Database) -> None:
    await db.push(Guest)
    for email in ("Ann@x.org", "None", "\u00c9va@x.org"):
        await Guest.create(email=email)
    assert await Guest.where(Guest.email.in_(["aNN@X.org", "zoe@x.org"])).count() == 1
    assert await Guest.where(Guest.email.in_(["\u00c9va@x.org"])).count() == 1
    assert await Guest.where(Guest.email.not_in(["ANN@x.org", "\u00c9va@x.org"])).count() == 1
    assert await Guest.where(Guest.email.in_([])).count() == 0
    assert await Guest.where(Guest.email.not_in([])).count() == 3
    for wrong in ([None], "ann"):
        with pytest.raises(QueryError, match=r"None is no value|is one value"):
            Guest.email.in_(wrong)  # type: ignore[arg-type]


async def test_the_values_of_a_query_are_in_lower_case_too(db: Database) -> None:
    await db.push(Guest, Letter)
    for email in ("Ann@x.org", "ben@x.org", "cyd@x.org"):
        await Guest.create(email=email)
    first, second = await Letter.create(to="ANN@x.org"), await Letter.create(to="Ben@X.org")
    addresses = Letter.query().select(Letter.to)
    assert await Guest.where(Guest.email.in_(addresses)).count() == 2
    assert await Guest.where(Guest.email.not_in(addresses)).count() == 1
    both = (
        Letter.where(Letter.id == first.id)
        .select(Letter.to)
        .union(Letter.where(Letter.id == second.id).select(Letter.to))
    )
    assert await Guest.where(Guest.email.in_(both)).count() == 2


async def test_an_upsert_finds_the_row_in_any_case(db: Database) -> None:
    await db.push(Guest)
    ann = await Guest.create(email="Ann@x.org")
    done = await Guest.upsert(
        [Guest(email="aNN@x.org", visits=7), Guest(email="new@x.org")], on=[Guest.email]
    )
    assert [(each.id, each.email, each.visits) for each in done.updated] == [
        (ann.id, "Ann@x.org", 7)
    ]
    assert [each.email for each in done.inserted] == ["new@x.org"]
    with pytest.raises(QueryError, match="have the same email"):
        await Guest.upsert([Guest(email="Q@x.org"), Guest(email="q@X.org")], on=[Guest.email])
    done = await Guest.upsert(
        [Guest(email="Q@x.org"), Guest(email="q@X.org")], on=[Guest.email], update=[]
    )
    assert (len(done.inserted), len(done.skipped)) == (1, 1)
    found, is_new = await Guest.get_or_create(Guest(email="ANN@X.ORG"), on=[Guest.email])
    assert (found.id, is_new) == (ann.id, False)


async def test_what_seems_to_be_deleted_is_in_the_way_of_no_upsert(db: Database) -> None:
    await db.push(Guest)
    ann = await Guest.create(email="Ann@x.org")
    await ann.delete()
    done = await Guest.upsert([Guest(email="ann@X.org")], on=[Guest.email])
    assert len(done.inserted) == 1
    with pytest.raises(UniqueError) as caught:
        await ann.restore()
    assert [(each.pointer, each.code) for each in caught.value.errors] == [("/email", "unique")]
    assert ann.deleted_at is not None


ORDERS: Sequence[tuple[Order | Expr[Any, Any], ...]] = [
    (Word.text, Word.id.desc()),
    (Word.other, Word.id.desc()),
    (Word.other.desc(), Word.text.asc(nulls_first=True), Word.rank.desc()),
    (Word.other, Word.rank),
]


@pytest.mark.parametrize("number", range(len(ORDERS)))
async def test_each_row_is_on_one_page(db: Database, number: int) -> None:
    await db.push(Word)
    chance = random.Random(3)
    for _ in range(30):
        await Word.create(
            text=chance.choice(["a", "A", "b", "B", None]),
            other=chance.choice("aAbB"),
            rank=chance.randrange(3),
        )
    query = Word.order_by(*ORDERS[number])
    expected = [each.id for each in (await query.page(size=100)).items]
    page = await query.keyset(limit=4)
    forth = [each.id for each in page.items]
    while page.next is not None:
        page = await query.keyset(after=page.next, limit=4)
        forth += [each.id for each in page.items]
    back = [each.id for each in page.items]
    while page.previous is not None:
        page = await query.keyset(after=page.previous, limit=4)
        back = [*(each.id for each in page.items), *back]
    assert forth == back == expected


async def test_the_parts_of_a_table_have_each_row_once(db: Database) -> None:
    await db.push(Pair)
    await Pair.create_many([Pair(left=left, right=right) for left in "aAbB" for right in "xXyY"])
    rows = [each async for part in Pair.query().chunk(3) for each in part]
    assert len(rows) == len({(each.left, each.right) for each in rows}) == 16


async def test_a_key_is_found_in_any_case_alone_and_with_others(db: Database) -> None:
    await db.push(Code)
    await Code.create(code="abc")
    found = await asyncio.gather(*(Code.get(each) for each in ("ABC", "abc", "Abc")))
    assert [each.code for each in found] == ["abc"] * 3
