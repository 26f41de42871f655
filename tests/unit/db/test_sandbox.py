"""The sandbox of tests: everything is undone, transactions work in it, tasks take turns."""

from __future__ import annotations

import asyncio
import contextvars
import sqlite3
from pathlib import Path

import pytest
from tests.unit.db.conftest import KINDS, MARIADB, POSTGRES

from oxidite import Oxidite
from oxidite.clock import sleep
from oxidite.db import (
    Col,
    Database,
    DatabaseError,
    Model,
    OverlapError,
    PoolTimeoutError,
    UniqueError,
    col,
)
from oxidite.errors import BackendUnavailableError, ConfigError
from oxidite.testing import Client, LiveServer
from oxidite.testing.db import sandbox, worker_database


class Tag(Model, table="sandbox_tags"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(unique=True)


async def test_what_a_test_did_is_undone(db: Database) -> None:
    await db.push(Tag)
    await Tag.create(name="before")
    async with sandbox(db) as same:
        assert same is db
        await Tag.create(name="inside")
        async with db.transaction():
            await Tag.create(name="committed")
        await (await Tag.where(Tag.name == "before").one()).delete()
        assert sorted(await Tag.query().select(Tag.name).all()) == [("committed",), ("inside",)]
    assert await Tag.query().select(Tag.name).all() == [("before",)]


async def test_a_test_that_fails_is_undone_too(db: Database) -> None:
    await db.push(Tag)

    async def fail() -> None:
        async with sandbox(db):
            await Tag.create(name="inside")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await Tag.count() == 0


async def test_transactions_commit_and_roll_back_inside(db: Database) -> None:
    await db.push(Tag)
    called: list[str] = []

    async def fail() -> None:
        async with db.transaction() as transaction:
            transaction.on_commit(lambda: called.append("undone"))
            await Tag.create(name="undone")
            raise ZeroDivisionError

    async with sandbox(db):
        async with db.transaction() as outer:
            outer.on_commit(lambda: called.append("outer"))
            await Tag.create(name="kept")
            with pytest.raises(ZeroDivisionError):
                await fail()
            assert called == []
        assert called == ["outer"]
        with pytest.raises(ZeroDivisionError):
            await fail()
        assert called == ["outer"]
        assert await Tag.query().select(Tag.name).all() == [("kept",)]


async def test_a_statement_that_fails_takes_nothing_with_it(db: Database) -> None:
    await db.push(Tag)
    async with sandbox(db):
        await Tag.create(name="tea")
        for _ in range(2):
            with pytest.raises(UniqueError):
                await Tag.create(name="tea")
        await Tag.create(name="cake")
        assert await Tag.count() == 2


async def test_tasks_take_turns(db: Database) -> None:
    await db.push(Tag)
    async with sandbox(db):
        await asyncio.gather(*(Tag.create(name=f"t{n}") for n in range(20)))
        assert await Tag.count() == 20

        async def transfer(number: int, *, fails: bool) -> None:
            async with db.transaction():
                await Tag.create(name=f"x{number}")
                await sleep(0)
                await Tag.create(name=f"y{number}")
                if fails:
                    raise ZeroDivisionError

        results = await asyncio.gather(
            *(transfer(n, fails=n % 2 == 1) for n in range(6)), return_exceptions=True
        )
        assert [type(each) for each in results] == [type(None), ZeroDivisionError] * 3
        assert await Tag.count() == 26


async def test_a_cancelled_task_is_undone_and_the_next_goes_on(db: Database) -> None:
    await db.push(Tag)
    async with sandbox(db):
        began = asyncio.Event()

        async def slow() -> None:
            async with db.transaction():
                await Tag.create(name="slow")
                began.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(slow())
        await began.wait()
        waiting = asyncio.create_task(Tag.create(name="next"))
        await sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await waiting
        assert await Tag.query().select(Tag.name).all() == [("next",)]


async def test_one_transaction_still_has_one_statement_at_a_time(db: Database) -> None:
    await db.push(Tag)
    async with sandbox(db), db.transaction():
        results = await asyncio.gather(Tag.count(), Tag.count(), return_exceptions=True)
        assert any(isinstance(each, OverlapError) for each in results)


async def test_who_waits_for_ever_is_told_why(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.push(Tag)
    monkeypatch.setattr("oxidite.testing.db._PATIENCE", 0.05)
    async with sandbox(db):
        context = contextvars.copy_context()  # in which there is no transaction
        async with db.transaction():
            task = asyncio.create_task(Tag.count(), context=context)
            with pytest.raises(PoolTimeoutError, match="another task has been in a transaction"):
                await task


async def test_tables_may_be_made_inside_a_transaction(db: Database) -> None:
    if not db.dialect.transactional_ddl:
        await db.push(Tag)
        async with sandbox(db):
            await Tag.create(name="tea")
            with pytest.raises(DatabaseError, match="MariaDB would keep all that this test did"):
                await db.push(Tag)
            assert await Tag.count() == 1
        assert await Tag.count() == 0
        return
    async with sandbox(db):
        async with db.transaction():
            await db.push(Tag)
            await Tag.create(name="tea")
        assert await Tag.count() == 1


async def test_an_application_works_in_it(db: Database) -> None:
    await db.push(Tag)
    app = Oxidite(resources=[db], secret="a secret of sixteen bytes")
    told: list[str] = []

    @app.post("/tags/{name}", status=201)
    async def create(name: str) -> Tag:
        async with db.transaction() as transaction:
            transaction.on_commit(lambda: told.append(name))
            return await Tag.create(name=name)

    async with sandbox(db):
        async with Client(app) as client:
            for name in ("a", "b"):
                assert (await client.post(f"/tags/{name}")).status_code == 201
            answers = await asyncio.gather(*(client.post(f"/tags/c{n}") for n in range(5)))
            assert [each.status_code for each in answers] == [201] * 5
            assert (await client.post("/tags/a")).status_code == 422
        # It was opened before the application, so it is open after it.
        assert await Tag.count() == 7
        assert told == ["a", "b", *(f"c{n}" for n in range(5))]
    assert await Tag.count() == 0


async def test_a_sandbox_opens_what_is_closed(tmp_path: Path) -> None:
    db = Database.from_url(f"sqlite:///{tmp_path / 'app.db'}")
    async with sandbox(db):
        await db.push(Tag)
        await Tag.create(name="tea")
    with pytest.raises(DatabaseError, match="No database is open"):
        await Tag.count()
    with sqlite3.connect(tmp_path / "app.db") as file:
        assert file.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    file.close()


async def test_a_server_in_another_loop_is_refused(db: Database) -> None:
    await db.push(Tag)
    app = Oxidite(resources=[db])

    @app.get("/")
    async def index() -> int:
        return await Tag.count()

    async with sandbox(db):

        def visit() -> int:
            import httpx2

            with LiveServer(app) as server:
                return httpx2.get(server.url, trust_env=False).status_code

        assert await asyncio.to_thread(visit) == 500


async def test_a_connection_that_is_gone_is_told(db: Database) -> None:
    await db.push(Tag)
    is_kept = getattr(db.driver, "path", "a server") is not None  # not in memory
    async with sandbox(db):
        await Tag.create(name="tea")
        async with db.driver.connection(write=True) as connection:
            if db.dialect.name == "postgresql":
                with pytest.raises(Exception, match=r"terminat|closed"):
                    await connection.run("SELECT pg_terminate_backend(pg_backend_pid())", ())
            else:
                connection.is_broken = True
        with pytest.raises(DatabaseError, match="cannot go on"):
            await Tag.count()
    if is_kept:
        assert await Tag.count() == 0


# A database for each worker.


@pytest.fixture(params=KINDS[1:])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    urls = {"postgresql": POSTGRES, "mariadb": f"{MARIADB}/mysql"}
    return urls.get(request.param, f"sqlite:///{tmp_path / 'app.db'}")


def test_a_worker_has_a_database_of_its_own(server: str) -> None:
    async def use(made: str) -> int:
        async with Database.from_url(made) as db:
            await db.push(Tag)
            await Tag.create(name="tea")
            return await Tag.count()

    try:
        with (
            worker_database(server, worker="oxw1") as one,
            worker_database(server, worker="oxw2") as two,
        ):
            assert one != two
            assert asyncio.run(use(one)) == 1
            assert asyncio.run(use(two)) == 1
            # What a killed run left behind is dropped.
            with worker_database(server, worker="oxw2") as again:
                assert again == two
                assert asyncio.run(use(again)) == 1
        with worker_database(server, worker="oxw1") as one:
            assert asyncio.run(use(one)) == 1
    except BackendUnavailableError as exc:
        pytest.skip(f"no server: {exc}")


def test_files_are_removed(tmp_path: Path) -> None:
    async def use(made: str) -> None:
        async with Database.from_url(made) as db:
            await db.push(Tag)

    with worker_database(f"sqlite:///{tmp_path / 'app.db'}", worker="gw3") as made:
        asyncio.run(use(made))
        assert (tmp_path / "app_gw3.db").exists()
    assert list(tmp_path.iterdir()) == []


def test_the_worker_is_that_of_xdist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw5")
    with worker_database(f"sqlite:///{tmp_path / 'app.db'}") as made:
        assert made.endswith("app_gw5.db")
    with worker_database("sqlite://") as made:
        assert made == "sqlite://"


@pytest.mark.parametrize("path", ["", "/", "/a-b", "/app;drop"])
def test_an_unusual_name_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="letters, digits"):
        worker_database(f"postgresql://127.0.0.1{path}", worker="gw0").__enter__()
