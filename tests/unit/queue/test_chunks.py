"""Chunks: jobs of one task that are run by one call, and end each for itself."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec import Struct
from tests.unit.queue.places import EVERYWHERE, own_store

from oxidite.lifespan import Lifespan
from oxidite.queue import (
    Chunk,
    Discard,
    Filter,
    Handle,
    JobArgumentsError,
    JobContext,
    JobFailedError,
    JobState,
    Limits,
    Queue,
    Retry,
    Snooze,
    TaskError,
    Worker,
    carry,
    current_job,
    given,
    task,
)
from oxidite.queue.base import NewJob
from oxidite.testing.queue import assert_enqueued, drain, inline, manual

calls: list[list[object]] = []
NEVER = Retry(times=0)


class Doc(Struct):
    """What is indexed."""

    id: int
    text: str = ""


@task(chunk=Chunk(size=3, within=0.2), retry=NEVER)
async def index(docs: list[Doc]) -> None:
    calls.append([each.id for each in docs])


@task(chunk=Chunk(size=10, within=0.1), retry=Retry(times=3, first=0.05))
async def squares(numbers: list[int]) -> list[int | Exception | Snooze | Discard]:
    calls.append(list(numbers))
    found: list[int | Exception | Snooze | Discard] = []
    for number in numbers:
        if number == 13:
            found.append(ValueError("unlucky"))
        elif number == 14:
            found.append(Discard("not that one"))
        else:
            found.append(number * number)
    return found


@task(chunk=Chunk(size=10, within=0.1), retry=NEVER)
async def fails(numbers: list[int]) -> None:
    calls.append(list(numbers))
    raise LookupError("all of them")


@task(chunk=Chunk(size=10, within=0.1), retry=NEVER)
async def miscounts(numbers: list[int]) -> list[int]:
    return [1]


@task(chunk=Chunk(size=5, within=0.1))
def in_a_thread(names: list[str]) -> list[str]:
    assert current_job() is None
    return [
        f"{name} of {len(names)} {threading.current_thread() is not threading.main_thread()}"
        for name in names
    ]


@task(chunk=Chunk(size=5, within=0.1), timeout=0.3, retry=NEVER)
async def hangs(numbers: list[int]) -> None:
    calls.append(list(numbers))
    await asyncio.Event().wait()


@task(chunk=Chunk(size=2, within=5.0), retry=Retry(times=5, first=0.01))
async def waits(numbers: list[int]) -> None:
    calls.append(list(numbers))
    await asyncio.Event().wait()


@task(chunk=Chunk(size=100, within=60.0))
async def patient(numbers: list[int]) -> None:
    calls.append(list(numbers))


tenant: ContextVar[str | None] = ContextVar("tenant", default=None)
user: ContextVar[str | None] = ContextVar("user", default=None)


@contextmanager
def being(variable: ContextVar[str | None], value: str) -> Iterator[None]:
    before = variable.get()
    variable.set(value)
    try:
        yield
    finally:
        variable.set(before)


carry("chunk tenant", tenant.get, lambda text: being(tenant, text), apart=True)
carry("chunk user", user.get, lambda text: being(user, text))


@task(chunk=Chunk(size=10, within=0.1))
async def whose(numbers: list[int]) -> None:
    calls.append([tenant.get(), user.get(), *sorted(numbers)])


@task
async def total(number: int) -> int:
    return number + 1


@pytest.fixture(params=EVERYWHERE)
async def queue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Queue]:
    calls.clear()
    async with own_store(request.param, tmp_path) as store, Queue(store, tasks=[__name__]) as queue:
        yield queue


async def ended(handles: Sequence[Handle[Any]]) -> list[JobState]:
    async with asyncio.timeout(20):
        found: dict[UUID, JobState] = {}
        while len(found) < len(handles):
            left = [each.id for each in handles if each.id not in found]
            store = handles[0]._store
            found |= {id: job.state for id, job in (await store.results(left, 5)).items()}
    return [found[each.id] for each in handles]


async def test_jobs_are_run_together_up_to_the_size_or_the_time(queue: Queue) -> None:
    handles = [await queue.enqueue(index, Doc(number)) for number in range(7)]
    async with Worker(queue, concurrency=2):
        assert await ended(handles) == [JobState.COMPLETED] * 7
    assert sorted(len(each) for each in calls) == [1, 3, 3]
    assert sorted(id for each in calls for id in each) == list(range(7))  # type: ignore[type-var]


async def test_what_is_collected_takes_no_place(queue: Queue) -> None:
    await queue.enqueue_many(patient.job(number) for number in range(5))
    async with Worker(queue, concurrency=1) as worker:
        handle = await queue.enqueue(total, 1)
        assert await handle.result(10) == 2
        assert worker.health().waiting >= 1
    assert calls == []
    # They went back unharmed.
    jobs = [each async for each in queue.find(Filter(task=patient.name))]
    assert [(each.state, each.failures, each.crashes) for each in jobs] == [
        (JobState.WAITING, 0, 0)
    ] * 5


async def test_each_job_has_its_own_end(queue: Queue) -> None:
    handles = await queue.enqueue_many(squares.job(number) for number in (2, 13, 14, 3))
    async with Worker(queue):
        states = await ended(handles)
    assert states == [JobState.COMPLETED, JobState.DEAD, JobState.DEAD, JobState.COMPLETED]
    assert [await handles[0].result(), await handles[3].result()] == [4, 9]
    job = await handles[1].job()
    assert (job.failures, len(job.errors)) == (4, 4)  # alone, after the first time
    with pytest.raises(JobFailedError, match="unlucky"):
        await handles[1].result()
    with pytest.raises(JobFailedError, match="not that one"):
        await handles[2].result()


async def test_what_it_raises_fails_all_of_them(queue: Queue) -> None:
    handles = await queue.enqueue_many(fails.job(number) for number in range(3))
    async with Worker(queue):
        assert await ended(handles) == [JobState.DEAD] * 3
    with pytest.raises(JobFailedError, match="all of them"):
        await handles[2].result()


async def test_arguments_that_do_not_fit_harm_no_other(queue: Queue) -> None:
    good = await queue.enqueue(squares, 2)
    new = queue.new_job(squares.job(3))
    await queue.push(
        [NewJob(id=new.id, queue=new.queue, task=new.task, args=b"\x81\xa7numbers\xa1x")]
    )
    async with Worker(queue):
        assert await good.result(10) == 4
        with pytest.raises(JobFailedError, match="Expected `int`"):
            await queue.handle(new.id).result(10)


async def test_too_few_results_are_no_results(queue: Queue) -> None:
    handles = await queue.enqueue_many(miscounts.job(number) for number in range(3))
    async with Worker(queue):
        with pytest.raises(JobFailedError, match="chunk of 3 jobs returned 1"):
            await handles[0].result(10)
        assert await ended(handles) == [JobState.DEAD] * 3


async def test_a_time_limit_is_that_of_the_call(queue: Queue) -> None:
    handles = await queue.enqueue_many(hangs.job(number) for number in range(3))
    async with Worker(queue):
        with pytest.raises(JobFailedError, match=r"time limit of 0\.3 s"):
            await handles[0].result(10)
        assert await ended(handles) == [JobState.DEAD] * 3


async def test_functions_that_are_not_async(queue: Queue) -> None:
    async with Worker(queue):
        threads = await queue.enqueue_many(in_a_thread.job(name) for name in "ab")
        assert await threads[0].result(10) == "a of 2 True"


async def test_functions_in_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chunked.py").write_text(
        "from oxidite.queue import Chunk, task\n\n"
        "@task(chunk=Chunk(size=5, within=0.1), run='process')\n"
        "def louder(names: list[str]) -> list[str]:\n"
        "    return [f'{name.upper()} of {len(names)}' for name in names]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    louder = importlib.import_module("chunked").louder
    async with Queue.from_url("memory://", tasks=[louder]) as queue, Worker(queue):
        handles = await queue.enqueue_many(louder.job(name) for name in "ab")
        assert await handles[1].result(30) == "B of 2"


async def test_one_of_a_chunk_that_runs_is_cancelled_when_it_ends(queue: Queue) -> None:
    handles = await queue.enqueue_many(waits.job(number) for number in range(2))
    async with Worker(queue):
        async with asyncio.timeout(10):
            while not calls:
                await queue.store.wait(["default"], 0.01)
        assert await handles[0].cancel()
        assert await handles[1].state() is JobState.RUNNING
        assert await handles[1].cancel()
        assert await ended(handles) == [JobState.CANCELLED] * 2
    assert len(calls) == 1


async def test_what_is_collected_can_be_cancelled(queue: Queue) -> None:
    handle = await queue.enqueue(patient, 1)
    async with Worker(queue):
        async with asyncio.timeout(10):
            while await handle.state() is not JobState.RUNNING:
                await queue.store.wait(["default"], 0.01)
        assert await handle.cancel()
        assert await ended([handle]) == [JobState.CANCELLED]
    assert calls == []


async def test_limits_hold(queue: Queue) -> None:
    await queue.limit("default", Limits(running=2))
    handles = await queue.enqueue_many(squares.job(number) for number in range(6))
    async with Worker(queue):
        await ended(handles)
    assert max(len(each) for each in calls) == 2


async def test_a_job_runs_alone_that_would_be_given_up_if_it_lost_another_worker(
    queue: Queue,
) -> None:
    handles = await queue.enqueue_many(squares.job(number) for number in range(3))
    store = queue.store
    await store.enter("gone", b"", 30.0)
    assert len((await store.exchange("gone", (), ["default"], 3)).jobs) == 3
    await store.beat("gone", 0.0)
    assert await store.rescue(3) == 3
    async with Worker(queue, poison=2):
        assert await ended(handles) == [JobState.COMPLETED] * 3
    assert sorted(calls) == [[0], [1], [2]]


async def test_tenants_are_kept_apart_and_users_forgotten(queue: Queue) -> None:
    handles = []
    for number, (shop, name) in enumerate([("a", "x"), ("b", "x"), ("a", "y")]):
        with being(tenant, shop), being(user, name):
            handles.append(await queue.enqueue(whose, number))
    async with Worker(queue):
        await ended(handles)
    assert sorted(map(str, calls)) == ["['a', None, 0, 2]", "['b', None, 1]"]


async def test_a_chain_goes_on_from_each(queue: Queue) -> None:
    async with Worker(queue):
        handles = await queue.enqueue_many(
            [squares.job(2).then(total), squares.job(3).then(total)]  # type: ignore[arg-type]
        )
        assert [await each.result(10) for each in handles] == [5, 10]


async def test_in_tests_they_run_together_when_they_are_drained(queue: Queue) -> None:
    async with manual(queue):
        await queue.enqueue(index, Doc(0))
        await queue.enqueue(total, 1)
        await queue.enqueue_many(index.job(Doc(number)) for number in range(1, 4))
        await assert_enqueued(queue, index, Doc(3))
        ran = await drain(queue)
    assert [each.task for each in ran] == [total.name, *[index.name] * 4]
    assert calls == [[0, 1, 2], [3]]


async def test_in_tests_what_fails_is_raised(queue: Queue) -> None:
    async with manual(queue):
        await queue.enqueue_many(fails.job(number) for number in range(2))
        with pytest.raises(LookupError, match="all of them"):
            await drain(queue)
    async with inline(queue, resources=Lifespan()):
        with pytest.raises(JobFailedError, match="unlucky"):
            await queue.enqueue(squares, 13)
        calls.clear()
        await queue.enqueue_many(index.job(Doc(number)) for number in range(4))
    assert calls == [[0, 1, 2], [3]]


# What can be seen at once


def test_calling_it_is_calling_the_function() -> None:
    assert in_a_thread(["a", "b"]) == ["a of 2 False", "b of 2 False"]


async def test_an_element_is_checked_when_it_is_pushed(queue: Queue) -> None:
    with pytest.raises(JobArgumentsError, match="Expected `object`"):
        await queue.enqueue(index, "no document")  # type: ignore[call-overload]


async def no_list(number: int) -> None: ...
async def two_lists(numbers: list[int], others: list[int]) -> None: ...
async def a_default(numbers: list[int] = []) -> None: ...  # noqa: B006 - it is refused
async def takes_the_job(numbers: list[int], job: JobContext = given()) -> None: ...
async def returns_one(numbers: list[int]) -> int:
    return 1


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (no_list, "takes one list"),
        (two_lists, "takes one list"),
        (a_default, "takes one list"),
        (takes_the_job, "JobContext is of one"),
        (returns_one, "a list with what became of each"),
    ],
)
def test_a_function_that_cannot_be_one_is_refused(function: object, why: str) -> None:
    with pytest.raises(TaskError, match=why):
        task(chunk=Chunk())(function)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "settings", [{"size": 0}, {"size": 10_001}, {"within": -1.0}, {"within": float("inf")}]
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(TaskError, match="of a chunk is"):
        Chunk(**settings)  # type: ignore[arg-type]
