"""Jobs from the push to the result, in memory and in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from msgspec import msgpack, structs
from tests.unit.queue import jobs

from oxidite import Request, clock
from oxidite.clock import TravelClock
from oxidite.errors import BackendTimeoutError, ConfigError
from oxidite.lifespan import Lifespan
from oxidite.queue import (
    Filter,
    Handle,
    JobArgumentsError,
    JobCancelledError,
    JobFailedError,
    JobNotFoundError,
    JobState,
    JobTooLargeError,
    Limits,
    Queue,
    Rate,
    Retry,
    TaskError,
    Uniqueness,
    Worker,
    failures_of,
    task,
)
from oxidite.queue.stores.memory import MemoryStore


@pytest.fixture
async def time() -> AsyncIterator[TravelClock]:
    with clock.use(TravelClock()) as time:
        yield time


async def dead(handle: Handle[Any]) -> str:
    """Return what is kept of the last failure of a job that must be dead."""
    job = await handle.job()
    assert job.state is JobState.DEAD
    return failures_of(job)[-1].summary


async def test_a_job_returns_what_its_function_does(queue: Queue) -> None:
    async with Worker(queue):
        assert await (await queue.enqueue(jobs.add, 1)).result(5) == 3
        assert await (await queue.enqueue(jobs.add, 1, b=5)).result(5) == 6
        place = await queue.enqueue(jobs.in_a_thread, jobs.Place(1, 2))
        assert await place.result(5) == jobs.Place(2, 1)
        handle: Handle[object] = queue.handle((await queue.enqueue(jobs.note, "x")).id)
        assert await handle.result(5) is None


async def test_a_task_is_still_a_function(queue: Queue) -> None:
    assert await jobs.add(1, b=3) == 4
    assert jobs.in_a_thread(jobs.Place(1, 2)) == jobs.Place(2, 1)
    assert jobs.add.name == "tests.unit.queue.jobs:add"


async def test_many_are_pushed_at_once(queue: Queue) -> None:
    handles = await queue.enqueue_many(jobs.double.job(number) for number in range(100))
    async with Worker(queue):
        assert [await each.result(5) for each in handles] == [2 * n for n in range(100)]


@pytest.mark.parametrize(
    ("args", "kwargs", "problem"),
    [
        ((), {}, "missing a required argument: 'a'"),
        ((1, 2, 3), {}, "too many positional arguments"),
        ((1,), {"c": 1}, "unexpected keyword argument 'c'"),
        (("one",), {}, "`int`"),
        ((object(),), {}, "object"),
    ],
)
async def test_arguments_that_do_not_fit_are_refused(
    queue: Queue, args: tuple[object, ...], kwargs: dict[str, object], problem: str
) -> None:
    with pytest.raises(JobArgumentsError, match=problem) as caught:
        await queue.enqueue(jobs.add, *args, **kwargs)  # type: ignore[arg-type]  # the mistake
    assert "tests.unit.queue.jobs:add" in caught.value.message
    assert await queue.counts() == []


async def test_a_job_that_is_too_large_is_refused() -> None:
    async with Queue(MemoryStore(), tasks=[jobs.__name__], max_size=1000) as queue:
        with pytest.raises(JobTooLargeError, match="1000 at most"):
            await queue.enqueue_many([jobs.note.job("small"), jobs.note.job("x" * 1000)])
        assert await queue.counts() == []


async def test_a_failed_job_is_tried_again(queue: Queue, time: TravelClock) -> None:
    handle = await queue.enqueue(jobs.fails)
    async with Worker(queue):
        await time.advance(1)
        assert len(jobs.seen) == 1
        await time.advance(10)
        assert len(jobs.seen) == 2
        await time.advance(18)
        assert len(jobs.seen) == 2
        await time.advance(4)
        assert len(jobs.seen) == 3
        with pytest.raises(JobFailedError, match="ValueError: no luck"):
            await handle.result(1)
    job = await handle.job()
    assert (job.state, job.failures) == (JobState.DEAD, 3)
    first, *_ = failures_of(job)
    assert "raise ValueError(message)" in first.trace
    assert {each.fingerprint for each in failures_of(job)} == {first.fingerprint}


async def test_some_errors_are_never_tried_again(queue: Queue) -> None:
    handle = await queue.enqueue(jobs.fails_for_good)
    async with Worker(queue):
        with pytest.raises(JobFailedError, match="never again"):
            await handle.result(5)
    assert (await handle.job()).failures == 1


async def test_a_dead_letter_runs_again_with_other_arguments(queue: Queue) -> None:
    handle = await queue.enqueue(jobs.grown.options(), "n", 1)
    async with Worker(queue):
        await handle.result(5)
        await queue.edit(handle.id, jobs.grown, "edited", size=2)
        await asyncio.sleep(0)
        job = await handle.job()
        while job.state is not JobState.COMPLETED:
            await queue.store.wait(["default"], 0.01)
            job = await handle.job()
        assert await handle.result(5) == "edited 2"
    with pytest.raises(JobArgumentsError):
        await queue.edit(handle.id, jobs.grown, 7, size=2)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(TaskError, match=f"is of {jobs.grown.name}, and the arguments"):
        await queue.edit(handle.id, jobs.double, 7)


async def test_of_the_jobs_of_a_filter_the_dead_ones_are_retried(queue: Queue) -> None:
    done = await queue.enqueue(jobs.note, "once")
    failed = await queue.enqueue(jobs.fails_for_good)
    async with Worker(queue):
        await done.result(5)
        with pytest.raises(JobFailedError):
            await failed.result(5)
    assert await queue.retry(Filter(queue="default")) == 1
    assert [await done.state(), await failed.state()] == [JobState.COMPLETED, JobState.WAITING]
    assert await queue.retry(Filter(ids=(done.id,))) == 1


async def test_what_a_job_may_return(queue: Queue, time: TravelClock) -> None:
    whats = ("snooze", "cancel", "discard", "retry")
    snooze, cancel, discard, retry = [await queue.enqueue(jobs.says, what) for what in whats]
    async with Worker(queue):
        await time.advance(1)
    assert [await each.state() for each in (snooze, cancel, discard, retry)] == [
        JobState.WAITING,
        JobState.CANCELLED,
        JobState.DEAD,
        JobState.WAITING,
    ]
    assert await dead(discard) == "discarded: of no use"
    assert ((await snooze.job()).failures, (await retry.job()).failures) == (0, 1)
    now = clock.timestamp()
    assert 5 < (await snooze.job()).due_at - now < 11
    assert 95 < (await retry.job()).due_at - now < 101
    with pytest.raises(JobCancelledError):
        await cancel.result(1)


async def test_what_no_store_could_take_of_a_job_is_its_failure(
    queue: Queue, time: TravelClock
) -> None:
    whats = ("snooze for no number", "snooze for ever", "retry without a zone")
    handles = [await queue.enqueue(jobs.says, what) for what in whats]
    async with Worker(queue):
        await time.advance(1)
    said = [failures_of(await each.job())[-1].message for each in handles]
    assert said[:2] == [
        "Snooze(nan) is for seconds, 10,000,000,000 at most.",
        "Snooze(inf) is for seconds, 10,000,000,000 at most.",
    ]
    assert "no time zone" in said[2]


async def test_resources_are_given(queue: Queue) -> None:
    async with Lifespan([jobs.Mailer()]) as resources, Worker(queue, resources=resources):
        assert await (await queue.enqueue(jobs.sends, "ada")).result(5) == 1
        assert await (await queue.enqueue(jobs.sends, to="bob")).result(5) == 2
        assert resources.get(jobs.Mailer).sent == ["ada", "bob"]


async def test_dependencies_are_given_and_clean_up(queue: Queue) -> None:
    async with Worker(queue):
        assert await (await queue.enqueue(jobs.uses_session, False)).result(5) == "session"
        assert jobs.seen == ["opened", "closed"]
        jobs.seen.clear()
        with pytest.raises(JobFailedError, match="in the job"):
            await (await queue.enqueue(jobs.uses_session, True)).result(5)
        assert jobs.seen == ["opened", "failed", "closed"]


async def test_a_job_tells_how_far_it_is(queue: Queue) -> None:
    handle = await queue.enqueue(jobs.tells)
    assert (await handle.progress()).done == 0.0
    async with Worker(queue):
        assert await handle.result(5) == "default 1"
        progress = [each async for each in handle.follow()]
    assert [(each.done, each.note) for each in progress] == [(0.25, "a quarter")]


async def test_a_job_goes_on_from_what_it_saved(queue: Queue) -> None:
    async with Worker(queue):
        assert await (await queue.enqueue(jobs.resumes)).result(5) == 2


async def test_a_job_has_a_time_limit(queue: Queue) -> None:
    async with Worker(queue):
        with pytest.raises(JobFailedError, match="TimeoutError"):
            await (await queue.enqueue(jobs.hangs)).result(5)


async def test_a_waiting_job_is_cancelled(queue: Queue) -> None:
    handle = await queue.enqueue(jobs.add.options(delay=100.0), 1)
    assert await handle.cancel()
    assert not await handle.cancel()
    assert await handle.state() is JobState.CANCELLED


async def test_what_was_not_done_when_a_worker_stops_goes_back(queue: Queue) -> None:
    handle = await queue.enqueue(jobs.waits)
    async with Worker(queue, drain=0.05):
        while await handle.state() is JobState.WAITING:
            await queue.store.wait(["default"], 0.01)
    job = await handle.job()
    assert (job.state, job.failures, job.crashes) == (JobState.WAITING, 0, 0)
    assert await queue.workers() == []


async def test_priorities_and_delays(queue: Queue, time: TravelClock) -> None:
    await queue.enqueue(jobs.note, "normal")
    await queue.enqueue(jobs.note.options(priority=5), "first")
    await queue.enqueue(jobs.note.options(delay=50.0), "late")
    await queue.enqueue(jobs.note.options(queue="other"), "elsewhere")
    async with Worker(queue, concurrency=1):
        await time.advance(1)
        assert jobs.seen == [("first", 0), ("normal", 0)]
        await time.advance(51)
        assert jobs.seen[2:] == [("late", 0)]


async def test_unique_jobs_are_the_same_by_their_arguments(queue: Queue) -> None:
    first = await queue.enqueue(jobs.once, 1, "a")
    same = await queue.enqueue(jobs.once, user=1, text="b")
    other = await queue.enqueue(jobs.once, 2)
    assert (first.is_new, same.is_new, other.is_new) == (True, False, True)
    assert same.id == first.id


async def test_old_arguments_are_upgraded(queue: Queue) -> None:
    new = queue.new_job(jobs.grown.job("x", 2))
    old = structs.replace(new, args=msgpack.encode({"n": "old"}), version=1)
    newer = structs.replace(queue.new_job(jobs.grown.job("x", 2)), version=4)
    unknown = structs.replace(queue.new_job(jobs.add.job(1)), version=0)
    await queue.push([old, newer, unknown])
    async with Worker(queue):
        assert await queue.handle(old.id, jobs.grown).result(5) == "old 1"
        for id, problem in ((newer.id, "version 4, newer"), (unknown.id, "upgrades= has nothing")):
            with pytest.raises(JobFailedError, match=problem):
                await queue.handle(id).result(5)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("tests.unit.queue.jobs:absent", "not there"),
        ("tests.unit.queue.jobs:no_task", "is no task"),
        ("tests.unit.queue.jobs:Place", "is no task"),
        ("os:system", "No task is called"),
        ("tests.unit.queue.absent:task", "No task is called"),
        ("nothing", "No task is called"),
    ],
)
async def test_what_is_no_task_of_the_queue_goes_to_the_dead_letters(
    queue: Queue, name: str, problem: str
) -> None:
    new = structs.replace(queue.new_job(jobs.add.job(1)), task=name)
    await queue.push([new])
    async with Worker(queue):
        with pytest.raises(JobFailedError, match=problem):
            await queue.handle(new.id).result(5)
    assert (await queue.get(new.id)).failures == 1


async def test_tasks_are_found_by_names_of_their_own(queue: Queue) -> None:
    new = queue.new_job(jobs.named.job())
    assert new.task == "with a name of its own"
    old = structs.replace(queue.new_job(jobs.named.job()), task="as it was called before")
    fresh = Queue(queue.store, tasks=[jobs.__name__])
    await queue.push([new, old])
    async with Worker(fresh):
        assert await queue.handle(new.id, jobs.named).result(5) == "found"
        assert await queue.handle(old.id, jobs.named).result(5) == "found"


async def test_a_chain_hands_results_on(queue: Queue) -> None:
    call = jobs.add.job(1).then(jobs.double).then(jobs.add, b=100)
    handle = await queue.enqueue(call)
    async with Worker(queue):
        assert await handle.result(5) == 106


async def test_a_chain_may_go_on_without_the_result(queue: Queue) -> None:
    call = jobs.note.job("first").after(jobs.add.job(2, 3)).then(jobs.double)
    async with Worker(queue):
        assert await (await queue.enqueue(call)).result(5) == 10
    assert jobs.seen == [("first", 0)]


async def test_a_chain_ends_with_what_fails_and_goes_on_when_it_is_retried(queue: Queue) -> None:
    first = jobs.fails_for_good.job().after(jobs.note.job("next"))
    await queue.enqueue(first)
    async with Worker(queue):
        dead_jobs = Filter(states=frozenset((JobState.DEAD,)))
        while not await queue.counts(dead_jobs):
            await queue.store.wait(["default"], 0.01)
        assert jobs.seen == []
        (job,) = [each async for each in queue.find(dead_jobs)]
        # As if the program had been mended meanwhile.
        before = jobs.fails_for_good.signature
        jobs.fails_for_good.signature = jobs.named.signature
        try:
            assert await queue.retry() == 1
            while not jobs.seen:
                await queue.store.wait(["default"], 0.01)
        finally:
            jobs.fails_for_good.signature = before
    assert jobs.seen == [("next", 0)]
    assert (await queue.get(job.id)).state is JobState.COMPLETED


async def test_a_chain_may_be_pushed_more_than_once(queue: Queue) -> None:
    call = jobs.add.job(1).then(jobs.double)
    handles = [await queue.enqueue(call), *await queue.enqueue_many([call, call])]
    assert len({each.id for each in handles}) == 3
    async with queue.batch(success=call) as batch:
        batch.add(call, call)
    async with Worker(queue):
        assert [await each.result(5) for each in handles] == [6, 6, 6]
        while sum(each.count for each in await queue.counts()) < 12:
            await queue.store.wait(["default"], 0.01)


async def test_what_follows_waits_for_its_moment(queue: Queue, time: TravelClock) -> None:
    at = clock.now() + timedelta(hours=1)
    handle = await queue.enqueue(jobs.add.job(1).then(jobs.double.options(at=at)))
    async with Worker(queue):
        await time.advance(1)
        job = await handle.job()
        assert (job.task, job.state, job.due_at) == (
            jobs.double.name,
            JobState.WAITING,
            at.timestamp(),
        )


async def test_the_handle_of_a_chain_is_of_all_its_jobs(queue: Queue) -> None:
    handle = await queue.enqueue(jobs.add.job(1).then(jobs.double))
    assert await handle.state() is JobState.WAITING
    assert (await handle.job()).task == jobs.add.name
    assert await handle.cancel()
    assert await handle.state() is JobState.CANCELLED
    with pytest.raises(JobCancelledError):
        await handle.result(5)
    assert [each.state async for each in handle.updates()] == [JobState.CANCELLED]


async def test_who_waits_for_a_chain_hears_at_once_that_its_middle_has_failed(
    queue: Queue,
) -> None:
    call = jobs.add.job(1).then(jobs.fails_for_good_with).then(jobs.double)
    handle = await queue.enqueue(call)
    async with Worker(queue):
        with pytest.raises(JobFailedError, match="never again, 3"):
            await handle.result(5)
        assert await handle.state() is JobState.DEAD
        *_, last = [each async for each in handle.updates()]
        assert (last.state, last.result) == (JobState.DEAD, None)


async def test_the_updates_of_a_chain_end_with_its_result(queue: Queue) -> None:
    handle = await queue.enqueue(jobs.add.job(1).then(jobs.double).then(jobs.add, b=10))
    async with Worker(queue):
        found = [each async for each in handle.updates()]
    assert [each.state for each in found].count(JobState.COMPLETED) == 1
    assert found[-1].result == 16


async def test_a_batch_waits_for_the_whole_of_a_chain(queue: Queue) -> None:
    async with queue.batch(success=jobs.note.job("success")) as batch:
        batch.add(jobs.add.job(1).then(jobs.double).then(jobs.note_number))
    state = await queue.batch_state(batch.id)
    assert state is not None
    assert state.total == 1
    async with Worker(queue):
        while len(jobs.seen) < 2:
            await queue.store.wait(["default"], 0.01)
    assert jobs.seen == [6, ("success", 0)]


async def test_a_chain_whose_arguments_do_not_fit_is_refused(queue: Queue) -> None:
    with pytest.raises(JobArgumentsError, match="takes none"):
        jobs.add.job(1).then(jobs.waits)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(JobArgumentsError, match="is the result of the job before"):
        jobs.add.job(1).then(jobs.double, number=2)  # type: ignore[call-arg]  # the mistake
    with pytest.raises(JobArgumentsError, match="unexpected keyword"):
        jobs.add.job(1).then(jobs.double, other=2)  # type: ignore[call-arg]  # the mistake


async def test_a_batch_says_when_all_have_ended(queue: Queue) -> None:
    async with queue.batch(
        success=jobs.note.job("success"),
        failure=jobs.note.job("failure"),
        always=jobs.note.job("always"),
    ) as batch:
        batch.add(jobs.add.job(1), jobs.add.job(2))
        batch.add(jobs.double.job(3))
        assert len(batch) == 3
    state = await queue.batch_state(batch.id)
    assert state is not None
    assert (state.total, state.completed) == (3, 0)
    async with Worker(queue):
        while len(jobs.seen) < 2:
            await queue.store.wait(["default"], 0.01)
    assert sorted(jobs.seen) == [("always", 0), ("success", 0)]  # type: ignore[type-var]  # pairs
    state = await queue.batch_state(batch.id)
    assert state is not None
    assert (state.completed, state.failed) == (3, 0)
    assert state.ended_at is not None


async def test_a_batch_that_could_not_be_put_together_is_not_pushed(queue: Queue) -> None:
    batch = queue.batch()
    batch.add(jobs.add.job(1))
    with pytest.raises(RuntimeError):
        async with batch:
            raise RuntimeError(len(batch))
    assert await queue.counts() == []
    assert await queue.batch_state(batch.id) is None


async def test_what_is_not_there_is_said(queue: Queue) -> None:
    handle = await queue.enqueue(jobs.add, 1)
    with pytest.raises(BackendTimeoutError, match=r"within 0\.01 seconds"):
        await handle.result(0.01)
    await queue.delete(Filter())
    for ask in (handle.result(0.01), handle.job(), queue.get(handle.id)):
        with pytest.raises(JobNotFoundError, match=str(handle.id)):
            await ask


def test_functions_that_cannot_be_tasks_are_refused() -> None:
    def many(*args: int) -> None: ...
    def of_a_request(request: Request) -> None: ...
    def not_carried(a: asyncio.Lock) -> None: ...
    def positional(a: int, /) -> None: ...

    for function, problem in (
        (lambda a: a, "'a' has no type"),
        (many, "'args' collects"),
        (of_a_request, "'request' is of a request"),
        (positional, "'a' cannot be"),
        (lambda: None, "inside a function"),
    ):
        with pytest.raises(TaskError, match=problem):
            task(function)
    with pytest.raises(TaskError, match="no argument 'c'"):
        task(name="u", unique=Uniqueness(by=("c",)))(jobs.add.function)
    with pytest.raises(TaskError, match="no argument 'c'"):
        jobs.add.options(unique=Uniqueness(by=("c",)))
    with pytest.raises(TaskError, match=r"by=\('a',\)"):
        Uniqueness(by="a")  # type: ignore[arg-type]  # the mistake
    with pytest.raises(TaskError, match="is none of skip"):
        Uniqueness(conflict="replac")  # type: ignore[arg-type]  # the mistake
    # A class that is no data is a resource.
    assert task(name="locks")(not_carried).signature.names == []


async def test_a_task_that_no_worker_would_find_is_refused(queue: Queue) -> None:
    @task(name="somewhere else")
    async def elsewhere() -> None: ...

    other = Queue(MemoryStore(), tasks=["another.package"])
    with pytest.raises(TaskError, match="not among the tasks of this queue"):
        await other.enqueue(elsewhere)
    named = Queue(MemoryStore(), tasks=[elsewhere])
    await named.enqueue(elsewhere)


@pytest.mark.parametrize(
    "options",
    [
        {"queue": ""},
        {"priority": 40_000},
        {"timeout": 0.0},
        {"delay": -1.0},
        {"delay": float("nan")},
        {"delay": float("inf")},
        {"keep": float("nan")},
        {"queue": "a\0b"},
        {"group": ""},
        {"group": "a\0b"},
        {"group": "\ud800"},
        {"group": "g" * 201},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(TaskError):
        jobs.add.options(**options)  # type: ignore[arg-type]  # the mistakes


@pytest.mark.parametrize(
    "limits",
    [
        Limits(running=0),
        Limits(each=-1),
        Limits(rate=Rate(0, 60.0)),
        Limits(rate=Rate(1, 0.0)),
        Limits(each_rate=Rate(1, float("nan"))),
    ],
)
async def test_limits_that_make_no_sense_are_refused(queue: Queue, limits: Limits) -> None:
    with pytest.raises(ConfigError, match=r"from 1|at least 1"):
        await queue.limit("default", limits)


def test_policies_that_make_no_sense_are_refused() -> None:
    mistakes: list[dict[str, Any]] = [
        {"times": -1},
        {"factor": 0.5},
        {"jitter": 1.0},
        {"within": 0.0},
        {"within": float("nan")},
        {"first": float("nan")},
        {"longest": float("nan")},
    ]
    for settings in mistakes:
        with pytest.raises(ConfigError):
            Retry(**settings)


def test_pauses_grow_up_to_the_longest_and_not_beyond_the_age() -> None:
    policy = Retry(times=100, first=1.0, factor=2.0, longest=60.0, jitter=0.0)
    pauses = [policy.pause(ValueError(), failures=number, age=0.0) for number in range(101)]
    assert pauses[:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]
    assert pauses[99:] == [60.0, None]
    young = Retry(within=100.0, first=10.0, jitter=0.0)
    assert young.pause(ValueError(), failures=0, age=80.0) == 10.0
    assert young.pause(ValueError(), failures=0, age=95.0) is None
    some = {Retry(first=10.0).pause(ValueError(), failures=0, age=0.0) for _ in range(100)}
    assert len(some) > 50
    assert all(each is not None and 8.0 <= each <= 12.0 for each in some)
