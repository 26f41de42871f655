"""Pages: cursors that cannot be made up, every row once in both directions, numbered pages."""

from __future__ import annotations

import dataclasses
import enum
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from oxidite.db import (
    Col,
    CursorPage,
    Database,
    Expr,
    InvalidCursorError,
    Model,
    Order,
    QueryError,
    Select,
    SoftDeletes,
    col,
)
from oxidite.db.queries.keyset import Keyset
from oxidite.security.signing import Signer, Signers


class Size(enum.Enum):
    SMALL = "a"
    LARGE = "b"


class Item(Model, SoftDeletes, table="paged_items"):
    id: Col[int] = col(pk=True, init=False)
    group: Col[str] = col(name="group_name")
    rank: Col[int | None] = col(default=None)
    score: Col[float | None] = col(default=None)
    price: Col[Decimal] = col(default=Decimal(1))
    made: Col[datetime] = col(default=datetime(2026, 1, 1, tzinfo=UTC))
    key: Col[UUID] = col(default=UUID(int=7))
    size: Col[Size] = col(default=Size.SMALL)
    note: Col[str] = col(default="", hidden=True)
    tags: Col[list[int]] = col(json=True, default_factory=list)


class Pair(Model, table="paged_pairs"):
    left: Col[int] = col(pk=True)
    right: Col[str] = col(pk=True)


ORDERS: Sequence[tuple[Order | Expr[Any, Any], ...]] = [
    (),
    (Item.rank,),
    (Item.rank.desc(),),
    (Item.rank.asc(nulls_first=True),),
    (Item.rank.asc(nulls_first=False),),
    (Item.rank.desc(nulls_first=True),),
    (Item.rank.desc(nulls_first=False),),
    (Item.group, Item.rank.desc(nulls_first=True), Item.score),
    (Item.score.desc(), Item.group.asc(), Item.rank.asc(nulls_first=False)),
    (Item.group.desc(), Item.id.desc()),
    (Item.group, Item.id.desc()),
    (Item.made.desc(), Item.key, Item.size.desc(), Item.price),
]


async def filled(db: Database, count: int = 43) -> list[Item]:
    """Rows with few different values, so that there are ties, and NULLs."""
    await db.push(Item)
    chance = random.Random(count)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        await Item.create(
            group=chance.choice("abc"),
            rank=chance.choice([None, None, -1, 0, 1]),
            score=chance.choice([None, 0.1, 1e300, -2.5]),
            price=Decimal(chance.choice(["1.10", "2.20"])),
            made=start + timedelta(microseconds=chance.randrange(3)),
            key=UUID(int=chance.randrange(3)),
            size=chance.choice(list(Size)),
        )
        for _ in range(count)
    ]


async def walk(query: Select[Item], cursor: str | None, limit: int) -> list[list[Item]]:
    """Follow ``next`` to the end."""
    pages = []
    while True:
        page = await query.keyset(after=cursor, limit=limit)
        pages.append(page.items)
        if page.next is None:
            return pages
        cursor = page.next


async def walk_back(query: Select[Item], cursor: str | None, limit: int) -> list[list[Item]]:
    """Follow ``previous`` to the beginning; the pages in the order of the list."""
    pages: list[list[Item]] = []
    while cursor is not None:
        page = await query.keyset(after=cursor, limit=limit)
        pages.insert(0, page.items)
        cursor = page.previous
    return pages


@pytest.mark.parametrize("number", range(len(ORDERS)))
async def test_every_row_comes_once_in_both_directions(db: Database, number: int) -> None:
    rows = await filled(db)
    query = Item.query().order_by(*ORDERS[number])
    # Ties go by the key, in the direction of the last column.
    descending = any(isinstance(each, Order) and each.descending for each in ORDERS[number][-1:])
    everything = await query.order_by(Item.id.desc() if descending else Item.id).all()
    for limit in (1, 4, 43, 100):
        pages = await walk(query, None, limit)
        seen = [row.id for each in pages for row in each]
        assert sorted(seen) == sorted(row.id for row in rows)
        assert all(len(page) == limit for page in pages[:-1])
        assert pages[-1]
        # From the last page back to the first: the same rows in the same order.
        last = await query.keyset(limit=limit)
        while last.next is not None:
            last = await query.keyset(after=last.next, limit=limit)
        before = await walk_back(query, last.previous, limit)
        back = [row.id for page in before for row in page] + [row.id for row in last.items]
        assert back == seen
        assert seen == [row.id for row in everything]


async def test_rows_that_come_and_go_move_nothing(db: Database) -> None:
    rows = await filled(db, 30)
    query = Item.order_by(Item.group, Item.rank.desc(nulls_first=True))
    chance = random.Random(4)
    wanted, gone = {row.id for row in rows}, set[int]()
    seen: list[int] = []
    page = await query.keyset(limit=3)
    while True:
        seen += [row.id for row in page.items]
        await Item.create(group=chance.choice("abc"), rank=chance.choice([None, 0, 5]))
        # The row that the cursor was made of may go, too.
        if chance.random() < 0.4:
            await page.items[-1].force_delete()
            gone.add(page.items[-1].id)
        if page.next is None:
            break
        page = await query.keyset(after=page.next, limit=3)
    assert len(seen) == len(set(seen))
    assert wanted <= set(seen)
    assert gone <= set(seen)


async def test_a_whole_key_makes_the_order_whole(db: Database) -> None:
    await db.push(Pair)
    for left in range(3):
        for right in "xyz":
            await Pair.create(left=left, right=right)
    found: list[tuple[int, str]] = []
    cursor: str | None = None
    while True:
        page = await Pair.order_by(Pair.left.desc()).keyset(after=cursor, limit=2)
        found += [(row.left, row.right) for row in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert found == sorted(found, reverse=True)
    assert len(found) == 9


async def test_columns_that_are_selected_have_pages(db: Database) -> None:
    await filled(db, 7)
    query = Item.order_by(Item.group.desc()).select(Item.group, Item.id)
    first = await query.keyset(limit=4)
    rest = await query.keyset(after=first.next, limit=4)
    assert [*first.items, *rest.items] == await query.order_by(Item.id.desc()).all()


async def test_a_comparison_that_is_written_out_finds_the_same(db: Database) -> None:
    """For a database that makes nothing of comparing rows."""
    await filled(db, 20)
    query = Item.order_by(Item.group, Item.made)
    cursor = (await query.keyset(limit=6)).next
    found = []
    for compares_rows in (True, False):
        dialect = dataclasses.replace(db.dialect, compares_rows=compares_rows)
        page = Keyset(
            query.statement, dialect, db.signers, after=cursor, limit=5, parameter="after"
        )
        statement = msgspec.structs.replace(query.statement, **page.changes())
        found.append((statement.key(), page.page(await Select[Item](statement).all()).items))
    (one_key, one), (other_key, other) = found
    assert one_key != other_key
    assert [row.id for row in one] == [row.id for row in other]


async def test_one_plan_serves_all_the_pages(db: Database) -> None:
    await filled(db, 20)
    query = Item.order_by(Item.group)
    page = await query.keyset(limit=2)
    page = await query.keyset(after=page.next, limit=2)
    count = len(db.plans)
    for limit in (3, 4, 5):
        page = await query.keyset(after=page.next, limit=limit)
    assert len(db.plans) == count


async def test_a_cursor_of_another_list_is_refused(db: Database) -> None:
    await filled(db, 5)
    cursor = (await Item.order_by(Item.group).keyset(limit=2)).next
    assert cursor is not None
    others = [
        Item.order_by(Item.group.desc()),
        Item.order_by(Item.rank),
        Item.order_by(Item.group, Item.rank),
        Item.where(Item.id > 2).order_by(Item.group),
        Item.query().with_deleted().order_by(Item.group),
    ]
    for other in others:
        with pytest.raises(InvalidCursorError, match="another list"):
            await other.keyset(after=cursor)
    # Other values in the conditions are the same list to a cursor: they are no part of the place.
    query = Item.where(Item.id > 0).order_by(Item.group)
    cursor = (await query.keyset(limit=2)).next
    await Item.where(Item.id > 1).order_by(Item.group).keyset(after=cursor)


async def test_a_cursor_that_was_changed_is_refused(db: Database) -> None:
    await filled(db, 5)
    query = Item.order_by(Item.id)
    cursor = (await query.keyset(limit=2)).next
    assert cursor is not None
    own = Signer("another secret of somebody", salt="oxidite.db.cursor")
    value, _, rest = cursor.partition(".")
    bad = [
        *("", ".", "...", "x", "é", "\0", "2", "'; DROP TABLE paged_items; --", cursor[:-1]),
        *(cursor + "A", "A" + cursor, f"{value[:-4]}AAAA.{rest}", cursor * 400),
        own.sign(msgspec.msgpack.encode([b"x", False, [1]])),
    ]
    for each in bad:
        with pytest.raises(InvalidCursorError):
            await query.keyset(after=each)


async def test_what_was_signed_for_something_else_is_no_cursor(db: Database) -> None:
    await filled(db, 3)
    secret = "a secret with more than sixteen bytes"
    db.use_signers(Signers(lambda salt: Signer(secret, salt=salt)))
    for value in (b"", b"\xc1", msgspec.msgpack.encode([b"x", False, [1]])):
        with pytest.raises(InvalidCursorError):
            await Item.order_by(Item.id).keyset(after=Signer(secret, salt="other").sign(value))
        with pytest.raises(InvalidCursorError):
            await Item.order_by(Item.id).keyset(
                after=Signer(secret, salt="oxidite.db.cursor").sign(value)
            )


async def test_processes_with_one_secret_know_each_others_cursors(db: Database) -> None:
    await filled(db, 5)
    db.use_signers(Signers(lambda salt: Signer("one secret of two", salt=salt)))
    cursor = (await Item.order_by(Item.id).keyset(limit=2)).next
    db.use_signers(Signers(lambda salt: Signer("one secret of two", salt=salt)))
    assert len((await Item.order_by(Item.id).keyset(after=cursor)).items) == 3
    db.use_signers(Signers(lambda salt: Signer("the other secret of two", salt=salt)))
    with pytest.raises(InvalidCursorError):
        await Item.order_by(Item.id).keyset(after=cursor)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Item.order_by(Item.group.lower()), "plain values"),
        (Item.order_by(Item.tags), "plain values"),
        (Item.order_by(Item.note), "is hidden"),
        (Item.query().limit(3), "limit= of its own"),
        (Item.query().distinct(), "Use page"),
        (Item.order_by(Pair.left), "another table"),
        (Item.query().select(Item.group), "select\\(\\) has to have it"),
    ],
)
async def test_what_has_no_place_in_an_order_is_refused(
    db: Database, query: Select[Any], message: str
) -> None:
    with pytest.raises(QueryError, match=message):
        await query.keyset()


async def test_limits_are_cut(db: Database) -> None:
    await filled(db, 12)
    assert len((await Item.query().keyset(limit=10**9, max_limit=5)).items) == 5
    assert len((await Item.query().keyset(limit=-3)).items) == 1
    assert len((await Item.query().page(size=10**9, max_size=5)).items) == 5
    assert len((await Item.query().page(size=0, number=-1)).items) == 1
    assert (await Item.query().page(number=2**70)).items == []


async def test_a_page_is_encoded_as_it_is(db: Database) -> None:
    await db.push(Pair)
    await Pair.create(left=1, right="x")
    page = await Pair.query().keyset()
    assert msgspec.json.encode(page) == (
        b'{"items":[{"left":1,"right":"x"}],"next":null,"previous":null}'
    )
    assert isinstance(page, CursorPage)


async def test_numbered_pages_have_totals(db: Database) -> None:
    rows = await filled(db, 11)
    await rows[0].delete()  # it seems to be: no page has it
    query = Item.order_by(Item.group)
    first = await query.page(size=4)
    assert (first.number, first.size, first.total, first.pages) == (1, 4, 10, 3)
    assert (first.next, first.previous) == (2, None)
    last = await query.page(number=3, size=4)
    assert (last.next, last.previous, len(last.items)) == (None, 2, 2)
    uncounted = await query.page(number=2, size=4, total=False)
    assert (uncounted.total, uncounted.pages, uncounted.next) == (None, None, 3)
    seen = [row.id for page in (first, uncounted, last) for row in page.items]
    assert sorted(seen) == sorted(row.id for row in rows[1:])
    empty = await Item.where(Item.group == "none").page()
    assert (empty.total, empty.pages, empty.items, empty.next) == (0, 0, [], None)


async def test_an_empty_list_has_no_cursors(db: Database) -> None:
    await db.push(Item)
    assert await Item.query().keyset() == CursorPage(items=[])


async def test_a_page_beyond_the_end_is_empty(db: Database) -> None:
    rows = await filled(db, 4)
    first = await Item.order_by(Item.id).keyset(limit=2)
    for row in rows[2:]:
        await row.force_delete()
    page = await Item.order_by(Item.id).keyset(after=first.next)
    assert (page.items, page.next, page.previous) == ([], None, None)


class Writer(Model, table="paged_writers"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]


class Note(Model, table="paged_notes"):
    id: Col[int] = col(pk=True, init=False)
    writer_id: Col[int | None] = col(default=None)


@pytest.mark.parametrize("nulls_first", [None, True, False])
@pytest.mark.parametrize("descending", [True, False])
async def test_what_an_outer_join_does_not_find_has_its_place(
    db: Database, descending: bool, nulls_first: bool | None
) -> None:
    await db.push(Writer, Note)
    for name in "xyz":
        await Writer.create(name=name)
    chance = random.Random(3)
    for _ in range(20):
        await Note.create(writer_id=chance.choice([1, 2, 3, None, 99]))
    order = Writer.name.desc if descending else Writer.name.asc
    query = (
        Note.query()
        .left_join(Writer, on=Writer.id == Note.writer_id)
        .select(Note.id, Writer.name.optional())
        .order_by(order(nulls_first=nulls_first))
    )
    last = Note.id.desc() if descending else Note.id.asc()
    expected = await query.order_by(order(nulls_first=nulls_first), last).all()
    found: list[tuple[int, str | None]] = []
    after: str | None = None
    while len(found) < 20:
        page = await query.keyset(after=after, limit=3)
        found += page.items
        after = page.next
    assert found == expected
    assert after is None
