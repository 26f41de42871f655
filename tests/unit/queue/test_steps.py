"""Steps: what a job has done already is not done again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec import Struct
from tests.unit.cache.backends.places import KINDS, place
from tests.unit.queue.places import EVERYWHERE, own_store

from oxidite.db import Database
from oxidite.errors import ConfigError
from oxidite.queue import (
    JobContext,
    JobFailedError,
    JobLostError,
    Queue,
    Retry,
    Worker,
    given,
    last_failure,
    task,
)
from oxidite.queue.base import Ready
from oxidite.queue.stores.memory import MemoryStore
from oxidite.testing.queue import drain

did: list[object] = []
AGAIN = Retry(times=5, first=0.0)


class Charge(Struct):
    """What a step returns."""

    order: int
    cents: int


async def charge_card(order: int, *, cents: int) -> Charge:
    did.append(("charged", order))
    return Charge(order, cents)


def numbered() -> tuple[int, ...]:
    did.append("numbered")
    return (len(did),)


async def breaks() -> int:
    did.append("broke")
    if did.count("broke") < 3:
        raise OSError("not yet")
    return 7


@task(retry=AGAIN)
async def checkout(order: int, job: JobContext = given()) -> list[object]:
    charge = await job.step("charge", charge_card, order, cents=990)
    number = await job.step("number", numbered)
    assert isinstance(charge, Charge)
    assert isinstance(number, tuple)
    await job.save((job.state(int) or 0) + 1)
    seven = await job.step("break", breaks)
    return [charge.cents, *number, seven, job.attempt, job.state(int)]


@task(retry=Retry(times=0))
async def twice(job: JobContext = given()) -> None:
    for _ in range(2):
        await job.step("page", numbered)


@task(retry=AGAIN)
async def together(job: JobContext = given()) -> list[int]:
    async def page(number: int) -> int:
        did.append(number)
        return number * 10

    found = await asyncio.gather(*(job.step(f"page {each}", page, each) for each in range(8)))
    if job.attempt == 1:
        raise OSError("once more")
    return found


@task(retry=Retry(times=0))
async def keeps_much(job: JobContext = given()) -> None:
    await job.step("much", lambda: "x" * 3000)


@pytest.fixture(params=EVERYWHERE)
async def queue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Queue]:
    did.clear()
    async with (
        own_store(request.param, tmp_path) as store,
        Queue(store, tasks=[__name__], max_size=2000) as queue,
    ):
        yield queue


async def test_a_step_that_is_done_is_not_done_again(queue: Queue) -> None:
    async with Worker(queue):
        handle = await queue.enqueue(checkout, 5)
        assert await handle.result(20) == [990, 2, 7, 3, 2]
    assert did == [("charged", 5), "numbered", "broke", "broke", "broke"]


async def test_steps_at_once_are_all_kept(queue: Queue) -> None:
    async with Worker(queue):
        assert await (await queue.enqueue(together)).result(20) == [each * 10 for each in range(8)]
    assert sorted(did) == list(range(8))  # type: ignore[type-var]


async def test_two_steps_of_one_name_are_an_error(queue: Queue) -> None:
    handle = await queue.enqueue(twice)
    await drain(queue, raise_errors=False)
    assert "two steps 'page'" in last_failure(await handle.job()).message


async def test_what_is_kept_has_a_limit(queue: Queue) -> None:
    async with Worker(queue):
        with pytest.raises(JobFailedError, match="carries 2000 at most"):
            await (await queue.enqueue(keeps_much)).result(20)


async def test_a_step_of_a_job_that_is_anothers_by_now_does_not_count(queue: Queue) -> None:
    first, second = await stolen(queue)

    assert await JobContext(second, queue.store, 2000).step("number", numbered) == (1,)
    with pytest.raises(JobLostError, match="runs elsewhere"):
        await JobContext(first, queue.store, 2000).step("number", numbered)
    third = await claimed(queue, "third", after="second")
    assert await JobContext(third, queue.store, 2000).step("number", numbered) == (1,)


async def stolen(queue: Queue) -> tuple[Ready, Ready]:
    """Return a job as its first worker has it, and as the one that took it over does."""
    await queue.enqueue(checkout, 5)
    first = await claimed(queue, "first")
    return first, await claimed(queue, "second", after="first")


async def claimed(queue: Queue, worker: str, *, after: str = "") -> Ready:
    store = queue.store
    if after:
        await store.beat(after, 0.0)
        assert await store.rescue(9) == 1
    await store.enter(worker, b"", 60.0)
    (ready,) = (await store.exchange(worker, (), ["default"], 1)).jobs
    return ready


# In transactions


@pytest.mark.parametrize("kind", KINDS)
async def test_a_step_is_undone_with_the_transaction_that_is_around_it(
    kind: str, tmp_path: Path
) -> None:
    did.clear()
    async with (
        place(kind, tmp_path) as url,
        Database.from_url(url) as db,
        Queue.from_url("db", tasks=[__name__]) as queue,
    ):
        await queue.enqueue(checkout, 5)
        job = JobContext(await claimed(queue, "first"), queue.store, 2000)
        with pytest.raises(LookupError):
            await undone(db, job)
        assert await job.step("other", numbered) == (2,)
        async with db.transaction():
            assert await job.step("number", numbered) == (3,)
            await job.save("before")
        # What is kept after one that was undone has nothing of it.
        with pytest.raises(LookupError):
            await undone(db, job)
        await job.step("last", numbered)
        again = JobContext(await claimed(queue, "second", after="first"), queue.store, 2000)
        assert await again.step("number", numbered) == (3,)
        assert await again.step("other", numbered) == (2,)
        assert again.state(str) == "before"


async def undone(db: Database, job: JobContext) -> None:
    async with db.transaction():
        await job.save("undone")
        if "number" not in job._steps._begun:
            await job.step("number", numbered)
        raise LookupError


async def test_a_transaction_that_the_queue_takes_no_part_in_is_refused(tmp_path: Path) -> None:
    async with (
        Database.from_url(f"sqlite:///{tmp_path}/app.db") as db,
        Queue(MemoryStore(), tasks=[__name__]) as queue,
    ):
        await queue.enqueue(checkout, 5)
        job = JobContext(await claimed(queue, "first"), queue.store, 2000)
        async with db.transaction():
            with pytest.raises(ConfigError, match="Open the transaction inside the step"):
                await job.step("number", numbered)
            with pytest.raises(ConfigError, match="Save it after the transaction"):
                await job.save(1)
