"""Jobs in tests: asserted, run by hand, run where they are pushed, and through time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from oxidite import Oxidite, clock
from oxidite.clock import TravelClock
from oxidite.db import Database
from oxidite.errors import ConfigError
from oxidite.lifespan import Lifespan
from oxidite.queue import (
    Discard,
    Filter,
    JobFailedError,
    JobState,
    Limits,
    Queue,
    Rate,
    Retry,
    Snooze,
    Task,
    given,
    task,
)
from oxidite.queue.stores.memory import MemoryStore
from oxidite.testing import Client
from oxidite.testing.db import sandbox
from oxidite.testing.queue import assert_enqueued, assert_not_enqueued, drain, inline, manual

START = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
seen: list[str] = []
began = asyncio.Event()


class Mailer:
    """A resource."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def __aenter__(self) -> Mailer:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


@task(name="note")
async def note(text: str, number: int = 0) -> str:
    seen.append(f"{text} {clock.now():%H:%M:%S}")
    return text.upper()


@task(name="follow")
async def follow(text: str) -> None:
    seen.append(f"follow {text}")


@task(name="other")
async def other(when: datetime) -> None: ...


@task(name="mail")
async def mail(to: str, mailer: Mailer = given()) -> None:
    mailer.sent.append(to)


@task(name="fails", retry=Retry(times=2, first=10.0, factor=6.0, jitter=0.0))
async def fails() -> None:
    seen.append(f"tried {clock.now():%H:%M:%S}")
    raise LookupError("nothing there")


@task(name="hangs", timeout=0.01, retry=Retry(times=0))
async def hangs() -> None:
    await asyncio.Event().wait()


@task(name="gives up")
async def gives_up() -> Discard:
    return Discard("of no use")


@task(name="snoozes")
async def snoozes() -> Snooze:
    return Snooze(0.0)


@task(name="apart", run="process")
def apart() -> None:
    seen.append("apart")


@task(name="waits")
async def waits() -> None:
    began.set()
    await asyncio.Event().wait()


@task(name="outer")
async def outer() -> None:
    seen.append("before")
    await queue_of_tests().enqueue(note, "inner")
    seen.append("after")


_made: list[Queue] = []


def queue_of_tests() -> Queue:
    return _made[-1]


TASKS: list[Task[Any, Any]] = [
    *(note, follow, other, mail, fails, hangs),
    *(gives_up, snoozes, apart, waits, outer),
]


@pytest.fixture
async def queue() -> AsyncIterator[Queue]:
    seen.clear()
    async with Queue(MemoryStore(), tasks=TASKS) as queue:
        _made.append(queue)
        yield queue
        _made.clear()


@pytest.fixture
def time() -> Iterator[TravelClock]:
    with clock.use(TravelClock(START)) as time:
        yield time


# Assertions


async def test_a_job_is_asserted_by_its_arguments_however_they_were_given(queue: Queue) -> None:
    handle = await queue.enqueue(note, "a", number=1)
    assert (await assert_enqueued(queue, note)).id == handle.id
    assert (await assert_enqueued(queue, note, text="a", number=1)).id == handle.id
    await assert_not_enqueued(queue, note, "a")
    await assert_not_enqueued(queue, follow)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    await queue.enqueue(other, moment)
    await assert_enqueued(queue, other, moment)
    await assert_not_enqueued(queue, other, moment + timedelta(seconds=1))


async def test_what_was_not_pushed_is_told_with_what_was(queue: Queue) -> None:
    with pytest.raises(AssertionError, match=r"^There is no job note. There are: none.$"):
        await assert_enqueued(queue, note)
    await queue.enqueue(note, "a")
    with pytest.raises(
        AssertionError,
        match=r"no job note\(text='b', number=0\). There are: note\(text='a', number=0\).",
    ):
        await assert_enqueued(queue, note, "b")
    with pytest.raises(AssertionError, match=r"no job follow. There are: note."):
        await assert_enqueued(queue, follow)
    with pytest.raises(AssertionError, match=r"a job note\(text='a', number=0\), which is waiting"):
        await assert_not_enqueued(queue, note)


# Manual


async def test_in_manual_mode_jobs_stay_and_are_forgotten_at_the_end(queue: Queue) -> None:
    async with manual(queue):
        await queue.enqueue(note, "a")
        await assert_enqueued(queue, note, "a")
        assert seen == []
    await assert_not_enqueued(queue, note)


async def test_manual_mode_stands_around_an_application_whose_store_is_then_not_opened() -> None:
    class Closed(MemoryStore):
        async def __aenter__(self) -> Closed:
            raise AssertionError("the real store is not to be opened")

    queue = Queue(Closed(), tasks=TASKS)
    app = Oxidite(resources=[queue])

    @app.post("/notes")
    async def add(queue: Queue) -> None:
        await queue.enqueue(note, "from a handler")

    async with manual(queue), Client(app) as client:
        assert (await client.post("/notes")).status_code == 204
        await assert_enqueued(queue, note, "from a handler")


# Draining


async def test_draining_runs_what_is_due_in_order_and_what_follows(queue: Queue) -> None:
    await queue.enqueue(note, "second")
    await queue.enqueue(note.options(priority=9), "first")
    await queue.enqueue(note.options(delay=60.0), "later")
    await queue.enqueue(note.job("chained").then(follow))
    ran = await drain(queue)
    assert [each.split()[0] for each in seen] == ["first", "second", "chained", "follow"]
    assert [(each.task, each.kind) for each in ran] == [
        ("note", "completed"),
        ("note", "completed"),
        ("note", "completed"),
        ("follow", "completed"),
    ]
    assert await queue.workers() == []
    assert (await assert_enqueued(queue, note, "later")).state is JobState.WAITING


async def test_draining_raises_the_error_of_a_job_once_the_store_has_it(queue: Queue) -> None:
    handle = await queue.enqueue(fails)
    with pytest.raises(LookupError, match="nothing there"):
        await drain(queue)
    job = await handle.job()
    assert (job.state, job.failures) == (JobState.WAITING, 1)


async def test_what_is_no_exception_of_the_job_is_raised_too(queue: Queue) -> None:
    await queue.enqueue(hangs)
    with pytest.raises(JobFailedError, match="of hangs failed: "):
        await drain(queue)
    await queue.enqueue(gives_up)
    assert [each.kind for each in await drain(queue)] == ["dead"]


async def test_draining_gives_tasks_the_resources_of_the_application(queue: Queue) -> None:
    mailer = Mailer()
    app = Oxidite(resources=[mailer])
    async with Client(app):
        await queue.enqueue(mail, "a@b")
        await drain(queue, resources=app.lifespan)
    assert mailer.sent == ["a@b"]


async def test_a_task_for_a_process_runs_in_a_thread_of_this_one(queue: Queue) -> None:
    await queue.enqueue(apart)
    await drain(queue, resources=Lifespan())
    assert seen == ["apart"]


async def test_a_job_without_an_end_is_told_as_one(queue: Queue) -> None:
    handle = await queue.enqueue(snoozes)
    with pytest.raises(AssertionError, match=r"at_most=5 jobs ran, of snoozes"):
        await drain(queue, at_most=5)
    assert (await handle.job()).state is JobState.WAITING


async def test_a_drain_that_is_cancelled_gives_its_job_back(queue: Queue) -> None:
    handle = await queue.enqueue(waits)
    draining = asyncio.create_task(drain(queue))
    await began.wait()
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await draining
    assert (await handle.job()).state is JobState.WAITING


# Through time


async def test_through_time_jobs_run_when_they_are_due(queue: Queue, time: TravelClock) -> None:
    await queue.enqueue(note.options(delay=3600.0), "hour")
    await queue.enqueue(note.options(delay=30.0), "soon")
    await queue.enqueue(note, "now")
    await queue.enqueue(note.options(delay=7201.0), "beyond")
    await drain(queue, through=7200.0)
    assert seen == ["now 10:00:00", "soon 10:00:30", "hour 11:00:00"]
    assert clock.now() == START + timedelta(hours=2)


async def test_through_time_failures_are_tried_again(queue: Queue, time: TravelClock) -> None:
    handle = await queue.enqueue(fails)
    ran = await drain(queue, through=3600.0, raise_errors=False)
    assert seen == ["tried 10:00:00", "tried 10:00:10", "tried 10:01:10"]
    assert [each.kind for each in ran] == ["retry", "retry", "dead"]
    assert await handle.state() is JobState.DEAD


async def test_through_time_schedules_fire(queue: Queue, time: TravelClock) -> None:
    queue.cron("0 3 * * *", note.job("night"), name="nightly")
    async with manual(queue):
        await drain(queue, through=2 * 86_400.0)
    assert seen == ["night 03:00:00", "night 03:00:00"]


async def test_through_time_limits_hold(queue: Queue, time: TravelClock) -> None:
    await queue.limit("default", Limits(rate=Rate(1, 10.0)))
    await queue.pause("still")
    await queue.enqueue(note.options(queue="still"), "paused")
    await queue.enqueue_many(note.job(str(each)) for each in range(3))
    await drain(queue, through=60.0)
    assert seen == ["0 10:00:00", "1 10:00:10", "2 10:00:20"]


async def test_only_a_clock_that_can_be_moved_goes_through_time(queue: Queue) -> None:
    with pytest.raises(ConfigError, match=r"through=60 goes on through time"):
        await drain(queue, through=60.0)


# Inline


async def test_inline_a_job_has_run_when_it_was_pushed(queue: Queue) -> None:
    async with inline(queue):
        handle = await queue.enqueue(note, "a")
        assert await handle.state() is JobState.COMPLETED
        assert await handle.result(0) == "A"
        await assert_enqueued(queue, note, "a")
        await queue.enqueue(note.job("b").then(follow))
        assert seen[-1] == "follow B"
    assert await queue.counts(Filter()) == []


async def test_inline_an_error_is_raised_where_the_job_was_pushed(queue: Queue) -> None:
    async with inline(queue):
        with pytest.raises(LookupError, match="nothing there"):
            await queue.enqueue_many([fails.job(), follow.job("not yet")])
        assert seen[1:] == []
        await drain(queue)
    assert [each.split()[0] for each in seen] == ["tried", "follow"]


async def test_inline_a_job_that_pushes_another_waits_for_it(queue: Queue) -> None:
    async with inline(queue):
        await queue.enqueue(outer)
    assert [each.split()[0] for each in seen] == ["before", "inner", "after"]


async def test_inline_each_caller_runs_its_own_jobs(queue: Queue) -> None:
    async with inline(queue):
        results = await asyncio.gather(
            queue.enqueue(fails), queue.enqueue(note, "a"), return_exceptions=True
        )
    assert isinstance(results[0], LookupError)
    assert not isinstance(results[1], BaseException)


async def test_inline_what_is_for_later_waits_until_then(queue: Queue, time: TravelClock) -> None:
    async with inline(queue):
        await queue.enqueue(note.options(delay=60.0), "later")
        assert seen == []
        await drain(queue, through=60.0)
        assert seen == ["later 10:01:00"]


# With a real store


async def test_in_a_sandbox_a_job_is_undone_with_everything_else(tmp_path: Path) -> None:
    db = Database.from_url(f"sqlite:///{tmp_path / 'app.db'}")
    queue = Queue.from_url("db", tasks=TASKS, resources=[db])
    async with sandbox(db), queue:
        await queue.enqueue(note, "a")
        assert [each.kind for each in await drain(queue)] == ["completed"]
        await assert_enqueued(queue, note, "a")
    async with db, queue:
        await assert_not_enqueued(queue, note)


async def test_draining_a_store_of_a_worker_leaves_alone_what_runs_there(tmp_path: Path) -> None:
    queue = Queue.from_url(f"sqlite:///{tmp_path / 'jobs.db'}", tasks=TASKS)
    async with queue:
        await queue.enqueue(note, "theirs")
        await queue.store.enter("w", b"", 60.0)
        (theirs,) = (await queue.store.exchange("w", (), ["default"], 1)).jobs
        await queue.enqueue(note, "ours")
        await drain(queue)
        assert (await queue.get(theirs.id)).state is JobState.RUNNING
        assert (await assert_enqueued(queue, note, "ours")).state is JobState.COMPLETED
        assert [each.name for each in await queue.workers()] == ["w"]
