"""A queue in the database of its application, by the URL ``db``."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from tests.unit.queue import jobs

from oxidite import Oxidite
from oxidite.db import Database
from oxidite.errors import ConfigError
from oxidite.queue import JobState, Queue, Worker


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
