"""A queue in the database of its application, by the URL ``db``."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from uuid import UUID

import pytest
from tests.unit.cache.backends.places import place
from tests.unit.queue import jobs

from oxidite import Oxidite
from oxidite.db import Database
from oxidite.errors import ConfigError
from oxidite.queue import JobState, Queue, Worker, task
from oxidite.queue.stores import stores
from oxidite.queue.stores.sql import SQLStore

LEASE = 0.6


def url(path: Path, name: str = "app") -> str:
    return f"sqlite:///{path}/{name}.db"


async def undoing(db: Database, queue: Queue, pushed: list[UUID]) -> None:
    async with db.transaction():
        pushed.append((await queue.enqueue(jobs.add, 1)).id)
        raise LookupError


async def test_it_is_the_database_that_the_lifespan_opened_before(tmp_path: Path) -> None:
    db = Database.from_url(url(tmp_path))
    queue = Queue.from_url("db", tasks=[jobs.__name__])
    app = Oxidite(resources=[db, queue])

    async with app.running():
        undone: list[UUID] = []
        with pytest.raises(LookupError):
            await undoing(db, queue, undone)
        async with db.transaction():
            handle = await queue.enqueue(jobs.add, 1)
        async with Worker(queue):
            assert await handle.result(10) == 3
        assert await queue.store.get(undone) == [None]


async def test_without_a_lifespan_it_is_the_one_that_is_open(tmp_path: Path) -> None:
    queue = Queue.from_url("db", tasks=[jobs.__name__])

    async with Database.from_url(url(tmp_path)), queue:
        assert await (await queue.enqueue(jobs.add, 1)).state() is JobState.WAITING


async def test_of_several_it_is_the_one_that_the_url_names(tmp_path: Path) -> None:
    db = Database.from_url(url(tmp_path))
    other = Database.from_url(url(tmp_path, "other"), name="other")
    queue = Queue.from_url("db://other", tasks=[jobs.__name__])

    async with Oxidite(resources=[db, other, queue]).running():
        assert queue.store.joins(other)
        assert not queue.store.joins(db)


async def test_no_database_before_it_is_a_clear_error(tmp_path: Path) -> None:
    queue = Queue.from_url("db", tasks=[jobs.__name__])
    app = Oxidite(resources=[queue, Database.from_url(url(tmp_path))])

    with pytest.raises(ConfigError, match=r"resources=\[db, queue\]"):
        async with app.running():
            pass


@task(timeout=30.0)
async def holds_the_loop(seconds: float) -> int:
    threading.Event().wait(seconds)
    return 1


@pytest.mark.parametrize(
    "kind",
    [
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.service("postgres")),
        pytest.param("mariadb", marks=pytest.mark.service("mariadb")),
    ],
)
async def test_a_job_that_holds_up_the_loop_for_longer_than_the_lease_keeps_it(
    kind: str, tmp_path: Path
) -> None:
    async with place(kind, tmp_path) as where:
        db = Database.from_url(where)
        queue = Queue.from_url("db", tasks=[__name__])
        async with db, queue, stores.create(queue.address or "") as other:
            handle = await queue.enqueue(holds_the_loop, 3 * LEASE)
            async with Worker(queue, lease=LEASE, grace=0.1) as worker:
                watching = asyncio.create_task(
                    asyncio.to_thread(rescuing, queue.address or "", LEASE)
                )
                assert await handle.result(20) == 1
                assert await watching == 0
                assert [each.name for each in await other.workers()] == [worker.name]
            job = await handle.job()
            assert (job.attempt, job.crashes) == (1, 0)


def rescuing(address: str, lease: float) -> int:
    """Look in another thread, as another worker would, for jobs whose lease has lapsed."""

    async def look() -> int:
        found = 0
        async with stores.create(address) as store:
            for _ in range(10):
                found += await store.rescue(3)
                await asyncio.to_thread(threading.Event().wait, lease / 4)
        return found

    return asyncio.run(look())


async def test_a_place_tells_two_databases_apart_and_no_password(tmp_path: Path) -> None:
    where = url(tmp_path)
    async with Database.from_url(where) as db, SQLStore(db) as store:
        assert store.place == where
        assert store.address is not None
        async with stores.create(store.address) as same:
            assert same.place == where
            await same.pause("mail", paused=True)
        assert [each.name for each in await store.queues() if each.paused] == ["mail"]


@pytest.mark.service("postgres")
async def test_the_place_in_a_server_is_the_schema(tmp_path: Path) -> None:
    async with place("postgresql", tmp_path) as where:
        said = where.replace("postgres@", "postgres:secret@", 1)
        async with Database.from_url(said) as db, SQLStore(db) as store:
            assert "secret" not in store.place
            assert store.place.startswith("postgresql://127.0.0.1:5432/")
            async with Database.from_url(where) as other, SQLStore(other) as same:
                assert same.place == store.place
        async with place("postgresql", tmp_path) as elsewhere, stores.create(elsewhere) as third:
            assert third.place != store.place


async def test_in_memory_nobody_else_can_open_it() -> None:
    queue = Queue.from_url("db", tasks=[__name__])
    async with Database.from_url("sqlite://"), queue:
        assert queue.address is None
