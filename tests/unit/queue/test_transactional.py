"""Jobs that are enqueued in a transaction of a database that their store is not in."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.queue import jobs
from tests.unit.queue.places import REDIS, own_prefix

from oxidite.db import Database, Outbox
from oxidite.errors import ConfigError
from oxidite.queue import Filter, Queue

pytestmark = pytest.mark.service("redis")

PROGRAM = """
import asyncio, os, sys
from oxidite.db import Database
from oxidite.queue import Queue
from tests.unit.queue import jobs

async def main(database, redis, name):
    queue = Queue.from_url(redis, tasks=[jobs.__name__])
    async with Database.from_url(database, name=name or None) as db, queue:
        async with db.transaction() as transaction:
            await queue.enqueue(jobs.note, "left behind")
            transaction.on_commit(lambda: os._exit(9))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def prefix() -> AsyncIterator[str]:
    async with own_prefix() as prefix:
        yield prefix


@pytest.fixture
def url(prefix: str) -> str:
    return f"{REDIS}?prefix={prefix}"


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database.from_url(f"sqlite:///{tmp_path / 'app.db'}") as db:
        yield db


@pytest.fixture(params=["memory", "redis"])
async def queue(request: pytest.FixtureRequest, db: Database, url: str) -> AsyncIterator[Queue]:
    place = "memory://" if request.param == "memory" else url
    async with Queue.from_url(place, tasks=[jobs.__name__]) as queue:
        yield queue


async def tasks_in(queue: Queue) -> list[bytes]:
    return [each.args async for each in queue.find(Filter())]


async def pushed(queue: Queue, number: int) -> list[bytes]:
    """Wait until there are so many, and return their arguments."""
    async with asyncio.timeout(10):
        while True:
            found = await tasks_in(queue)
            if len(found) >= number:
                return found
            await asyncio.sleep(0.005)


async def undone(queue: Queue, db: Database) -> None:
    async with db.transaction():
        await queue.enqueue(jobs.note, "undone")
        raise ValueError("undone")


async def test_what_is_committed_is_pushed_and_not_before(queue: Queue, db: Database) -> None:
    async with db.transaction():
        handle = await queue.enqueue(jobs.add, 1)
        assert await tasks_in(queue) == []
    await pushed(queue, 1)
    assert (await queue.get(handle.id)).task == jobs.add.name


async def test_what_is_rolled_back_is_never_pushed(queue: Queue, db: Database) -> None:
    with pytest.raises(ValueError, match="undone"):
        await undone(queue, db)
    async with db.transaction():
        with pytest.raises(ValueError, match="undone"):
            await undone(queue, db)
        await queue.enqueue(jobs.note, "kept")
    (args,) = await pushed(queue, 1)
    assert b"kept" in args


async def test_outside_of_a_transaction_it_is_pushed_at_once(queue: Queue, db: Database) -> None:
    await queue.enqueue(jobs.add, 1)
    assert len(await tasks_in(queue)) == 1


async def test_a_batch_is_pushed_with_its_jobs(queue: Queue, db: Database) -> None:
    async with db.transaction(), queue.batch(success=jobs.note.job("done")) as batch:
        for number in range(1200):
            batch.add(jobs.double.job(number))
    await pushed(queue, 1200)
    state = await queue.batch_state(batch.id)
    assert state is not None
    assert state.total == 1200


@pytest.mark.parametrize("name", [None, "second"])
async def test_of_a_process_that_dies_after_the_commit_another_pushes_it_once(
    tmp_path: Path, prefix: str, url: str, name: str | None
) -> None:
    database = f"sqlite:///{tmp_path / 'app.db'}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, database, url, name or "", cwd=Path(__file__).parents[3]
    )
    assert await process.wait() == 9
    queues = [Queue.from_url(url, tasks=[jobs.__name__]) for _ in range(2)]
    async with Database.from_url(database, name=name) as db, queues[0], queues[1]:
        (args,) = await pushed(queues[0], 1)
        assert b"left behind" in args
        async with asyncio.timeout(10):
            while True:
                if not (await Outbox(db).stats()).waiting:
                    break
                await asyncio.sleep(0.005)
        assert len(await tasks_in(queues[0])) == 1


async def test_two_stores_need_two_names(db: Database, url: str) -> None:
    other = f"{url}x"
    async with Queue.from_url(url, tasks=[]):
        with pytest.raises(ConfigError, match="name="):
            async with Queue.from_url(other, tasks=[]):
                pass
        async with Queue.from_url(other, tasks=[], name="other"):
            pass
    async with Queue.from_url(other, tasks=[]):
        pass


@pytest.mark.parametrize("name", ["", "n" * 101])
def test_a_name_has_a_length(name: str) -> None:
    with pytest.raises(ConfigError, match="1 to 100"):
        Queue.from_url("memory://", tasks=[], name=name)


async def test_a_database_that_is_opened_later_serves_too(url: str, tmp_path: Path) -> None:
    place = f"sqlite:///{tmp_path / 'later.db'}"
    async with (
        Queue.from_url(url, tasks=[jobs.__name__]) as queue,
        Database.from_url(place, name="later") as db,
    ):
        async with db.transaction():
            await queue.enqueue(jobs.add, 1)
        await pushed(queue, 1)
