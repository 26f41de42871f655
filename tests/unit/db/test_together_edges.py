"""Where the parts meet: counts of what was built, numbers too large, tables that are left out, and tasks."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.unit.db.related import Group, Post, User, blog

from oxidite import Oxidite
from oxidite.concurrency import BackgroundTasks
from oxidite.db import (
    BelongsTo,
    Col,
    Database,
    Model,
    ModelError,
    NotLoadedError,
    OverlapError,
    QueryError,
    col,
    fn,
    rel,
)
from oxidite.db.connections.transaction import current_transaction
from oxidite.db.statements.repeats import Repeats
from oxidite.db.statements.watch import watchers
from oxidite.testing import Client, assert_no_repeats, assert_queries


class Shelf(Model, table="g_shelves"):
    id: Col[int] = col(pk=True, init=False)


class Book(Model, table="g_books"):
    id: Col[int] = col(pk=True, init=False)
    likes: Col[int | None] = col(default=None)
    stars: Col[int] = col(default=0, bits=16)
    shelf_id: Col[int] = col(references=Shelf.id)
    shelf: BelongsTo[Shelf] = rel()


class Wrong(Model, table="g_wrong"):
    id: Col[int] = col(pk=True, init=False)
    shelf_id: Col[int] = col(references="g_shelves.number")


@pytest.fixture
async def books(db: Database) -> None:
    await db.push(Shelf, Book)
    shelf = await Shelf.create()
    for likes in (None, -(2**63), 5, 2**63 - 1):
        await Book.create(likes=likes, shelf_id=shelf.id)


# Numbers beyond what a column holds.


@pytest.mark.parametrize("far", [2**63, 2**64, 10**30])
@pytest.mark.usefixtures("books")
async def test_a_number_beyond_a_column_is_larger_than_all(far: int) -> None:
    for condition, number in (
        (Book.likes >= far, 0),
        (Book.likes > far, 0),
        (Book.likes == far, 0),
        (Book.likes.in_([far]), 0),
        (Book.likes.in_([far, 5]), 1),
        (Book.likes.between(5, far), 2),
        (Book.likes < far, 3),
        (Book.likes <= far, 3),
        (Book.likes != far, 3),
        (~(Book.likes >= far), 3),
        (Book.likes.not_in([far, 5]), 2),
        (Book.likes <= -far - 1, 0),
        (Book.likes > -far - 1, 3),
        (Book.stars < 40_000, 4),
        (Book.stars.in_([0, 40_000]), 4),
        (Book.stars == -(2**15) - 1, 0),
        (Book.id == far, 0),
    ):
        assert await Book.where(condition).count() == number


async def test_a_client_that_gives_one_is_answered(db: Database, books: None) -> None:
    app = Oxidite()

    @app.get("/books")
    async def index(likes: int = 0) -> list[Book]:
        return await Book.where(Book.likes >= likes).all()

    async with Client(app) as client:
        answer = await client.get("/books", params={"likes": str(2**70)})
        assert (answer.status_code, answer.json()) == (200, [])
        assert len((await client.get("/books", params={"likes": "6"})).json()) == 1


# Tables.


async def test_a_table_that_is_left_out_is_named(db: Database) -> None:
    with pytest.raises(
        ModelError, match="refers to the table 'g_shelves', which is not among those"
    ):
        await db.push(Book)
    with pytest.raises(ModelError, match=r"g_shelves has no such column\. It has: id"):
        await db.push(Shelf, Wrong)
    await db.push(Book, Shelf)
    assert await Book.count() == 0


# What is counted, and how.


async def test_counts_of_every_kind_of_query(db: Database) -> None:
    await blog(db)
    counted = User.order_by(User.id).with_count(User.posts)
    for query in (
        counted,
        counted.limit(2),
        User.order_by(User.id).with_(User.posts).with_count(User.posts),
        User.query().join(Post, on=Post.author_id == User.id),
        User.query().join(Post, on=Post.author_id == User.id).distinct(),
        User.query().join(Post, on=Post.author_id == User.id).distinct().limit(1),
        Post.query().group_by(Post.author_id).select(Post.author_id, fn.count()),
        Post.query().group_by(Post.author_id).select(Post.author_id).having(fn.count() > 1),
        Post.query().select(fn.max(Post.score)),
        Post.query().select(Post.author_id).distinct(),
        Post.query().offset(3),
        User.where(User.name == "Ada").union(User.where(User.name == "Ben")),
        User.query().subquery("all_users").query(),
        User.where(User.name == "nobody").with_count(User.posts),
    ):
        rows = await query.all()
        assert await query.count() == len(rows)
        assert await query.exists() is bool(rows)


async def test_pages_of_every_kind_of_query(db: Database) -> None:
    await blog(db)
    counted = User.with_(User.groups).with_count(User.posts)
    page = await counted.page(size=2)
    assert [(user.name, number) for user, number in page.items] == [("Ada", 3), ("Ben", 1)]
    assert (page.total, page.pages, page.next) == (3, 2, 2)
    assert page.items[0][0].groups.value == []
    first = await counted.keyset(limit=2)
    assert [(user.name, number) for user, number in first.items] == [("Ada", 3), ("Ben", 1)]
    last = await counted.keyset(limit=2, after=first.next)
    assert [(user.name, number) for user, number in last.items] == [("Cyd", 0)]
    assert last.items[0][0].groups.value == []
    authors = Post.query().select(Post.author_id).distinct().order_by(Post.author_id)
    assert (await authors.page(size=1)).total == 2
    groups = Post.query().group_by(Post.author_id).select(Post.author_id, fn.count())
    found = await groups.order_by(Post.author_id).page(size=1, number=2)
    assert (found.items, found.total) == ([(2, 1)], 2)


async def test_one_keeps_to_a_limit_that_is_smaller(db: Database) -> None:
    await blog(db)
    assert (await Post.order_by(Post.id).limit(1).one()).id == 1
    assert await Post.query().limit(0).first() is None


# Relations however the rows are read.


async def test_what_is_loaded_with_rows_however_they_are_read(db: Database) -> None:
    await blog(db)
    query = User.order_by(User.id).with_(User.posts)
    first = await query.first()
    one = await User.where(User.name == "Ada").with_(User.posts).one()
    maybe = await User.where(User.name == "Ada").with_(User.posts).one_or_none()
    streamed = [each async for each in query.stream(chunk=2)]
    chunked = [each async for part in User.with_(User.posts).chunk(2) for each in part]
    page = (await query.page()).items
    for user in (first, one, maybe, streamed[0], chunked[0], page[0]):
        assert user is not None
        assert [each.title for each in user.posts.value] == ["Post 0", "Post 2", "Post 3"]
    for users in (streamed, chunked, page):
        assert [len(each.posts.value) for each in users] == [3, 1, 0]
    counts = [each async for each in query.with_count(User.posts).stream(chunk=1)]
    assert [(user.name, len(user.posts.value), n) for user, n in counts] == [
        ("Ada", 3, 3),
        ("Ben", 1, 1),
        ("Cyd", 0, 0),
    ]
    if db.dialect.interleaves:
        async with db.transaction():
            inside = [len(each.posts.value) async for each in query.stream(chunk=2)]
        assert inside == [3, 1, 0]
    else:
        with pytest.raises(OverlapError, match="must wait until all are read"):
            await _stream_inside(db)


async def _stream_inside(db: Database) -> None:
    async with db.transaction():
        async for _ in User.with_(User.posts).stream():
            raise AssertionError("nothing can be loaded meanwhile")


async def test_a_stream_knows_its_rows_and_is_strict(db: Database) -> None:
    await blog(db)
    with assert_queries(2):
        users = [each async for each in User.order_by(User.id).stream()]
        assert [len(await each.posts) for each in users] == [3, 1, 0]
    async for user in User.strict().stream():
        with pytest.raises(NotLoadedError, match="is not loaded"):
            await user.posts


async def test_what_cannot_be_loaded_is_refused(db: Database) -> None:
    await blog(db)
    for query in (User.with_(User.posts), User.query().with_count(User.posts)):
        with pytest.raises(QueryError, match="are about objects"):
            query.select(User.name)
    with pytest.raises(QueryError, match="are about objects"):
        User.query().select(User.name).with_(User.posts)  # type: ignore[arg-type]  # told by types too


# Who watches.


async def test_statements_of_every_kind_are_counted(db: Database) -> None:
    await blog(db)
    await User.get(1)
    with assert_queries(1):
        await User.get(1)
    with assert_queries(1):
        await asyncio.gather(*(User.get_or_none(key) for key in (1, 2, 3)))
    with assert_queries(1):
        await db.sql("SELECT 1").all()
    with assert_queries(1):
        assert [row async for row in db.sql("SELECT 1").stream()] == [(1,)]
    with assert_queries(1):
        assert len([each async for each in Group.query().stream()]) == 0
    with assert_queries(0):
        assert "SELECT" in User.query().sql().sql


async def test_a_loop_over_sql_or_gets_is_one(db: Database) -> None:
    await blog(db)

    async def loop_over_sql() -> None:
        for _ in range(3):
            await db.sql("SELECT 1").scalar()

    async def loop_over_gets() -> None:
        for key in (1, 2, 3):
            await User.get(key)

    for loop in (loop_over_sql, loop_over_gets):
        noted = assert_no_repeats()
        noted.__enter__()
        await loop()
        with pytest.raises(AssertionError, match="ran 3 times"):
            noted.__exit__(None, None, None)


async def test_repeats_of_gets_and_of_raw_sql_are_told(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await blog(db)
    repeats = Repeats(at=3)
    watchers.append(repeats)
    try:
        with caplog.at_level(logging.WARNING, "oxidite.db"):
            for _ in range(4):
                await User.get(1)
                await db.sql("SELECT 2").all()
    finally:
        watchers.remove(repeats)
    told = [each.getMessage() for each in caplog.records if "ran 3 times" in each.getMessage()]
    assert len(told) == 2
    assert ".with_(" in told[0]


# Tasks.


async def test_background_work_is_in_no_transaction_of_whoever_began_it(db: Database) -> None:
    await db.push(Shelf)
    seen: list[object] = []
    begun = asyncio.Event()

    async def work() -> None:
        seen.append(current_transaction(db))
        begun.set()

    async with BackgroundTasks() as background, db.transaction() as transaction:
        background.spawn(work())
        await begun.wait()
        assert current_transaction(db) is transaction
    assert seen == [None]


async def test_what_background_work_writes_stays_when_the_transaction_is_undone(
    db: Database,
) -> None:
    await db.push(Shelf)

    async def work() -> None:
        await Shelf.create()

    async def undone(background: BackgroundTasks) -> None:
        async with db.transaction():
            await Shelf.create()
            background.spawn(work())
            raise RuntimeError("undone")

    async with BackgroundTasks() as background:
        with pytest.raises(RuntimeError, match="undone"):
            await undone(background)
    assert await Shelf.count() == 1
