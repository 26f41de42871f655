"""Functions whose tags are what they read of the database: what they depend on, and when they hear of it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.unit.cache.bookshop import Author, Book, Placing, Shelf, furnish
from tests.unit.cache.stores import Remote
from tests.unit.db.conftest import database_url

from oxidite.cache import Cache, reads
from oxidite.cache.recording import table_tags
from oxidite.cache.tracking import record
from oxidite.concurrency import context_behind
from oxidite.db import Database
from oxidite.db.connections.notices import Changes, listeners
from oxidite.db.errors import ConstraintError, QueryError
from oxidite.db.models.affected import affected_rows
from oxidite.errors import BackendUnavailableError, ConfigError

Name = Callable[[int], Awaitable[str]]


@pytest.fixture(params=["file", pytest.param("postgresql", marks=pytest.mark.service("postgres"))])
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database_url(request.param, tmp_path) as url, Database.from_url(url) as db:
        await furnish(db)
        yield db


@pytest.fixture
def backend() -> Remote:
    return Remote()


@pytest.fixture
async def cache(backend: Remote) -> AsyncIterator[Cache]:
    async with Cache(backend, jitter=0.0) as cache:
        yield cache


def named(cache: Cache, calls: list[int] | None = None) -> Name:
    @cache.cached(track=True, key="named")
    async def name(number: int) -> str:
        if calls is not None:
            calls.append(number)
        found = await Author.get_or_none(number)
        return "nobody" if found is None else found.name

    return name


async def rename(number: int, name: str) -> None:
    author = await Author.get(number)
    author.name = name
    await author.save()


# What a function depends on


async def test_a_row_that_is_read_by_key_leaves_other_rows_alone(
    db: Database, cache: Cache
) -> None:
    calls: list[int] = []
    name = named(cache, calls)
    assert [await name(1), await name(2), await name(1)] == ["Ada", "Ben", "Ada"]
    await rename(1, "Eve")
    assert [await name(1), await name(2)] == ["Eve", "Ben"]
    assert calls == [1, 2, 1]
    await Author.where(Author.id.in_([1])).update(name="Ivy")
    await Author.create_many([Author(name="Cyd"), Author(name="Dan")])
    assert [await name(1), await name(2)] == ["Ivy", "Ben"]
    assert calls == [1, 2, 1, 1]
    await Author.where(Author.visits == 0).update(name="all")  # nobody knows which rows
    assert [await name(1), await name(2)] == ["all", "all"]


async def test_a_row_that_is_not_there_is_depended_on_too(db: Database, cache: Cache) -> None:
    name = named(cache)
    await name(3)
    assert await name(3) == "nobody"
    await Author.create(name="Cyd")  # the database makes the key
    assert await name(3) == "Cyd"
    await (await Author.get(3)).delete()
    assert await name(3) == "nobody"


async def test_rows_that_are_asked_for_at_once_belong_each_to_who_asked(
    db: Database, cache: Cache
) -> None:
    calls: list[int] = []
    name = named(cache, calls)
    assert await asyncio.gather(*(name(number) for number in (1, 2))) == ["Ada", "Ben"]
    await rename(2, "Bob")
    assert await asyncio.gather(*(name(number) for number in (1, 2))) == ["Ada", "Bob"]
    assert calls == [1, 2, 2]


async def test_tasks_of_a_function_and_a_batch_are_its_own(db: Database, cache: Cache) -> None:
    @cache.cached(track=True, key="together")
    async def together() -> list[str]:
        async with asyncio.TaskGroup() as group:
            first = group.create_task(Author.get(1))
        async with db.batch() as batch:
            second = batch.add(Author.get(2))
            books = batch.add(Book.count())
        return [first.result().name, second.value.name, str(books.value)]

    assert await together() == ["Ada", "Ben", "4"]
    await rename(1, "Eve")
    assert await together() == ["Eve", "Ben", "4"]
    await rename(2, "Bob")
    assert await together() == ["Eve", "Bob", "4"]
    await Book.create(title="new", author_id=1)
    assert await together() == ["Eve", "Bob", "5"]


async def test_what_is_read_of_another_table_is_not_depended_on(db: Database, cache: Cache) -> None:
    calls: list[int] = []
    name = named(cache, calls)
    await name(1)
    await Shelf.create(code="Z")
    await Book.where(Book.price > 0).update(price=3)
    await name(1)
    assert calls == [1]


async def test_its_own_tags_count_as_before(db: Database, cache: Cache) -> None:
    calls: list[int] = []

    @cache.cached(track=True, tags=lambda number: [f"author:{number}"], key="own")
    async def name(number: int) -> str:
        calls.append(number)
        return (await Author.get(number)).name

    await name(1)
    await cache.invalidate_tags("author:1")
    await name(1)
    await cache.invalidate_tags("table:t_authors")  # for who changes rows in ways that nobody hears
    await name(1)
    assert calls == [1, 1, 1]


async def test_many_rows_are_the_whole_table(db: Database, cache: Cache) -> None:
    await Author.create_many([Author(name=f"A{number}") for number in range(100)])

    @cache.cached(track=True, key="many")
    async def many() -> list[str]:
        return [(await Author.get(number)).name for number in range(1, 101)]

    await many()
    await rename(50, "Eve")
    assert (await many())[49] == "Eve"


async def test_who_depends_on_too_much_is_not_kept_and_that_is_logged(
    db: Database, cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    calls = 0

    @cache.cached(tags=lambda number: [f"n:{number}"], key="inner")
    async def inner(number: int) -> int:
        return number

    @cache.cached(track=True, key="outer")
    async def outer() -> int:
        nonlocal calls
        calls += 1
        return sum([await inner(number) for number in range(101)])

    @cache.cached(track=True, key="outermost")
    async def outermost() -> int:
        return await outer()

    assert await outermost() == await outermost() == 5050
    assert calls == 2
    assert "depends on 101 tags" in caplog.text


def test_tags_of_tables_meet_whoever_reads_and_whoever_changes() -> None:
    def read(keys: set[int] | None) -> set[str]:
        return set(table_tags({"t": keys}, is_read=True))

    def changed(keys: set[int] | None) -> set[str]:
        return set(table_tags({"t": keys}))

    for read_keys in ({1}, {1, 2}, None):
        for changed_keys in ({1}, {1, 3}, None):
            assert read(read_keys) & changed(changed_keys)
    assert not read({1}) & changed({2})


# When it hears


async def test_what_is_undone_is_not_told(db: Database, cache: Cache) -> None:
    calls: list[int] = []
    name = named(cache, calls)
    await name(1)
    await undone(db)
    async with db.transaction():
        await undone(db)  # a savepoint
    assert await name(1) == "Ada"
    assert calls == [1]


async def undone(db: Database) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with db.transaction():
            await rename(1, "Eve")
            raise ZeroDivisionError


async def test_it_is_told_after_the_commit_and_not_before(
    db: Database, cache: Cache, backend: Remote
) -> None:
    name = named(cache)
    await name(1)
    heard = []
    async with db.transaction() as transaction:
        await rename(1, "Eve")
        async with db.transaction():
            await rename(2, "Bob")
        assert backend.calls.count("invalidate") == 0
        transaction.on_commit(lambda: heard.append(backend.calls.count("invalidate")))
    assert heard == [1]  # once for all of it, and before what waits for the commit
    assert [await name(1), await name(2)] == ["Eve", "Bob"]


async def test_when_the_answer_to_a_commit_is_lost_it_is_told(
    db: Database, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = named(cache)
    await name(1)
    transaction = await (block := db.transaction()).__aenter__()
    await rename(1, "Eve")
    commit = transaction.connection.commit

    async def lost() -> None:
        await commit()
        raise BackendUnavailableError("The answer was lost.")

    monkeypatch.setattr(transaction.connection, "commit", lost)
    with pytest.raises(BackendUnavailableError):
        await block.__aexit__(None, None, None)
    monkeypatch.undo()
    assert await name(1) == "Eve"


async def test_when_the_answer_to_a_statement_is_lost_it_is_told(
    db: Database, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = named(cache)
    await name(1)
    author = await Author.get(1)
    author.name = "Eve"
    run = db._watch.run

    async def lost(*args: object) -> object:
        await run(*args)  # type: ignore[arg-type]  # as it is called
        raise BackendUnavailableError("The answer was lost.")

    monkeypatch.setattr(db._watch, "run", lost)
    with pytest.raises(BackendUnavailableError):
        await author.save()
    monkeypatch.undo()
    assert await name(1) == "Eve"


async def test_a_writer_that_is_cancelled_while_it_is_told_takes_nothing_along(
    db: Database, cache: Cache, backend: Remote
) -> None:
    name = named(cache)
    await name(1)
    gate = backend.gate("invalidate")
    writing = asyncio.ensure_future(rename(1, "Eve"))
    await gate.reached()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    gate.open()
    await asyncio.wait(cache._core.background._tasks)
    assert await name(1) == "Eve"


async def test_a_store_that_fails_fails_no_write(db: Database, backend: Remote) -> None:
    async with Cache(backend, raises=True) as cache:
        name = named(cache)
        await name(1)
        backend.is_down = True
        await rename(1, "Eve")
        backend.is_down = False
        assert await name(1) == "Eve"


async def test_a_write_that_the_database_refuses_is_no_trouble(db: Database, cache: Cache) -> None:
    name = named(cache)
    await name(1)
    with pytest.raises(ConstraintError):
        await Book.create(title="Ada 1", author_id=1)
    assert await name(1) == "Ada"


# Races: each interleaving is forced.


class Slow:
    """Reads an author, and can be held up after it was read."""

    def __init__(self) -> None:
        self.read = asyncio.Event()
        self.go_on = asyncio.Event()
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        found = (await Author.get(1)).name
        self.read.set()
        await self.go_on.wait()
        return found


def slowed(cache: Cache, slow: Slow) -> Callable[[], Awaitable[str]]:
    @cache.cached(track=True, key="slow")
    async def name() -> str:
        return await slow()

    return name


@pytest.mark.parametrize("is_local", [True, False])
async def test_what_was_read_before_a_change_does_not_survive_it(
    db: Database, cache: Cache, backend: Remote, is_local: bool
) -> None:
    slow = Slow()
    name = slowed(cache, slow)
    making = asyncio.ensure_future(name())
    await slow.read.wait()
    if is_local:
        await rename(1, "Eve")
    else:
        await elsewhere(db, backend)
    # Where it was heard of, who asks now waits for nobody who began before.
    asking = asyncio.ensure_future(name())
    slow.go_on.set()
    assert await making == "Ada"
    assert await asking == ("Eve" if is_local else "Ada")
    assert await name() == "Eve"
    async with Cache(backend, l1=None) as other:
        assert await slowed(other, slow)() == "Eve"


async def elsewhere(db: Database, backend: Remote) -> None:
    """Do as another process would, of which this one hears nothing."""
    async with db.driver.connection(write=True) as connection:
        await connection.run("UPDATE t_authors SET name = 'Eve' WHERE id = 1", ())
    await backend.invalidate(table_tags({"t_authors": {1}}), soft=False)


async def test_a_value_made_of_an_older_one_that_is_remembered_here_is_not_kept(
    db: Database, cache: Cache, backend: Remote
) -> None:
    inner = named(cache)

    @cache.cached(track=True, key="greeting")
    async def greeting() -> str:
        return f"Hello, {await inner(1)}!"

    await inner(1)
    assert await inner(1) == "Ada"
    assert cache._core.near.entries.weight == 1
    await elsewhere(db, backend)  # the message about it is late
    assert await greeting() == "Hello, Ada!"
    cache._core.lost()
    assert await greeting() == "Hello, Eve!"


async def test_a_value_made_of_one_that_another_was_making_before_is_not_kept(
    db: Database, cache: Cache, backend: Remote
) -> None:
    slow = Slow()
    inner = slowed(cache, slow)

    @cache.cached(track=True, key="greeting")
    async def greeting() -> str:
        return f"Hello, {await inner()}!"

    making = asyncio.ensure_future(inner())
    await slow.read.wait()
    await elsewhere(db, backend)  # the message about it is late
    claims = backend.calls.count("claim")
    asking = asyncio.ensure_future(greeting())
    await backend.until("claim", claims + 1)
    slow.go_on.set()
    assert await making == "Ada"
    assert await asking == "Hello, Ada!"
    assert await greeting() == "Hello, Eve!"


# One function in another


async def test_a_function_depends_on_what_those_in_it_depend_on(db: Database, cache: Cache) -> None:
    name = named(cache)

    @cache.cached(tags=["motd"], key="motd")
    async def motd() -> str:
        return messages[-1]

    messages = ["Welcome"]
    page_made = 0

    @cache.cached(track=True, key="page")
    async def page() -> str:
        nonlocal page_made
        page_made += 1
        return f"{await motd()}, {await name(1)}; {await cache.get('note', str)}"

    await cache.set("note", "x", tags=["notes"])
    for _ in range(2):  # what is in it is made, and then it is there
        await page()
        await cache.invalidate_tags("page")
        await page.invalidate()
    assert await page() == "Welcome, Ada; x"
    await rename(1, "Eve")
    assert await page() == "Welcome, Eve; x"
    messages.append("Hi")
    await cache.invalidate_tags("motd")
    assert await page() == "Hi, Eve; x"
    await cache.set("note", "y", tags=["notes"])
    await cache.invalidate_tags("notes")
    assert await page() == "Hi, Eve; None"
    made = page_made
    await page()
    assert page_made == made


async def test_a_function_that_does_not_track_is_a_value_of_its_own(
    db: Database, cache: Cache
) -> None:
    calls = 0

    @cache.cached(key="plain")
    async def plain() -> int:
        return await Author.count()

    @cache.cached(track=True, key="around")
    async def around() -> int:
        nonlocal calls
        calls += 1
        return await plain()

    await around()
    await Author.create(name="Cyd")
    assert await around() == 2  # as `plain` says, whether it was made there or not
    assert calls == 1


async def test_values_with_tags_of_another_cache_are_refused(db: Database, cache: Cache) -> None:
    async with Cache.from_url("memory://") as other:
        name = named(other)

        @cache.cached(track=True, key="mixed")
        async def mixed() -> str:
            return await name(1)

        with pytest.raises(ConfigError, match="another cache"):
            await mixed()


# Transactions


@pytest.mark.parametrize("track", [True, False])
async def test_what_is_not_committed_is_not_kept(db: Database, cache: Cache, track: bool) -> None:
    @cache.cached(track=track, key="in a transaction")
    async def name() -> str:
        return (await Author.get(1)).name

    with contextlib.suppress(ZeroDivisionError):
        async with db.transaction():
            await rename(1, "Eve")
            assert await name() == "Eve"
            assert await name.refresh() == "Eve"
            assert await cache.get_or_set("key", name, type=str) == "Eve"
            async with cache.entry("entry", str) as entry:
                entry.value = (await Author.get(1)).name
            raise ZeroDivisionError
    assert await name() == "Ada"
    assert await cache.get("key", str) is None
    assert await cache.get("entry", str) is None


async def test_a_transaction_sees_what_it_has_changed(db: Database, cache: Cache) -> None:
    name = named(cache)
    await name(1)
    async with db.transaction():
        assert await name(1) == "Ada"
        await rename(1, "Eve")
        assert await name(1) == "Eve"
        others = context_behind().run(asyncio.ensure_future, name(1))
        assert await others == "Ada"
    assert await name(1) == "Eve"


async def test_what_a_request_remembers_of_what_it_has_changed_is_forgotten(
    db: Database, cache: Cache
) -> None:
    name = named(cache)
    with cache.memo():
        assert await name(1) == "Ada"
        await rename(1, "Eve")
        assert await name(1) == "Eve"
        async with db.transaction():
            await rename(1, "Ivy")
        assert await name(1) == "Ivy"


# SQL of one's own


async def test_sql_has_to_say_what_it_reads(db: Database, cache: Cache) -> None:
    @cache.cached(track=True, key="by sql")
    async def total(is_said: bool) -> int:
        query = db.sql("SELECT sum(price) FROM t_books")
        if not is_said:
            return int(await query.scalar())
        with reads(Book, "t_Prices"):
            return int(await query.scalar())

    with pytest.raises(QueryError, match="with reads"):
        await total(is_said=False)
    assert await total(is_said=True) == 6
    await db.sql("UPDATE t_books SET price = 2").run()
    assert await total(is_said=True) == 8
    made = cache.counts.made
    await cache.invalidate_tags("table:t_prices")
    await total(is_said=True)
    assert cache.counts.made == made + 1
    with reads(Author):  # elsewhere it says nothing
        assert await db.sql("SELECT 1").scalar() == 1


async def test_a_stream_of_sql_has_to_as_well(db: Database, cache: Cache) -> None:
    @cache.cached(track=True, key="streamed sql")
    async def names() -> list[str]:
        return [name async for (name,) in db.sql("SELECT name FROM t_authors").stream()]

    with pytest.raises(QueryError, match="with reads"):
        await names()


def words(sql: str) -> Changes:
    changes = Changes()
    changes.add_sql(sql)
    return changes


@pytest.mark.parametrize(
    ("sql", "table"),
    [
        ('UPDATE "T_Authors" SET name = 1', "t_authors"),
        ('DELETE FROM "public"."t_books" USING x', "t_books"),
        ("INSERT INTO public.stats VALUES (1)", "stats"),
        ("TRUNCATE t_shelves", "t_shelves"),
        ("UPDATE `a`, `t_books` SET a.x = 1", "t_books"),
        ("MERGE INTO t_shelves USING t_books ON true", "t_shelves"),
        ("WITH gone AS (DELETE FROM t_books RETURNING *) SELECT * FROM gone", "t_books"),
        ("CALL tidy_up()", "t_books"),
        ("DO $$ BEGIN PERFORM tidy_up(); END $$", "t_books"),
    ],
)
def test_sql_that_writes_changes_what_it_names(sql: str, table: str) -> None:
    assert affected_rows(words(sql))[table] is None


def test_sql_that_deletes_changes_what_refers_to_that() -> None:
    found = affected_rows(words("DELETE FROM t_authors WHERE id = 1"))
    assert {"t_authors", "t_books", "t_placings"} <= found.keys()
    assert "t_books" not in affected_rows(words("INSERT INTO t_authors (name) VALUES ('x')"))
    assert not words("INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING").is_unknown


# Who hears


async def test_nobody_listens_who_was_not_asked_to(db: Database) -> None:
    async with Cache.from_url("memory://") as cache:
        cache.cached(key="plain")(Author.count)
        assert not listeners
        name = named(cache)
        assert len(listeners) == 1
        named(cache.namespace("other"))
        assert len(listeners) == 1
        await name(1)
    assert not listeners
    await rename(1, "Eve")
    async with cache:
        assert len(listeners) == 1
        assert await name(1) == "Eve"
    assert not listeners


async def test_a_process_that_only_writes_says_so(db: Database, backend: Remote) -> None:
    async with Cache(backend, l1=None) as reader:
        name = named(reader)
        await name(1)
    async with Cache(backend, track=True):
        await rename(1, "Eve")
    async with reader:
        assert await name(1) == "Eve"


async def test_what_is_left_running_is_not_recorded(db: Database, cache: Cache) -> None:
    named(cache)
    go_on = asyncio.Event()

    async def later() -> None:
        await go_on.wait()
        await Author.get(1)

    with record(cache._core) as recorder:
        left = asyncio.create_task(later())
        await Shelf.get("A")
    go_on.set()
    await left
    assert recorder.tags(()) == ("table:t_shelves", "table:t_shelves:A")


async def test_a_replica_that_is_behind_is_not_asked(tmp_path: Path, cache: Cache) -> None:
    primary, replica = tmp_path / "primary.db", tmp_path / "replica.db"
    async with Database.from_url(f"sqlite:///{primary}") as db:
        await furnish(db)
        async with db.driver.connection(write=True) as connection:
            await connection.run("PRAGMA wal_checkpoint(TRUNCATE)", ())
        shutil.copy(primary, replica)
        await rename(1, "Eve")
    async with Database.from_url(f"sqlite:///{primary}", replicas=[f"sqlite:///{replica}"]) as db:
        async with asyncio.timeout(10):
            while db.driver.route() != "replica":  # noqa: ASYNC110 - it is looked after by itself
                await asyncio.sleep(0)
        assert (await Author.get(1)).name == "Ada"
        assert await named(cache)(1) == "Eve"


async def test_links_are_rows_of_the_pivot(db: Database, cache: Cache) -> None:
    @cache.cached(track=True, key="placed")
    async def placed() -> list[str]:
        return sorted([each.title for each in await (await Shelf.get("A")).books])

    assert await placed() == ["Ada 1"]
    await (await Shelf.get("A")).books.attach(await Book.get(2), weight=3)
    assert await placed() == ["Ada 1", "Ada 2"]
    await Placing.where(Placing.weight == 3).delete()
    assert await placed() == ["Ada 1"]
