"""The store in SQL."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.cache.backends.places import KINDS, place

from oxidite import clock
from oxidite.db import Database
from oxidite.errors import BackendError, ConfigError
from oxidite.queue.base import Filter, JobState, JobStore, Limits, Outcome, Unique
from oxidite.queue.stores import stores
from oxidite.queue.stores.sql import SQLStore
from oxidite.testing.contracts import JobEventsContract, JobStoreContract
from oxidite.testing.contracts.queue import claim, ended, job, one, run

_POSTGRES = pytest.mark.service("postgres")


@contextlib.asynccontextmanager
async def beside(url: str) -> AsyncIterator[tuple[Database, JobStore]]:
    """Open a database, and the store in it."""
    async with Database.from_url(url) as db, stores.create("db", resources=[db]) as store:
        yield db, store


class TestSQLiteFile(JobStoreContract, JobEventsContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[JobStore]:
        async with place("sqlite", tmp_path) as url, stores.create(url) as store:
            yield store


class TestSQLiteOfTheApplication(JobStoreContract, JobEventsContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[JobStore]:
        async with place("sqlite", tmp_path) as url, beside(url) as (_, store):
            yield store


class TestSQLiteInMemory(JobStoreContract, JobEventsContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[JobStore]:
        async with stores.create("sqlite://") as store:
            yield store


@pytest.mark.service("postgres")
class TestPostgreSQL(JobStoreContract, JobEventsContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[JobStore]:
        async with place("postgresql", tmp_path) as url, stores.create(url) as store:
            yield store


@pytest.mark.service("postgres")
class TestPostgreSQLOfTheApplication(JobStoreContract, JobEventsContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[JobStore]:
        async with place("postgresql", tmp_path) as url, beside(url) as (_, store):
            yield store


@pytest.mark.service("mariadb")
class TestMariaDB(JobStoreContract, JobEventsContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[JobStore]:
        async with place("mariadb", tmp_path) as url, beside(url) as (_, store):
            yield store


# In the transactions of the application


@pytest.fixture(params=KINDS)
async def both(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Database, JobStore]]:
    async with place(request.param, tmp_path) as url, beside(url) as found:
        yield found


async def test_what_is_pushed_in_a_transaction_is_there_after_it(
    both: tuple[Database, JobStore],
) -> None:
    db, store = both
    await store.enter("w", b"", 30.0)
    waiting = asyncio.ensure_future(store.wait(["q"], 600.0))
    async with db.transaction():
        await store.push([job("committed"), job("unique", unique=Unique(b"k"))])
    await asyncio.wait_for(waiting, 10)

    assert sorted(await run(store)) == ["committed", "unique"]


async def test_what_is_pushed_in_a_transaction_that_is_undone_never_was(
    both: tuple[Database, JobStore],
) -> None:
    db, store = both
    await store.enter("w", b"", 30.0)
    with contextlib.suppress(RuntimeError):
        async with db.transaction():
            await store.push([job("undone"), job("unique", unique=Unique(b"k"))])
            raise RuntimeError

    assert await run(store) == []
    assert (await store.push([job(unique=Unique(b"k"))]))[0].is_new


async def test_a_savepoint_that_is_undone_takes_its_jobs_along(
    both: tuple[Database, JobStore],
) -> None:
    db, store = both
    await store.enter("w", b"", 30.0)
    async with db.transaction():
        await store.push([job("kept")])
        with contextlib.suppress(RuntimeError):
            async with db.transaction():
                await store.push([job("undone")])
                raise RuntimeError
    assert await run(store) == ["kept"]


async def test_jobs_can_be_looked_at_and_cancelled_in_a_transaction(
    both: tuple[Database, JobStore],
) -> None:
    db, store = both
    new = job()
    async with db.transaction():
        await store.push([new])
        assert (await one(store, new.id)).state is JobState.WAITING
        assert await store.cancel(Filter(ids=(new.id,))) == 1
    assert (await one(store, new.id)).state is JobState.CANCELLED


# Between processes: each store has connections of its own, as another process would


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=_POSTGRES)])
async def test_what_another_process_pushes_wakes_who_waits(kind: str, tmp_path: Path) -> None:
    async with (
        place(kind, tmp_path) as url,
        stores.create(url) as here,
        stores.create(url) as there,
    ):
        # One whose connection listens, or whose file is looked at.
        async with asyncio.timeout(10):
            while True:
                waiting = asyncio.ensure_future(here.wait(["q"], 600.0))
                await asyncio.wait((waiting,), timeout=0.1)
                await there.push([job()])
                if (await asyncio.wait((waiting,), timeout=0.5))[0]:
                    break
                waiting.cancel()
        await here.enter("w", b"", 30.0)
        (ready, *_) = (await claim(here)).jobs
        result = asyncio.ensure_future(there.results([ready.id], 600.0))
        await asyncio.wait((result,), timeout=0.1)
        await claim(here, 0, outcomes=(ended(ready, result=b"r"),))
        assert (await asyncio.wait_for(result, 10))[ready.id].result == b"r"


@pytest.mark.parametrize("kind", KINDS)
async def test_stores_of_two_processes_never_give_the_same(kind: str, tmp_path: Path) -> None:
    async with (
        place(kind, tmp_path) as url,
        stores.create(url) as one,
        stores.create(url) as other,
    ):
        await one.push([job(str(number)) for number in range(200)])
        got: list[str] = []

        async def work(store: JobStore, worker: str) -> None:
            await store.enter(worker, b"", 30.0)
            outcomes: tuple[Outcome, ...] = ()
            while True:
                found = await claim(store, 7, worker=worker, outcomes=outcomes)
                assert found.refused == []
                got.extend(each.task for each in found.jobs)
                outcomes = tuple(ended(each) for each in found.jobs)
                if not outcomes:
                    return

        await asyncio.gather(
            *(
                work(each, f"{name}{n}")
                for name, each in (("a", one), ("b", other))
                for n in range(3)
            )
        )
        assert sorted(got, key=int) == [str(number) for number in range(200)]
        counts = await one.counts(Filter(states=frozenset((JobState.COMPLETED,))))
        assert sum(each.count for each in counts) == 200


# What was claimed, and never arrived


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancelled_exchange_loses_no_job(kind: str, tmp_path: Path) -> None:
    async with place(kind, tmp_path) as url, stores.create(url) as store:
        await store.push([job(str(number)) for number in range(60)])
        await store.enter("w", b"", 600.0)
        done: set[str] = set()
        outcomes: tuple[Outcome, ...] = ()
        for number in range(500):
            exchange = asyncio.ensure_future(claim(store, 2, outcomes=outcomes))
            # At one moment after the other: before it is sent, in the midst of it, when it is over.
            for _ in range(number % 25):
                await clock.sleep(0)
            if number % 2:
                exchange.cancel()
            try:
                found = await exchange
            except asyncio.CancelledError:
                continue
            for ready in found.jobs:
                assert ready.task not in done
                done.add(ready.task)
            outcomes = tuple(ended(each) for each in found.jobs)
            if len(done) == 60 and not outcomes:
                break
        assert len(done) == 60
        counts = await store.counts(Filter(states=frozenset((JobState.COMPLETED,))))
        assert sum(each.count for each in counts) == 60


# Limits


@pytest.mark.parametrize("kind", KINDS)
async def test_a_thousand_of_a_full_group_are_in_nobodys_way(kind: str, tmp_path: Path) -> None:
    async with place(kind, tmp_path) as url, stores.create(url) as store:
        await store.limit("q", Limits(each=2))
        await store.push([job(f"a{n}", group="a") for n in range(1000)] + [job("b", group="b")])
        await store.enter("w", b"", 600.0)
        first = (await claim(store, 3)).jobs
        assert [each.task for each in first] == ["a0", "a1", "b"]
        # Those that leave without having run keep no place of theirs.
        await store.cancel(
            Filter(
                ids=tuple(
                    [each.id async for each in store.find(Filter()) if each.task in ("a2", "a3")]
                )
            )
        )
        second = (await claim(store, 3, outcomes=(ended(first[0]),))).jobs
        assert [each.task for each in second] == ["a4"]


# URLs


@pytest.mark.parametrize("url", ["db://name/path", "db://name?x=y"])
def test_a_url_with_something_else_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="db://name"):
        stores.create(url)


async def test_a_database_that_was_not_opened_before_is_told() -> None:
    with pytest.raises(ConfigError, match=r"resources=\[db, queue\]"):
        async with stores.create("db"):
            pass
    with pytest.raises(ConfigError, match="name='other'"):
        stores.create("db://other", resources=[Database.from_url("sqlite://")])


def test_of_two_databases_one_is_named() -> None:
    two = [Database.from_url("sqlite://"), Database.from_url("sqlite://")]
    with pytest.raises(ConfigError, match="2 databases"):
        stores.create("db", resources=two)


async def test_a_file_of_its_own_survives_a_power_cut_and_memory_does_not(tmp_path: Path) -> None:
    async with stores.create(f"sqlite:///{tmp_path / 'jobs.db'}") as store:
        assert isinstance(store, SQLStore)
        async with store._home.connection(write=True) as connection:
            rows = await connection.fetch("PRAGMA synchronous", ())
        assert rows[0][0] == 2
        assert (store.is_durable, store.is_shared) == (True, True)
    async with stores.create("sqlite://") as store:
        assert (store.is_durable, store.is_shared) == (False, False)


async def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    store = stores.create(f"sqlite:///{tmp_path / 'jobs.db'}")
    with pytest.raises(BackendError, match="not open"):
        await store.push([job()])
