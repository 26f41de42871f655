"""Workers: limits of time, cancellation, jobs apart, what ends them, and stores that fail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.unit.queue import jobs

from oxidite import clock
from oxidite.clock import TravelClock
from oxidite.errors import BackendUnavailableError, ConfigError
from oxidite.queue import (
    Claim,
    Handle,
    JobFailedError,
    JobState,
    Outcome,
    Queue,
    Recycle,
    Retry,
    TaskError,
    Worker,
    failures_of,
    task,
)
from oxidite.queue.stores.memory import MemoryStore
from oxidite.queue.weights import Weights

let_go = threading.Event()


@pytest.fixture
async def time() -> AsyncIterator[TravelClock]:
    with clock.use(TravelClock()) as time:
        yield time


class FailingStore(MemoryStore):
    """A store whose exchanges fail as often as asked, before or after they have done their work."""

    def __init__(self) -> None:
        super().__init__()
        self.before = self.after = 0
        self.exchanges = 0

    async def exchange(
        self, worker: str, outcomes: Sequence[Outcome], queues: Sequence[str], limit: int
    ) -> Claim:
        self.exchanges += 1
        if self.before:
            self.before -= 1
            raise BackendUnavailableError("away")
        claim = await super().exchange(worker, outcomes, queues, limit)
        if self.after:
            self.after -= 1
            raise BackendUnavailableError("gone in the middle of it")
        return claim


async def until(met: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something, in real time as the worker does."""
    async with asyncio.timeout(10):
        while not await met():
            await passed(0.005)


async def reached(handle: Handle[Any], state: JobState) -> None:
    """Wait until a job is in a state."""

    async def met() -> bool:
        return await handle.state() is state

    await until(met)


async def passed(seconds: float) -> None:
    """Let real time pass."""
    await asyncio.to_thread(threading.Event().wait, seconds)


@task(timeout=0.05, retry=Retry(times=0))
def holds_a_thread() -> None:
    let_go.wait(10)
    jobs.seen.append("let go")


@task(timeout=0.05, retry=Retry(times=0))
async def ignores_the_end() -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if let_go.is_set():
                raise


@task
async def is_cancelled_from_inside() -> None:
    inner = asyncio.ensure_future(asyncio.Event().wait())
    asyncio.get_running_loop().call_soon(inner.cancel)
    await inner


@task
async def returns_what_cannot_be_kept() -> object:
    jobs.seen.append("done")
    return object()


@task
async def leaves() -> None:
    raise SystemExit(3)


class _MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("there is nothing to say")


@task(retry=Retry(times=0))
async def fails_strangely(how: str) -> object:
    if how == "mute":
        raise _MuteError
    if how == "half a character":
        raise ValueError("\ud800")
    if how == "group":
        raise BaseExceptionGroup("all", [KeyboardInterrupt(), ValueError()])
    return {"\ud800": how}


NAMES = [jobs.__name__, __name__]


@pytest.fixture
async def queue() -> AsyncIterator[Queue]:
    jobs.seen.clear()
    let_go.clear()
    async with Queue(FailingStore(), tasks=NAMES) as queue:
        yield queue
    let_go.set()


async def test_a_job_beyond_its_time_fails_and_says_so(queue: Queue) -> None:
    handle = await queue.enqueue(jobs.hangs)
    async with Worker(queue):
        with pytest.raises(JobFailedError, match=r"JobTimeoutError: .* time limit of 0\.05 s"):
            await handle.result(5)


async def test_a_thread_that_cannot_be_stopped_keeps_its_place(
    queue: Queue,
    caplog: pytest.LogCaptureFixture,
    events: list[tuple[str, dict[str, object]]],
) -> None:
    held = await queue.enqueue(holds_a_thread)
    async with Worker(queue, concurrency=1, lease=0.2) as worker:
        with pytest.raises(JobFailedError, match="JobTimeoutError"):
            await held.result(5)
        assert "cannot be stopped" in caplog.text
        told = {"job": str(held.id), "task": holds_a_thread.name}
        assert ("queue.abandoned", told) in events
        assert worker.health().abandoned == 1
        next_one = await queue.enqueue(jobs.add, 1)
        await passed(0.2)
        assert await next_one.state() is JobState.WAITING
        let_go.set()
        assert await next_one.result(5) == 3
        assert worker.health().abandoned == 0
    assert jobs.seen == ["let go"]


async def test_a_job_that_ignores_its_end_is_given_up(queue: Queue) -> None:
    held = await queue.enqueue(ignores_the_end)
    async with Worker(queue, concurrency=2, lease=0.2, grace=0.05) as worker:
        with pytest.raises(JobFailedError, match="JobTimeoutError"):
            await held.result(5)
        assert await (await queue.enqueue(jobs.add, 1)).result(5) == 3
        assert worker.health().abandoned == 1
        let_go.set()
        (given_up,) = worker._held.abandoned
        assert given_up.task is not None
        given_up.task.cancel()
    assert (await held.job()).failures == 1


async def test_a_cancellation_is_heard_within_a_second(queue: Queue, time: TravelClock) -> None:
    handle = await queue.enqueue(jobs.waits)
    async with Worker(queue, lease=300.0):
        await time.advance(1)
        assert await handle.state() is JobState.RUNNING
        assert await handle.cancel()
        await time.advance(1.1)
        assert await handle.state() is JobState.CANCELLED


async def test_a_job_that_is_cancelled_from_inside_has_failed(queue: Queue) -> None:
    handle = await queue.enqueue(is_cancelled_from_inside)

    async def has_failed() -> bool:
        return (await handle.job()).failures == 1

    async with Worker(queue):
        await until(has_failed)
    assert "was cancelled" in failures_of(await handle.job())[-1].summary


async def test_a_job_that_ends_the_program_fails(queue: Queue) -> None:
    handle = await queue.enqueue(leaves)
    async with Worker(queue):
        with pytest.raises(JobFailedError, match="SystemExit: 3"):
            await handle.result(5)


@pytest.mark.parametrize("how", ["mute", "half a character", "group", "half a result"])
async def test_however_a_job_fails_it_comes_to_an_end(queue: Queue, how: str) -> None:
    handle = await queue.enqueue(fails_strangely, how)
    async with Worker(queue):
        with pytest.raises(JobFailedError):
            await handle.result(3)
        assert await (await queue.enqueue(jobs.add, 1)).result(3) == 3


async def test_a_result_that_cannot_be_kept_is_not_made_again(queue: Queue) -> None:
    handle = await queue.enqueue(returns_what_cannot_be_kept)
    async with Worker(queue):
        with pytest.raises(JobFailedError, match="its result cannot be kept"):
            await handle.result(5)
    assert jobs.seen == ["done"]


async def test_outcomes_are_kept_until_the_store_has_them(queue: Queue) -> None:
    store = queue.store
    assert isinstance(store, FailingStore)
    handle = await queue.enqueue(jobs.add, 1)
    async with Worker(queue) as worker:
        await handle.result(5)
        second = await queue.enqueue(jobs.waits)
        await reached(second, JobState.RUNNING)
        store.before = 3
        third = await queue.enqueue(jobs.add, 2)
        assert await third.result(5) == 4
        assert worker.health().trouble is None
        await second.cancel()
        store.before = 2
        await reached(second, JobState.CANCELLED)
    assert store.before == 0


async def test_jobs_whose_claim_was_lost_on_the_way_run_all_the_same(
    queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    store = queue.store
    assert isinstance(store, FailingStore)
    handles = await queue.enqueue_many(jobs.double.job(number) for number in range(30))
    store.after = 2
    async with Worker(queue, concurrency=5):
        assert [await each.result(5) for each in handles] == [2 * n for n in range(30)]
    assert "ran elsewhere" not in caplog.text


async def test_a_lost_lease_is_regained(
    queue: Queue, time: TravelClock, events: list[tuple[str, dict[str, object]]]
) -> None:
    kept = await queue.enqueue(jobs.waits)
    async with Worker(queue, lease=30.0) as worker:
        await time.advance(1)
        # As if the whole process had been stopped for a minute.
        time.jump(60)
        await time.advance(2)
        job = await kept.job()
        assert (job.state, job.attempt, job.crashes) == (JobState.RUNNING, 2, 1)
        assert worker.health().running == 1
        assert len(jobs.seen) == 2
        # What the first attempt came to is refused, and all of it is told.
        told = {name: said for name, said in events if name.startswith("queue.")}
        assert told == {
            "queue.rescued": {"jobs": 1},
            "queue.lost": {"worker": worker.name},
            "queue.refused": {"job": str(kept.id)},
        }
        assert await kept.cancel()
        await time.advance(2)
        assert await kept.state() is JobState.CANCELLED


@task
async def notes(number: int) -> None:
    jobs.seen.append(number)


async def test_what_waited_for_a_place_when_the_lease_was_lost_runs_once(
    queue: Queue, time: TravelClock
) -> None:
    first = await queue.enqueue(jobs.waits)
    for number in range(3):
        await queue.enqueue(notes, number)
    async with Worker(queue, lease=30.0, concurrency=1, prefetch=3) as worker:
        await time.advance(0.5)
        assert (worker.health().running, worker.health().waiting) == (1, 3)
        time.jump(60)
        await time.advance(2)
        await first.cancel()
        await time.advance(5)
        assert sorted(each for each in jobs.seen if isinstance(each, int)) == [0, 1, 2]


async def crash(queue: Queue, time: TravelClock, poison: int = 3) -> None:
    """Let the worker that has claimed the job be gone."""
    await queue.store.enter("other", b"", 1.0)
    assert (await queue.store.exchange("other", [], ["default"], 1)).jobs
    time.jump(2)
    assert await queue.store.rescue(poison) == 1


async def test_a_job_whose_worker_ended_does_not_wait_for_others(
    queue: Queue, time: TravelClock
) -> None:
    async with Worker(queue) as worker:
        long = await queue.enqueue(jobs.waits)
        await time.advance(1)
        assert await long.state() is JobState.RUNNING
        await queue.pause()
        again = await queue.enqueue(jobs.add, 1)
        await queue.resume()
        await crash(queue, time)
        await time.advance(2)
        assert await again.result(1) == 3
        assert worker.health().running == 1
        await long.cancel()
        await time.advance(2)


async def test_a_job_that_has_one_crash_left_runs_alone(queue: Queue, time: TravelClock) -> None:
    suspect = await queue.enqueue(jobs.waits)
    for _ in range(2):
        await crash(queue, time)
    async with Worker(queue) as worker:
        await time.advance(1)
        assert await suspect.state() is JobState.RUNNING
        innocent = await queue.enqueue(jobs.add, 1)
        await time.advance(3)
        assert await innocent.state() is JobState.WAITING
        assert worker.health().running == 1
        await suspect.cancel()
        await time.advance(2)
        assert await innocent.result(1) == 3


async def test_what_is_claimed_ahead_goes_back_when_the_worker_stops(queue: Queue) -> None:
    handles = [await queue.enqueue(jobs.waits) for _ in range(10)]
    async with Worker(queue, concurrency=1, prefetch=5, drain=0.0) as worker:

        async def has_five() -> bool:
            return worker.health().waiting == 5

        await until(has_five)
    stored = [await each.job() for each in handles]
    assert {(each.state, each.failures, each.crashes) for each in stored} == {
        (JobState.WAITING, 0, 0)
    }
    assert len(jobs.seen) == 1


async def test_short_jobs_are_claimed_ahead(queue: Queue) -> None:
    store = queue.store
    assert isinstance(store, FailingStore)
    handles = await queue.enqueue_many(jobs.double.job(number) for number in range(1000))
    async with Worker(queue, concurrency=1):
        assert await handles[-1].result(10) == 1998
    assert store.exchanges < 100


def test_weights_say_which_queue_is_asked_first() -> None:
    weights = Weights({"a": 3, "b": 1})
    first = [weights.order()[0] for _ in range(4000)]
    assert 2800 < first.count("a") < 3200


async def test_a_worker_ends_when_it_has_done_enough(queue: Queue) -> None:
    handles = await queue.enqueue_many(jobs.double.job(number) for number in range(5))
    async with Worker(queue, recycle=Recycle(jobs=5), lease=0.2) as worker:
        async with asyncio.timeout(5):
            await worker.stopped()
        assert worker.health().state == "stopped"
    assert [await each.state() for each in handles] == [JobState.COMPLETED] * 5
    assert Recycle(memory=1).reason(0, 0.0, lambda: 2**21) == "it holds 2 MB"
    assert Recycle(seconds=10).reason(0, 11.0, lambda: 0) == "it is 11 s old"
    assert not Recycle()


async def test_a_second_stop_gives_everything_back_at_once(queue: Queue) -> None:
    handle = await queue.enqueue(jobs.waits)
    async with Worker(queue, drain=600.0) as worker:
        await reached(handle, JobState.RUNNING)
        worker.stop()
        assert worker.health().state == "draining"
        worker.stop(now=True)
        async with asyncio.timeout(5):
            await worker.stopped()
    job = await handle.job()
    assert (job.state, job.failures, job.crashes) == (JobState.WAITING, 0, 0)


async def test_what_ends_while_a_worker_stops_is_told_at_once(queue: Queue) -> None:
    handle = await queue.enqueue(jobs.waits)
    soon = await queue.enqueue(jobs.add, 1)
    async with Worker(queue, drain=600.0) as worker:
        await reached(handle, JobState.RUNNING)
        worker.stop()
        assert await soon.result(5) == 3
        worker.stop(now=True)


async def test_finished_jobs_are_pruned(queue: Queue, time: TravelClock) -> None:
    handle = await queue.enqueue(jobs.add.options(keep=100.0), 1)
    async with Worker(queue):
        await time.advance(1)
        assert await handle.state() is JobState.COMPLETED
        await time.advance(200)
        assert await queue.counts() == []


async def test_a_schedule_that_breaks_stops_no_job(
    queue: Queue,
    time: TravelClock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def breaks() -> float:
        raise ValueError("a mistake in a schedule")

    monkeypatch.setattr(queue.schedules, "tick", breaks)  # as a mistake would
    async with Worker(queue):
        await time.advance(20)
        handle = await queue.enqueue(jobs.add, 1)
        await time.advance(2)
        assert await handle.state() is JobState.COMPLETED
    assert caplog.text.count("could not be looked at: a mistake") >= 3


async def test_a_paused_queue_costs_nothing(queue: Queue) -> None:
    store = queue.store
    assert isinstance(store, FailingStore)
    await queue.pause()
    await queue.enqueue(jobs.add, 1)
    async with Worker(queue):
        await passed(0.2)
        assert store.exchanges < 5


async def test_a_worker_may_find_its_queues(queue: Queue) -> None:
    async with Worker(queue, queues=None):
        handle = await queue.enqueue(jobs.add.options(queue="another"), 1)
        assert await handle.result(5) == 3


@pytest.mark.parametrize(
    "settings",
    [{"concurrency": 0}, {"lease": 0.0}, {"prefetch": -1}, {"queues": ()}, {"queues": {"a": 0}}],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Worker(Queue(MemoryStore(), tasks=[]), **settings)  # type: ignore[arg-type]  # the mistakes


def test_a_task_in_a_process_takes_only_data() -> None:
    with pytest.raises(TaskError, match="called in another process"):
        task(name="p1", run="process")(jobs.tells.function)
    with pytest.raises(TaskError, match="not async"):
        task(name="p2", run="process")(jobs.add.function)


async def test_a_worker_whose_beginning_or_end_is_cancelled_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    async with Queue.from_url(f"sqlite:///{tmp_path / 'jobs.db'}", tasks=[jobs.__name__]) as queue:

        async def work() -> None:
            async with Worker(queue, drain=0.1, grace=0.1):
                await asyncio.sleep(0)

        for number in range(25):
            task = asyncio.create_task(work())
            await asyncio.sleep(number * 0.001)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert await queue.workers() == []
        names = [each.name for each in threading.enumerate()]
        names += [each.get_name() for each in asyncio.all_tasks()]
        assert not {"oxidite queue lease", "oxidite queue clock", "oxidite queue worker"} & {*names}


async def test_who_is_cancelled_while_a_worker_ends_has_its_jobs_given_back(queue: Queue) -> None:
    handle = await queue.enqueue(jobs.waits)
    ending = asyncio.Event()

    async def work() -> None:
        async with Worker(queue, drain=3600.0):
            while not jobs.seen:
                await queue.store.wait(["default"], 0.01)
            ending.set()

    task = asyncio.create_task(work())
    await ending.wait()
    await asyncio.sleep(0)
    task.cancel()
    (found,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(found, asyncio.CancelledError)
    assert await handle.state() is JobState.WAITING
