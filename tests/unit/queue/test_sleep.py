"""Jobs that sleep between their steps, for as long as they said and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from tests.unit.queue.places import EVERYWHERE, own_store

from oxidite import clock
from oxidite.clock import TravelClock
from oxidite.db import Database
from oxidite.errors import BackendUnavailableError, ConfigError
from oxidite.queue import (
    Filter,
    JobContext,
    JobLostError,
    JobState,
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

DAY = 86_400.0
did: list[object] = []


class LeftError(Exception):
    """The job has fallen asleep, and nobody does anything about it."""


def mail(subject: str) -> str:
    did.append(subject)
    return subject


@task(retry=Retry(times=1, first=0.0))
async def remind(user: int, job: JobContext = given()) -> list[object]:
    first = await job.step("first", mail, f"welcome {user}")
    await job.sleep("a day", DAY)
    second = await job.step("second", mail, f"reminder {user}")
    for number in range(2):
        await job.sleep(f"week {number}", 7 * DAY)
    return [first, second, job.attempt, job.failures]


@task(retry=Retry(times=0))
async def naps(seconds: float, job: JobContext = given()) -> int:
    await job.sleep("nap", seconds)
    return job.attempt


@task(retry=Retry(times=0))
async def guards_itself(job: JobContext = given()) -> int:
    async def branch() -> None:
        try:
            await job.sleep("nap", DAY)
        except Exception:  # noqa: BLE001 - what jobs do who catch everything
            did.append("caught")

    async def other() -> None:
        try:
            await asyncio.Event().wait() if job.attempt == 1 else None
        finally:
            did.append("cleaned up")

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(branch())
        group.create_task(other())
    return job.attempt


@task(retry=Retry(times=0))
async def sleeps_twice(job: JobContext = given()) -> None:
    for _ in range(2):
        await job.sleep("nap", 1.0)


@task
async def quick() -> str:
    return "quick"


@pytest.fixture(params=EVERYWHERE)
async def queue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Queue]:
    did.clear()
    async with (
        own_store(request.param, tmp_path) as store,
        Queue(store, tasks=[__name__]) as queue,
    ):
        yield queue


@pytest.fixture
def near() -> Queue:
    did.clear()
    return Queue(MemoryStore(), tasks=[__name__])


async def claimed(queue: Queue, worker: str, *, after: str = "") -> Ready:
    """Return the one job, as a worker has it; that of the worker before is lost."""
    if after:
        await queue.store.beat(after, 0.0)
        assert await queue.store.rescue(9) == 1
    await queue.store.enter(worker, b"", 30.0)
    (ready,) = (await queue.store.exchange(worker, (), ["default"], 1)).jobs
    return ready


def begun(queue: Queue, ready: Ready) -> tuple[JobContext, list[float]]:
    """Return a job as its function sees it, and for how long it was let go each time."""
    job, left = JobContext(ready, queue.store, 2000), list[float]()

    def leave(seconds: float, _: bool) -> None:
        left.append(seconds)
        raise LeftError

    job.leave = leave
    return job, left


async def test_a_job_goes_on_after_its_sleep_and_does_no_step_again(queue: Queue) -> None:
    with clock.use(TravelClock()):
        handle = await queue.enqueue(remind, 7)
        await drain(queue)
        assert (did, await handle.state()) == (["welcome 7"], JobState.WAITING)
        await drain(queue, through=DAY - 60.0)
        assert did == ["welcome 7"]
        await drain(queue, through=120.0)
        assert did == ["welcome 7", "reminder 7"]
        ran = await drain(queue, through=15 * DAY)
        # A database goes by its own clock, which may wake it a moment early: then it sleeps once more.
        assert [each.kind for each in ran][-2:] == ["snooze", "completed"]
        first, second, attempts, failures = await handle.result(0)
        assert (first, second, failures) == ("welcome 7", "reminder 7", 0)
        assert attempts in (range(4, 9) if queue.store.is_shared else (4,))
    assert did == ["welcome 7", "reminder 7"]


async def test_a_sleeping_job_takes_no_place(queue: Queue) -> None:
    async with Worker(queue, concurrency=1):
        asleep = await queue.enqueue(naps, 0.3)
        assert await (await queue.enqueue(quick)).result(10) == "quick"
        assert await asleep.result(10) == 2
    job = await asleep.job()
    assert (job.failures, job.crashes, job.errors) == (0, 0, [])


async def test_a_worker_that_is_lost_makes_a_sleep_no_longer(queue: Queue) -> None:
    """Killed once the end of the sleep is kept, and before the job has gone back."""
    with clock.use(TravelClock()) as time:
        await queue.enqueue(naps, 100.0)
        job, left = begun(queue, await claimed(queue, "first"))
        with pytest.raises(LeftError):
            await job.sleep("nap", 100.0)
        assert left == [100.0]
        time.jump(60.0)
        job, left = begun(queue, await claimed(queue, "second", after="first"))
        with pytest.raises(LeftError):
            # What it says by now does not count any more.
            await job.sleep("nap", 5000.0)
        assert left == [pytest.approx(40.0, abs=5.0)]
        time.jump(60.0)
        job, left = begun(queue, await claimed(queue, "third", after="second"))
        await job.sleep("nap", 5000.0)
        assert left == []


async def test_a_sleep_of_a_job_that_is_anothers_by_now_does_not_begin(queue: Queue) -> None:
    await queue.enqueue(naps, 100.0)
    first = await claimed(queue, "first")
    await claimed(queue, "second", after="first")
    job, left = begun(queue, first)
    with pytest.raises(JobLostError, match="runs elsewhere"):
        await job.sleep("nap", 100.0)
    assert left == []


async def test_a_sleep_reaches_through_groups_and_handlers_of_errors(near: Queue) -> None:
    with clock.use(TravelClock()):
        async with near as queue:
            handle = await queue.enqueue(guards_itself)
            await drain(queue)
            assert (did, await handle.state()) == (["cleaned up"], JobState.WAITING)
            await drain(queue, through=DAY)
            assert await handle.result(0) == 2
    assert did == ["cleaned up", "cleaned up"]


async def test_a_sleep_of_no_time_is_over_at_once(near: Queue) -> None:
    async with near as queue:
        handle = await queue.enqueue(naps, 0.0)
        await drain(queue)
        assert await handle.result(0) == 1


async def test_a_sleeping_job_is_cancelled_at_once(near: Queue) -> None:
    async with near as queue:
        handle = await queue.enqueue(naps, DAY)
        await drain(queue)
        assert await handle.cancel()
        assert await handle.state() is JobState.CANCELLED


async def test_who_is_run_too_early_sleeps_on(near: Queue) -> None:
    with clock.use(TravelClock()):
        async with near as queue:
            handle = await queue.enqueue(naps, 100.0)
            await drain(queue, through=40.0)
            await queue.retry(Filter(ids=(handle.id,)))
            (ran,) = await drain(queue)
            assert ran.kind == "snooze"
            job = await handle.job()
            assert job.due_at - clock.timestamp() == pytest.approx(60.0, abs=1.0)


async def test_two_sleeps_of_one_name_are_an_error(near: Queue) -> None:
    with clock.use(TravelClock()):
        async with near as queue:
            handle = await queue.enqueue(sleeps_twice)
            await drain(queue, through=5.0, raise_errors=False)
            assert "two steps 'nap'" in last_failure(await handle.job()).message


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
async def test_a_sleep_has_an_end(near: Queue, seconds: float) -> None:
    async with near as queue:
        await queue.enqueue(quick)
        job, _ = begun(queue, await claimed(queue, "worker"))
        with pytest.raises(ConfigError, match="a number of seconds from 0"):
            await job.sleep("nap", seconds)


async def test_nobody_sleeps_in_a_transaction(near: Queue, tmp_path: Path) -> None:
    async with near as queue, Database.from_url(f"sqlite:///{tmp_path}/app.db") as db:
        await queue.enqueue(quick)
        job, _ = begun(queue, await claimed(queue, "worker"))
        async with db.transaction():
            with pytest.raises(ConfigError, match="Let that end before"):
                await job.sleep("nap", 1.0)


class _Away(MemoryStore):
    """A store that is away for a moment."""

    is_away = False

    async def save(
        self, id: UUID, attempt: int, *, progress: bytes | None = None, state: bytes | None = None
    ) -> bool:
        if self.is_away:
            raise BackendUnavailableError("It is away.")
        return await super().save(id, attempt, progress=progress, state=state)


async def test_a_sleep_that_was_not_kept_has_not_begun() -> None:
    store = _Away()
    async with Queue(store, tasks=[__name__]) as queue:
        await queue.enqueue(quick)
        job, left = begun(queue, await claimed(queue, "worker"))
        store.is_away = True
        with pytest.raises(BackendUnavailableError):
            await job.sleep("nap", 5.0)
        store.is_away = False
        with pytest.raises(LeftError):
            await job.sleep("nap", 9.0)
        assert left == [9.0]
