"""Connections to real databases: options, one statement for many, batches, locks, several databases."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from tests.unit.db.conftest import database_url

from oxidite import Oxidite
from oxidite.clock import perf
from oxidite.db import (
    Col,
    Database,
    DatabaseError,
    Later,
    LockTimeoutError,
    Model,
    PoolTimeoutError,
    QueryError,
    ReadOnlyError,
    RowNotFoundError,
    col,
    query_time,
)
from oxidite.db.connections.notices import Changes, Listener, Rows, listeners
from oxidite.db.database import open_databases
from oxidite.db.web import watch_queries
from oxidite.errors import ConfigError
from oxidite.instrument import Span, listen
from oxidite.testing import Client


class Thing(Model, table="things"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col()


class Keyed(Model, table="keyed"):
    id: Col[UUID] = col(pk=True, default_factory=uuid4)


class Named(Model, table="named"):
    name: Col[str] = col(pk=True)


class Elsewhere(Model, abstract=True, database="reports"):
    id: Col[int] = col(pk=True, init=False)


class Report(Elsewhere, table="reports", database="reports"):
    title: Col[str] = col()


@pytest.fixture
async def things(db: Database) -> list[Thing]:
    await db.push(Thing, Keyed, Named)
    return [await Thing.create(name=f"thing {n}") for n in range(20)]


class Statements:
    """Hears every statement."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def span_started(self, span: Span) -> None:
        self.seen.append(str(span.attributes["statement"]))

    def span_ended(self, span: Span, error: BaseException | None) -> None: ...

    def event(self, name: str, attributes: Mapping[str, object]) -> None: ...


class TestSameTick:
    async def test_rows_asked_for_at_once_are_one_statement(self, things: list[Thing]) -> None:
        ids = [thing.id for thing in things] + [things[3].id]
        random.shuffle(ids)
        with query_time() as time:
            found = await asyncio.gather(*(Thing.get(each) for each in ids))
        assert time.statements == 1
        assert time.seconds > 0
        assert [each.id for each in found] == ids
        assert all(each.name == f"thing {things.index(each)}" for each in found)

    async def test_each_gets_an_object_of_its_own(self, things: list[Thing]) -> None:
        one, two = await asyncio.gather(Thing.get(things[0].id), Thing.get(things[0].id))
        assert one == two
        one.name = "changed"
        assert two.name == "thing 0"
        await one.save()
        assert (await two.refresh()).name == "changed"

    async def test_one_after_the_other_are_statements_of_their_own(
        self, things: list[Thing]
    ) -> None:
        with query_time() as time:
            for thing in things[:3]:
                assert (await Thing.get(thing.id)).name == thing.name
        assert time.statements == 3

    async def test_what_is_not_there_harms_nobody(self, things: list[Thing]) -> None:
        one, none, two = await asyncio.gather(
            Thing.get(things[0].id),
            Thing.get(10**9),
            Thing.get_or_none(things[1].id),
            return_exceptions=True,
        )
        assert isinstance(one, Thing)
        assert isinstance(none, RowNotFoundError)
        assert two == things[1]

    async def test_a_wrong_key_harms_nobody(self, things: list[Thing]) -> None:
        found = await asyncio.gather(
            Thing.get(things[0].id),
            Thing.get(2**80),  # no number that a database has
            Thing.get(things[1].id),
            return_exceptions=True,
        )
        assert isinstance(found[1], QueryError | RowNotFoundError)
        assert [found[0], found[2]] == things[:2]

    @pytest.mark.parametrize("number", [0, 1, 5])
    async def test_one_that_is_cancelled_harms_nobody(
        self, things: list[Thing], number: int
    ) -> None:
        for turns in range(4):
            tasks = [asyncio.create_task(Thing.get(thing.id)) for thing in things[:6]]
            for _ in range(turns):
                await asyncio.sleep(0)
            tasks[number].cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(found.pop(number), asyncio.CancelledError)
            assert found == [each for n, each in enumerate(things[:6]) if n != number]

    async def test_keys_of_each_kind(self, db: Database, things: list[Thing]) -> None:
        keyed = [await Keyed.create() for _ in range(3)]
        named = [await Named.create(name=name) for name in ("a", "A", "é", "a ")]
        with query_time() as time:
            assert await asyncio.gather(*(Keyed.get(each.id) for each in keyed)) == keyed
            assert await asyncio.gather(*(Named.get(each.name) for each in named)) == named
        # Where a key that the database finds equal may be another one in Python, each is asked alone.
        assert time.statements == {"postgresql": 2, "sqlite": 4}.get(db.dialect.name, 7)

    async def test_more_than_fit_into_one(self, db: Database, things: list[Thing]) -> None:
        ids = [things[n % 20].id + (0 if n < 20 else 10_000 + n) for n in range(2500)]
        with query_time() as time:
            found = await asyncio.gather(*(Thing.get_or_none(each) for each in ids))
        assert time.statements == 3
        assert found[:20] == things
        assert set(found[20:]) == {None}


class TestBatch:
    async def test_answers_are_there_at_the_end(self, db: Database, things: list[Thing]) -> None:
        async with db.batch() as batch:
            number = batch.add(Thing.count())
            some = batch.add(Thing.where(Thing.name == "thing 3").all())
            with pytest.raises(QueryError, match="end of its block"):
                _ = number.value
        assert number.value == 20
        assert some.value == [things[3]]

    async def test_in_a_transaction_one_after_the_other(
        self, db: Database, things: list[Thing]
    ) -> None:
        async with db.transaction():
            await things[0].delete()
            async with db.batch() as batch:
                counts = [batch.add(Thing.count()) for _ in range(5)]
        assert [each.value for each in counts] == [19] * 5

    async def test_one_that_fails_leaves_the_others(
        self, db: Database, things: list[Thing]
    ) -> None:
        parts: list[Later[Any]] = []

        async def ask() -> None:
            async with db.batch() as batch:
                parts.extend((batch.add(Thing.get(10**9)), batch.add(Thing.count())))

        with pytest.raises(RowNotFoundError):
            await ask()
        assert parts[1].value == 20
        with pytest.raises(RowNotFoundError):
            _ = parts[0].value

    async def test_one_that_is_given_up_asks_nothing(
        self, db: Database, things: list[Thing]
    ) -> None:
        async def give_up() -> None:
            async with db.batch() as batch:
                batch.add(Thing.count())
                raise KeyError

        with query_time() as time, pytest.raises(KeyError):
            await give_up()
        assert time.statements == 0


async def test_queries_outside_of_a_transaction_may_run_at_once(
    db: Database, things: list[Thing]
) -> None:
    found = await asyncio.gather(*(Thing.where(Thing.id > 0).count() for _ in range(30)))
    assert found == [20] * 30
    assert all(pool.in_use == 0 for pool in db.stats.pools.values())


class TestLock:
    async def test_one_holder_at_a_time(self, db: Database) -> None:
        inside = most = 0

        async def work() -> None:
            nonlocal inside, most
            async with db.lock("import", timeout=10):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.001)
                inside -= 1

        await asyncio.gather(*(work() for _ in range(6)))
        assert most == 1

    async def test_it_is_waited_for_no_longer_than_said(self, db: Database) -> None:
        async with db.lock("import"):
            with pytest.raises(LockTimeoutError, match=r"'import' was not free within 0\.05 s"):
                async with db.lock("import", timeout=0.05):
                    pass
            async with db.lock("export", timeout=1):
                pass
        async with db.lock("import", timeout=1):
            pass
        assert all(pool.in_use == 0 for pool in db.stats.pools.values())

    async def test_it_ends_with_whatever_goes_wrong(self, db: Database) -> None:
        async def fail() -> None:
            async with db.lock("import"):
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        task = asyncio.create_task(_hold(db, "import"))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with db.lock("import", timeout=1):
            pass

    async def test_no_file_is_left_behind(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'app.db'}"
        async with Database.from_url(url) as db, db.lock("../import"):
            assert len(_locks(tmp_path)) == 1
        assert _locks(tmp_path) == []


def _locks(folder: Path) -> list[Path]:
    return list(folder.glob("app.db-lock-*"))


async def _hold(db: Database, name: str) -> None:
    async with db.lock(name):
        await asyncio.Event().wait()


class TestOptions:
    def test_they_are_of_the_url_and_of_the_call(self, tmp_path: Path) -> None:
        db = Database.from_url("sqlite:///app.db?pool_size=2&slow=0.5", pool_timeout=3)
        assert db.options.slow == 0.5
        assert db.stats.pools["readers"].size == 2

    @pytest.mark.parametrize("url", ["sqlite:///app.db", "postgresql://localhost/app"])
    def test_one_that_nobody_knows_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigError, match=r"'pool_sise'.* Did you mean pool_size\?"):
            Database.from_url(url, pool_sise=3)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ("pool_size=many", "pool_size=many: a whole number"),
            ("pool_size=0", "one connection at least"),
            ("pool_timeout=-1", "pool_timeout=-1"),
            ("pool_timeout=nan", "pool_timeout=nan"),
            ("pool_min=5&pool_size=2", "pool_min=5"),
            ("mode=write", "say rw or ro"),
            ("synchronous=perhaps; DROP", "synchronous=perhaps"),
        ],
    )
    def test_one_that_is_wrong_is_refused(self, options: str, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            Database.from_url(f"sqlite:///app.db?{options}")

    def test_what_a_pooler_may_be(self) -> None:
        with pytest.raises(ConfigError, match="pooler=session"):
            Database.from_url("postgresql://localhost/app?pooler=session")

    async def test_a_file_that_is_only_read(self, tmp_path: Path) -> None:
        path = tmp_path / "app.db"
        async with Database.from_url(f"sqlite:///{path}") as db:
            await db.push(Thing)
            await Thing.create(name="Tea")
        async with Database.from_url(f"sqlite:///{path}", mode="ro"):
            assert await Thing.count() == 1
            with pytest.raises(ReadOnlyError, match="mode=ro"):
                await Thing.create(name="Milk")

    async def test_a_path_with_signs_in_it(self, tmp_path: Path) -> None:
        folder = tmp_path / "a b?c#d%20é"
        folder.mkdir()
        from urllib.parse import quote

        async with Database.from_url(f"sqlite:///{quote(str(folder))}/app.db", pool_size=1) as db:
            await db.push(Thing)
        assert (folder / "app.db").exists()


class TestSeveral:
    async def test_a_model_says_where_it_lives(self, tmp_path: Path) -> None:
        async with (
            Database.from_url(f"sqlite:///{tmp_path / 'app.db'}") as db,
            Database.from_url(f"sqlite:///{tmp_path / 'reports.db'}", name="reports") as reports,
        ):
            await db.push(Thing)
            await reports.push(Report)
            await Thing.create(name="Tea")
            await Report.create(title="Sales")
            assert db.stats.statements == reports.stats.statements == 1

            @db.transaction()
            async def work() -> None:
                await Thing.create(name="Milk")
                await Report.create(title="Costs")  # in the other one, which has no transaction
                raise KeyError

            with pytest.raises(KeyError):
                await work()
            assert (await Thing.count(), await Report.count()) == (1, 2)

    async def test_one_may_be_used_for_a_while(self, db: Database, tmp_path: Path) -> None:
        await db.push(Thing)
        async with Database.from_url(f"sqlite:///{tmp_path / 'x.db'}", name="other") as other:
            await other.push(Thing)
            with other.using():
                await Thing.create(name="Tea")
                assert await Thing.get(1) != None  # noqa: E711 - a row
            assert await Thing.count() == 0


@pytest.mark.service("postgres")
async def test_a_statement_is_prepared_once_unless_there_is_to_be_no_cache(tmp_path: Path) -> None:
    for size, prepared in ((100, 1), (0, 0)):
        async with (
            database_url("postgresql", tmp_path) as url,
            Database.from_url(url, statement_cache=size) as db,
        ):
            await db.push(Thing)
            async with db.transaction():  # on one connection
                for number in range(3):
                    await Thing.where(Thing.id > number).count()
                seen = await db.sql(
                    "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%FROM things%' "
                    "AND statement NOT LIKE '%prepared%'"
                ).scalar()
        assert seen == prepared


class TestWatching:
    async def test_a_slow_statement_is_logged_without_its_values(
        self, db: Database, things: list[Thing], caplog: pytest.LogCaptureFixture
    ) -> None:
        db._watch._limit = 1e-9
        with caplog.at_level(logging.WARNING, "oxidite.db"):
            await Thing.where(Thing.name == "secret").all()
        assert "a statement took" in caplog.text
        assert "FROM things" in caplog.text
        assert "secret" not in caplog.text
        assert db.stats.slow == 1

    async def test_statements_are_spans(self, db: Database, things: list[Thing]) -> None:
        ear = Statements()
        with listen(ear):
            await Thing.count()
        assert len(ear.seen) == 1
        assert "count(" in ear.seen[0]

    async def test_every_way_to_run_a_statement_is_counted_once(
        self, db: Database, things: list[Thing]
    ) -> None:
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "query": Thing.count,
            "raw SQL": db.sql("SELECT name FROM things").all,
            "raw change": db.sql("UPDATE things SET name = 'x' WHERE id = 1").run,
            "Core": db.sa(sa.select(db.sa_table(Thing))).first,
            "stream": lambda: _through(Thing.query().stream(chunk=7)),
            "raw stream": lambda: _through(db.sql("SELECT 1").stream()),
            "explain": Thing.query().explain,
            "copy or insert": lambda: Thing.load_many([Thing(name="y")]),
            "update_many": lambda: Thing.update_many(_renamed(things)),
        }
        for way, run in ways.items():
            before, ear = db.stats, Statements()
            with query_time() as time, listen(ear):
                await run()
            assert db.stats.statements - before.statements == 1, way
            assert time.statements == len(ear.seen) == 1, way
            assert db.stats.seconds > before.seconds, way

    async def test_raw_sql_in_a_transaction_is_counted_and_told_when_it_fails(
        self, db: Database, things: list[Thing]
    ) -> None:
        with query_time() as time:
            async with db.transaction():
                assert len([each async for each in db.sql("SELECT 1").stream()]) == 1
                with pytest.raises(DatabaseError):
                    await db.sql("SELECT nothing FROM nowhere").all()
        assert time.statements == 2

    async def test_a_stream_costs_the_time_in_which_rows_are_waited_for(
        self, db: Database, things: list[Thing]
    ) -> None:
        began = perf()
        with query_time() as time:
            async for _ in Thing.query().stream(chunk=3):
                until = perf() + 0.005
                while perf() < until:
                    pass  # what a loop does with a row is not the database's time
        assert time.statements == 1
        assert 0 < time.seconds < perf() - began - 0.005 * len(things)

    async def test_a_stream_that_is_slow_or_left_early_is_told(
        self, db: Database, things: list[Thing], caplog: pytest.LogCaptureFixture
    ) -> None:
        db._watch._limit = 1e-9
        with query_time() as time, caplog.at_level(logging.WARNING, "oxidite.db"):
            async with aclosing(Thing.query().stream(chunk=1)) as rows:
                await anext(rows)
        assert time.statements == 1
        assert "a statement took" in caplog.text

    async def test_raw_sql_ends_with_the_route(self, db: Database, things: list[Thing]) -> None:
        app = Oxidite(middleware=[watch_queries(comments=True)])

        @app.get("/raw")
        async def raw() -> None:
            await db.sql("SELECT 1").all()
            await _through(db.sql("SELECT 2").stream())

        ear = Statements()
        async with Client(app) as client:
            with listen(ear):
                await client.get("/raw")
        assert ear.seen == [f"SELECT {n} /*route='%2Fraw'*/" for n in (1, 2)]

    async def test_a_request_with_many_is_logged(
        self, db: Database, things: list[Thing], caplog: pytest.LogCaptureFixture
    ) -> None:
        app = Oxidite(middleware=[watch_queries(statements=2, comments=True)])

        @app.get("/things/{id:int}")
        async def show(id: int) -> dict[str, int]:
            for _ in range(id):
                await Thing.count()
            return {"found": await Thing.count()}

        ear = Statements()
        async with Client(app) as client:
            await client.get("/things/1")
            assert caplog.text == ""
            with listen(ear):
                await client.get("/things/2")
        assert "GET /things/{id:int} ran 3 statements" in caplog.text
        assert {each.rpartition(" /*")[2] for each in ear.seen} == {
            "route='%2Fthings%2F{id:int}'*/"
        }

    async def test_a_pool_that_has_none_is_answered_with_503(self, tmp_path: Path) -> None:
        db = Database.from_url(f"sqlite:///{tmp_path / 'app.db'}", pool_timeout=0.01)
        app = Oxidite(resources=[db])

        @app.post("/things")
        async def create() -> None:
            await Thing.create(name="Tea")

        async with Client(app) as client:
            await db.push(Thing)
            async with db.transaction():
                task = asyncio.create_task(_outside(client))
                assert await task == (503, "1", "pool_timeout")
            assert (await client.post("/things")).status_code == 204

    async def test_tasks_may_open_it_at_the_same_time(self, url: str) -> None:
        db, all_in = Database.from_url(url), asyncio.Barrier(3)

        async def use(left_last: bool) -> int:
            async with db:
                await all_in.wait()
                if left_last:
                    await asyncio.sleep(0.01)
                return int(await db.sql("SELECT 1").scalar())

        async with asyncio.timeout(10):
            assert await asyncio.gather(*map(use, (False, False, True))) == [1, 1, 1]
            # One closes it while another opens it.
            assert await asyncio.gather(*(_opened(db, turns) for turns in range(8))) == [1] * 8
        assert db not in open_databases()

    async def test_counts_begin_anew_with_each_opening(self, tmp_path: Path) -> None:
        db = Database.from_url(f"sqlite:///{tmp_path / 'app.db'}")
        async with db:
            await db.push(Thing)
            await Thing.count()
            assert db.stats.statements == 1
            assert db.stats.plans == 1
        async with db:
            assert db.stats.statements == 0


async def _opened(db: Database, turns: int) -> int:
    for _ in range(turns):
        await asyncio.sleep(0)
    async with db:
        return int(await db.sql("SELECT 1").scalar())


async def _through(rows: AsyncIterator[object]) -> None:
    async for _ in rows:
        pass


def _renamed(things: list[Thing]) -> list[Thing]:
    for each in things:
        each.name += "!"
    return things


async def _outside(client: Client) -> tuple[int, str, str]:
    # A task has the transaction of whoever began it; a request in a server does not.
    import contextvars

    async def post() -> tuple[int, str, str]:
        answer = await client.post("/things")
        return answer.status_code, answer.headers["retry-after"], answer.json()["code"]

    return await asyncio.create_task(post(), context=contextvars.Context())


async def test_cancelled_anywhere_it_leaves_nothing_behind(
    db: Database, things: list[Thing]
) -> None:
    """Statements and transactions are cancelled at any point; then all is as it should be."""
    dice = random.Random(3)

    async def write() -> None:
        async with db.transaction():
            one = await Thing.create(name="half")
            await Thing.get(things[0].id)
            one.name = "whole"
            await one.save()

    async def read() -> None:
        await Thing.where(Thing.name != "nobody").all()

    for _ in range(150):
        task = asyncio.create_task(dice.choice((write, read))())
        for _ in range(dice.randrange(12)):
            await asyncio.sleep(0)
        if dice.random() < 0.5:
            await asyncio.sleep(dice.random() / 500)
        task.cancel()
        found = await asyncio.gather(task, return_exceptions=True)
        assert found[0] is None or isinstance(found[0], asyncio.CancelledError)
    assert await Thing.where(Thing.name == "half").count() == 0
    assert all(pool.in_use == 0 for pool in db.stats.pools.values())
    # No transaction is open any more: everybody can write.
    await asyncio.gather(*(Thing.create(name="last") for _ in range(10)))
    assert await Thing.where(Thing.name == "last").count() == 10


async def test_a_commit_that_is_cancelled_is_whole_and_what_follows_it_runs(
    db: Database, things: list[Thing]
) -> None:
    seen: list[int] = []
    for turns in range(12):
        before = await Thing.count()
        seen.clear()

        async def work() -> None:
            async with db.transaction() as transaction:
                transaction.on_commit(lambda: seen.append(1))
                await Thing.create(name="new")

        task = asyncio.create_task(work())
        for _ in range(turns):
            await asyncio.sleep(0.0003)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await Thing.count() - before == len(seen)


async def test_who_is_cancelled_after_the_commit_has_all_done_that_follows_it(
    db: Database, things: list[Thing]
) -> None:
    seen: list[str] = []
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        begun.set()
        await may_end.wait()
        seen.append("slow")

    async def work() -> None:
        async with db.transaction() as transaction:
            transaction.on_commit(slow)
            transaction.on_commit(lambda: seen.append("last"))
            await Thing.create(name="new")

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    may_end.set()
    (found,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(found, asyncio.CancelledError)
    assert seen == ["slow", "last"]


async def test_who_is_cancelled_while_others_hear_of_a_change_has_all_done_that_follows_it(
    db: Database, things: list[Thing]
) -> None:
    seen: list[str] = []
    told = asyncio.Event()

    class Slow(Listener):
        @property
        def hears_reads(self) -> bool:
            return False

        def read(self, rows: Rows) -> None: ...

        def read_sql(self, sql: str) -> None: ...

        async def changed(self, changes: Changes) -> None:
            told.set()
            await asyncio.Event().wait()

    async def work() -> None:
        async with db.transaction() as transaction:
            transaction.on_commit(lambda: seen.append("done"))
            await Thing.create(name="new")

    listener = Slow()
    listeners.append(listener)
    try:
        task = asyncio.create_task(work())
        await told.wait()
        task.cancel()
        (found,) = await asyncio.gather(task, return_exceptions=True)
    finally:
        listeners.remove(listener)
    assert isinstance(found, asyncio.CancelledError)
    assert seen == ["done"]


async def test_a_pool_of_one_does_for_everything(tmp_path: Path) -> None:
    async with Database.from_url(f"sqlite:///{tmp_path / 'app.db'}", pool_size=1) as db:
        await db.push(Thing)
        async with db.transaction():
            await Thing.create(name="Tea")
            assert (await Thing.get(1)).name == "Tea"
        assert len(await asyncio.gather(*(Thing.count() for _ in range(5)))) == 5


async def test_writers_wait_in_a_queue_no_longer_than_said(tmp_path: Path) -> None:
    async with Database.from_url(f"sqlite:///{tmp_path / 'app.db'}", pool_timeout=0.02) as db:
        await db.push(Thing)

        async def hold() -> None:
            async with db.transaction():
                await asyncio.Event().wait()

        task = asyncio.create_task(hold())
        await asyncio.sleep(0.02)
        with pytest.raises(PoolTimeoutError):
            await Thing.create(name="Tea")
        assert await Thing.count() == 0  # who reads does not wait
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await Thing.create(name="Tea")


async def test_an_idle_connection_that_lives_is_used_again(url: str) -> None:
    mark = "&" if "?" in url else "?"
    async with Database.from_url(f"{url}{mark}pool_check=0&pool_size=1") as db:
        for _ in range(3):
            async with db.driver.connection(write=True) as connection:
                await connection.fetch("SELECT 1", ())

        assert [pool.opened for pool in db.stats.pools.values()] == [1] * len(db.stats.pools)
