"""Jobs that wait for events, and jobs that run anew from a step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec import Struct
from tests.unit.cache.backends.places import KINDS, place
from tests.unit.queue.places import EVERYWHERE, own_store

from oxidite import clock
from oxidite.clock import TravelClock
from oxidite.db import Database
from oxidite.encoding import MismatchError
from oxidite.errors import ConfigError
from oxidite.queue import (
    Filter,
    Handle,
    JobContext,
    JobFailedError,
    JobLostError,
    JobNotFoundError,
    JobState,
    JobStepNotFoundError,
    JobTooLargeError,
    Queue,
    Retry,
    Worker,
    given,
    last_failure,
    task,
)
from oxidite.queue.base import Outcome, Ready, Signal
from oxidite.queue.sealing import is_sealed
from oxidite.queue.stores.memory import MemoryStore
from oxidite.testing.queue import drain, inline, manual

DAY = 86_400.0
SECRETS = ["the first secret, of more than 16 bytes", "the second one, which is as long as that"]
did: list[object] = []
breaks: list[str] = []


class LeftError(Exception):
    """The job has left its place, and nobody does anything about it."""


class Payment(Struct):
    """What is waited for."""

    cents: int
    by: str = "card"


def note(word: str) -> str:
    did.append(word)
    return word


@task(retry=Retry(times=1, first=0.0))
async def sell(order: int, job: JobContext = given()) -> list[object]:
    await job.step("reserve", note, f"reserved {order}")
    payment = await job.wait_for("paid", Payment, key=order, within=7 * DAY)
    if payment is None:
        return [await job.step("release", note, "released"), job.failures]
    await job.step("deliver", note, f"delivered for {payment.cents}")
    if breaks:
        raise OSError(breaks.pop())
    return [payment.cents, payment.by, job.failures]


@task(retry=Retry(times=0))
async def waits(name: str, seconds: float, job: JobContext = given()) -> tuple[object, int]:
    return (await job.wait_for(name, bool, within=seconds), job.attempt)


@task(retry=Retry(times=0))
async def waits_for_two(job: JobContext = given()) -> list[object]:
    one = job.wait_for("one", int, within=DAY)
    return list(await asyncio.gather(one, job.wait_for("other", int, within=2 * DAY)))


@task(retry=Retry(times=0))
async def waits_in_turn(job: JobContext = given()) -> list[object]:
    return [await job.wait_for("page", int, key=number, within=DAY) for number in range(3)]


@task(retry=Retry(times=0))
async def in_steps(order: int, job: JobContext = given()) -> list[object]:
    await job.step("a", note, f"a {order}")
    await job.save(f"saved {order}")
    await job.sleep("pause", 0.0)
    await job.step("b", note, f"b {order}")
    state = job.state(str)
    await job.wait_for("go", bool, within=0.0)
    await job.step("c", note, f"c {order}")
    return [state, job.attempt]


@task
async def quick() -> str:
    return "quick"


@pytest.fixture(autouse=True)
def nothing_was_done() -> None:
    did.clear()
    breaks.clear()


@pytest.fixture(params=[*EVERYWHERE, pytest.param("mariadb", marks=pytest.mark.service("mariadb"))])
async def queue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Queue]:
    async with (
        own_store(request.param, tmp_path) as store,
        Queue(store, tasks=[__name__]) as queue,
    ):
        yield queue


@pytest.fixture
async def near() -> AsyncIterator[Queue]:
    async with Queue(MemoryStore(), tasks=[__name__]) as queue:
        yield queue


async def claimed(queue: Queue, worker: str, *, after: str = "") -> Ready:
    """Return the one job, as a worker has it; that of the worker before is lost."""
    if after:
        await queue.store.beat(after, 0.0)
        assert await queue.store.rescue(9) == 1
    await queue.store.enter(worker, b"", 30.0)
    (ready,) = (await queue.store.exchange(worker, (), ["default"], 1)).jobs
    return ready


def begun(queue: Queue, ready: Ready) -> JobContext:
    """Return a job as its function sees it, which raises when it leaves its place."""
    job = JobContext(ready, queue.store, 2000)

    def leave(_seconds: float, _waits: bool) -> None:
        raise LeftError

    job.leave = leave
    return job


# Waiting


async def test_a_job_waits_for_an_event_and_goes_on_with_its_value(queue: Queue) -> None:
    handle = await queue.enqueue(sell, 8)
    await drain(queue)
    assert (did, await handle.state()) == (["reserved 8"], JobState.WAITING)
    assert await queue.signal("paid", key=7, value=Payment(1)) == 0
    assert await drain(queue) == []
    assert await queue.signal("paid", key=8, value=Payment(990, "cash")) == 1
    await drain(queue)
    assert await handle.result(0) == [990, "cash", 0]
    assert did == ["reserved 8", "delivered for 990"]


async def test_an_event_that_came_before_is_found_at_once(queue: Queue) -> None:
    await queue.signal("paid", key=8, value=Payment(990))
    handle = await queue.enqueue(sell, 8)
    assert [each.kind for each in await drain(queue)] == ["completed"]
    assert await handle.result(0) == [990, "card", 0]


async def test_after_its_time_the_job_goes_on_without(queue: Queue) -> None:
    with clock.use(TravelClock()):
        handle = await queue.enqueue(sell, 8)
        await drain(queue, through=7 * DAY - 60.0)
        assert await handle.state() is JobState.WAITING
        await drain(queue, through=120.0)
        assert await handle.result(0) == ["released", 0]
        # It has been decided: what comes now changes nothing.
        assert await queue.signal("paid", key=8, value=Payment(990)) == 0
        await queue.retry(Filter(ids=(handle.id,)))
        await drain(queue)
        assert await handle.result(0) == ["released", 0]
    assert did == ["reserved 8", "released"]


async def test_what_has_come_is_a_step(queue: Queue) -> None:
    """A job that fails afterwards does not wait again, and has the value that it had."""
    breaks.append("after it was paid")
    handle = await queue.enqueue(sell, 8)
    await drain(queue)
    await queue.signal("paid", key=8, value=Payment(990), keep=0.0)
    await drain(queue, raise_errors=False)
    await queue.signal("paid", key=8, value=Payment(1))
    await drain(queue)
    assert await handle.result(0) == [990, "card", 1]
    assert did == ["reserved 8", "delivered for 990"]


async def test_a_worker_is_woken_and_has_its_place_meanwhile(queue: Queue) -> None:
    async with Worker(queue, concurrency=1):
        handle = await queue.enqueue(waits, "go", DAY)
        assert await (await queue.enqueue(quick)).result(10) == "quick"
        await parked(handle)
        assert await queue.signal("go") == 1
        assert await handle.result(10) == (True, 2)


async def parked(
    handle: Handle[Any], *, is_parked: bool = True
) -> None:  # Any: whatever it returns
    """Wait until a job waits for an event, or no longer does."""
    async with asyncio.timeout(10):
        while True:
            if ((await handle.job()).waits_for is not None) is is_parked:
                return
            await asyncio.sleep(0.005)


async def test_signals_that_meet_workers_are_never_missed(queue: Queue) -> None:
    """Whether they come before the job looks, while it leaves, or after it has left."""
    async with Worker(queue, concurrency=5):
        handles = [await queue.enqueue(waits, f"go {number}", DAY) for number in range(30)]

        async def signal(number: int) -> None:
            for _ in range(number % 4):
                await clock.sleep(0)
            await queue.signal(f"go {number}")

        await asyncio.gather(*(signal(number) for number in range(30)))
        found = await asyncio.gather(*(each.result(20) for each in handles))
    assert [value for value, _ in found] == [True] * 30


async def test_a_worker_that_is_lost_makes_nobody_wait_again(queue: Queue) -> None:
    await queue.enqueue(quick)
    job = begun(queue, await claimed(queue, "first"))
    with pytest.raises(LeftError):
        await job.wait_for("go", int, within=100.0)
    # Before its worker has said so.
    await queue.signal("go", value=1, keep=0.0)
    job = begun(queue, await claimed(queue, "second", after="first"))
    assert await job.wait_for("go", int, within=5000.0) == 1
    job = begun(queue, await claimed(queue, "third", after="second"))
    await queue.signal("go", value=2)
    assert await job.wait_for("go", int, within=5000.0) == 1


async def test_a_worker_that_is_lost_makes_a_wait_no_longer(queue: Queue) -> None:
    with clock.use(TravelClock()) as time:
        await queue.enqueue(quick)
        job = begun(queue, await claimed(queue, "first"))
        with pytest.raises(LeftError):
            await job.wait_for("go", int, within=100.0)
        time.jump(110.0)
        job = begun(queue, await claimed(queue, "second", after="first"))
        assert await job.wait_for("go", int, within=5000.0) is None


async def test_a_job_that_is_anothers_by_now_waits_for_nothing(queue: Queue) -> None:
    await queue.enqueue(quick)
    job = begun(queue, await claimed(queue, "first"))
    await claimed(queue, "second", after="first")
    with pytest.raises(JobLostError, match="runs elsewhere"):
        await job.wait_for("go", int, within=100.0)


async def test_events_are_waited_for_in_turn(near: Queue) -> None:
    handle = await near.enqueue(waits_in_turn)
    for number in (1, 0, 2):
        await drain(near)
        await near.signal("page", key=str(number), value=number * 10)
    await drain(near)
    assert await handle.result(0) == [0, 10, 20]


async def test_a_job_that_waits_is_cancelled(near: Queue) -> None:
    handle = await near.enqueue(waits, "go", DAY)
    await drain(near)
    assert await handle.cancel()
    assert await near.signal("go") == 0
    assert await handle.state() is JobState.CANCELLED


async def test_who_is_run_too_early_waits_on(near: Queue) -> None:
    with clock.use(TravelClock()):
        handle = await near.enqueue(waits, "go", 100.0)
        await drain(near, through=40.0)
        await near.retry(Filter(ids=(handle.id,)))
        (ran,) = await drain(near)
        assert ran.kind == "snooze"
        assert (await handle.job()).due_at - clock.timestamp() == pytest.approx(60.0, abs=1.0)
        assert await near.signal("go") == 1
        await drain(near)
        assert await handle.result(0) == (True, 3)


async def test_a_wait_of_no_time_is_a_look(near: Queue) -> None:
    handle = await near.enqueue(waits, "go", 0.0)
    await drain(near)
    assert await handle.result(0) == (None, 1)


# What is refused


async def test_a_value_of_another_type_is_no_step(near: Queue) -> None:
    """The job fails; once the right one was signalled it can run anew from there."""
    handle = await near.enqueue(sell, 8)
    await drain(near)
    await near.signal("paid", key=8, value={"cents": "many"})
    with pytest.raises(MismatchError, match="cents") as caught:
        await drain(near)
    assert "from_step='paid:8'" in "".join(caught.value.__notes__)
    await drain(near, raise_errors=False)
    assert await handle.state() is JobState.DEAD
    await near.signal("paid", key=8, value={"cents": 990})
    await handle.rerun(from_step="paid:8")
    await drain(near)
    assert await handle.result(0) == [990, "card", 0]
    assert did == ["reserved 8", "delivered for 990"]


@pytest.mark.parametrize("names", [("one", "other"), ("other", "one")])
async def test_tasks_of_a_job_wait_one_after_the_other(near: Queue, names: tuple[str, ...]) -> None:
    handle = await near.enqueue(waits_for_two)
    await drain(near)
    for name in names:
        await near.signal(name, value=len(name))
        await drain(near)
    assert await handle.result(0) == [3, 5]


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
async def test_a_wait_has_an_end(near: Queue, seconds: float) -> None:
    await near.enqueue(quick)
    job = begun(near, await claimed(near, "worker"))
    with pytest.raises(ConfigError, match="a number of seconds from 0"):
        await job.wait_for("go", bool, within=seconds)


async def test_nobody_waits_in_a_transaction(near: Queue, tmp_path: Path) -> None:
    async with Database.from_url(f"sqlite:///{tmp_path}/app.db") as db:
        await near.enqueue(quick)
        job = begun(near, await claimed(near, "worker"))
        async with db.transaction():
            with pytest.raises(ConfigError, match="Let that end before"):
                await job.wait_for("go", bool, within=1.0)


async def test_an_event_with_a_name_of_a_step_is_an_error(near: Queue) -> None:
    await near.enqueue(quick)
    job = begun(near, await claimed(near, "worker"))
    await job.step("go", note, "went")
    with pytest.raises(ConfigError, match="two steps 'go'"):
        await job.wait_for("go", bool, within=1.0)


@pytest.mark.parametrize(
    ("name", "key", "message"),
    [
        ("", "", "name of an event is printable"),
        ("a" * 201, "", "name of an event is printable"),
        ("a\n", "", "name of an event is printable"),
        ("a", "k" * 201, "key of the event 'a'"),
        ("a", "\ud800", "key of the event 'a'"),
    ],
)
async def test_names_and_keys_can_be_written(
    near: Queue, name: str, key: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        await near.signal(name, key=key)


async def test_what_no_job_could_tell_from_nothing_is_refused(near: Queue) -> None:
    with pytest.raises(ConfigError, match="given None if no event has come"):
        await near.signal("go", value=None)
    with pytest.raises(ConfigError, match=r"keep=-1\.0"):
        await near.signal("go", keep=-1.0)


async def test_a_value_has_the_size_of_arguments_at_most(near: Queue) -> None:
    near.max_size = 100
    with pytest.raises(JobTooLargeError, match="value of the event 'go' has 203 bytes"):
        await near.signal("go", value="a" * 201)


async def test_keys_are_the_same_as_text(near: Queue) -> None:
    id = UUID(int=7)
    await near.signal("numbered", key=7)
    await near.signal("named", key=id)
    await near.enqueue(quick)
    job = begun(near, await claimed(near, "worker"))
    assert await job.wait_for("numbered", bool, key="7", within=1.0)
    assert await job.wait_for("named", bool, key=str(id), within=1.0)
    with pytest.raises(LeftError):
        await job.wait_for("numbered", bool, key=71, within=1.0)


# In transactions


@pytest.mark.parametrize("kind", KINDS)
async def test_a_signal_in_a_transaction_of_its_database_is_a_part_of_it(
    kind: str, tmp_path: Path
) -> None:
    async with (
        place(kind, tmp_path) as url,
        Database.from_url(url) as db,
        Queue.from_url("db", tasks=[__name__], resources=[db]) as queue,
    ):
        handle = await queue.enqueue(waits, "go", DAY)
        await drain(queue)
        with pytest.raises(ValueError, match="undone"):
            await undone(queue, db)
        assert await drain(queue) == []
        async with db.transaction():
            assert await queue.signal("go") == 1
        await drain(queue)
        assert await handle.result(0) == (True, 2)


@pytest.mark.parametrize("kind", KINDS[1:])  # of a file of SQLite nobody else is a writer then
async def test_a_transaction_that_signals_holds_up_no_worker(kind: str, tmp_path: Path) -> None:
    """A job that leaves its place while it is open looks again when it may be over."""
    async with (
        place(kind, tmp_path) as url,
        Database.from_url(url) as db,
        Queue.from_url(url, tasks=[__name__]) as beside,
        Queue.from_url("db", tasks=[__name__], resources=[db]) as queue,
    ):
        handle = await queue.enqueue(waits, "go", DAY)
        ready = await claimed(beside, "worker")
        job = begun(beside, ready)
        with pytest.raises(LeftError):
            await job.wait_for("go", bool, within=DAY)
        async with db.transaction():
            await queue.signal("go")
            left = ended_by_waiting(ready)
            async with asyncio.timeout(5):
                task = asyncio.create_task(beside.store.exchange("worker", [left], (), 0))
                assert (await task).refused == []
        async with Worker(beside):
            assert await handle.result(10) == (True, 2)


async def undone(queue: Queue, db: Database) -> None:
    async with db.transaction():
        await queue.signal("go")
        raise ValueError("undone")


def ended_by_waiting(ready: Ready) -> Outcome:
    return Outcome(id=ready.id, attempt=ready.attempt, kind="snooze", delay=DAY, waits=True)


@pytest.mark.parametrize(
    "kind", ["memory", pytest.param("redis", marks=pytest.mark.service("redis"))]
)
@pytest.mark.parametrize("secret", [None, SECRETS[0]])
async def test_a_signal_in_a_transaction_of_another_database_goes_with_the_commit(
    kind: str, secret: str | None, tmp_path: Path
) -> None:
    async with (
        own_store(kind, tmp_path) as store,
        Database.from_url(f"sqlite:///{tmp_path}/app.db") as db,
        Queue(store, tasks=[__name__], secret=secret) as queue,
    ):
        handle = await queue.enqueue(waits, "go", DAY)
        await drain(queue)
        with pytest.raises(ValueError, match="undone"):
            await undone(queue, db)
        async with db.transaction():
            assert await queue.signal("go") == 0
            assert (await handle.job()).waits_for is not None
        await parked(handle, is_parked=False)
        await drain(queue)
        assert await handle.result(0) == (True, 2)


# Encrypted


class Seen(MemoryStore):
    """Notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[bytes] = []

    async def signal(self, signal: Signal) -> int:
        self.told += [signal.event, signal.value]
        return await super().signal(signal)

    async def listen(
        self, id: UUID, attempt: int, event: bytes, about: bytes, within: float
    ) -> bytes | None:
        self.told += [event, about]
        return await super().listen(id, attempt, event, about, within)


async def test_an_event_of_an_encrypted_queue_says_nothing() -> None:
    store = Seen()
    async with Queue(store, tasks=[__name__], secret=SECRETS[0]) as queue:
        handle = await queue.enqueue(sell, 8)
        await drain(queue)
        job = await handle.job()
        assert b"paid" in (job.waits_for or b"")
        assert b"paid" in (job.saved or b"")
        await queue.signal("paid", key=8, value=Payment(990, "Rumpelstiltskin"))
        await drain(queue)
        assert await handle.result(0) == [990, "Rumpelstiltskin", 0]
    async with Queue(Seen(), tasks=[__name__]) as plain:
        await plain.signal("paid", key=8)
        assert isinstance(plain.store, Seen)
        assert not set(plain.store.told) & set(store.told)
    assert sum(map(is_sealed, store.told)) == 3
    assert not any(b"Rumpel" in each or b"paid" in each for each in store.told)


async def test_an_event_reaches_jobs_that_wait_by_an_older_secret() -> None:
    store = MemoryStore()
    async with Queue(store, tasks=[__name__], secret=SECRETS[0]) as old:
        handle = await old.enqueue(sell, 8)
        await drain(old)
    async with Queue(store, tasks=[__name__], secret=SECRETS[::-1]) as new:
        assert await new.signal("paid", key=8, value=Payment(990)) == 1
        await drain(new)
        assert await new.handle(handle.id).result(0) == [990, "card", 0]


async def test_a_value_of_another_event_is_refused() -> None:
    store = MemoryStore()
    async with Queue(store, tasks=[__name__], secret=SECRETS[0]) as queue:
        await queue.signal("paid", key=9, value=Payment(1))
        (moved,) = store._events.values()
        handle = await queue.enqueue(sell, 8)
        await drain(queue)
        (listening,) = [each.listening for each in store._jobs.values()]
        assert listening is not None
        await store.signal(Signal(listening.event, moved[0]))
        await drain(queue, raise_errors=False)
        assert "is not what was written there" in last_failure(await handle.job()).message


# In tests of applications


async def test_a_signal_runs_what_it_wakes_where_jobs_run_at_once(near: Queue) -> None:
    async with inline(near):
        handle = await near.enqueue(sell, 8)
        assert did == ["reserved 8"]
        assert await near.signal("paid", key=8, value=Payment(990)) == 1
        assert await handle.result(0) == [990, "card", 0]


async def test_a_signal_waits_for_who_drains(near: Queue) -> None:
    with clock.use(TravelClock()):
        async with manual(near):
            handle = await near.enqueue(sell, 8)
            await drain(near, through=DAY)
            await near.signal("paid", key=8, value=Payment(990))
            assert did == ["reserved 8"]
            await drain(near)
            assert await handle.result(0) == [990, "card", 0]


# From a step on


async def test_a_job_runs_anew_from_a_step(queue: Queue) -> None:
    handle = await queue.enqueue(in_steps, 1)
    await drain(queue)
    assert did == ["a 1", "b 1", "c 1"]
    did.clear()
    await handle.rerun(from_step="b")
    await drain(queue)
    assert did == ["b 1", "c 1"]
    # What was saved before the step is there still.
    assert await handle.result(0) == ["saved 1", 2]
    did.clear()
    await handle.rerun(from_step="go")
    await queue.signal("go")
    await drain(queue)
    assert did == ["c 1"]
    did.clear()
    await handle.rerun(from_step="a")
    await drain(queue)
    assert did == ["a 1", "b 1", "c 1"]
    assert await handle.result(0) == [None, 4]


async def test_a_job_sleeps_again_that_runs_anew_from_before(near: Queue) -> None:
    handle = await near.enqueue(in_steps, 1)
    await drain(near)
    saved = (await handle.job()).saved
    assert saved is not None
    await handle.rerun(from_step="pause")
    assert b"pause" not in ((await handle.job()).saved or b"")
    assert b"pause" in saved


async def test_what_cannot_run_anew_says_why(near: Queue) -> None:
    handle = await near.enqueue(in_steps, 1)
    with pytest.raises(JobStepNotFoundError, match=r"step 'b'\. Its steps are: none"):
        await handle.rerun(from_step="b")
    await drain(near)
    with pytest.raises(JobStepNotFoundError, match=r"'a', 'pause', 'b', 'go', 'c'\."):
        await handle.rerun(from_step="d")
    await handle.rerun(from_step="b")
    await claimed(near, "worker")
    with pytest.raises(JobNotFoundError, match="runs just now"):
        await handle.rerun(from_step="a")
    with pytest.raises(JobNotFoundError, match="no longer kept"):
        await near.handle(UUID(int=1)).rerun(from_step="a")


async def test_an_encrypted_job_runs_anew_from_a_step() -> None:
    store = MemoryStore()
    async with Queue(store, tasks=[__name__], secret=SECRETS[0]) as queue:
        handle = await queue.enqueue(in_steps, 1)
        await drain(queue)
        did.clear()
        await handle.rerun(from_step="c")
        assert is_sealed((await store.get([handle.id]))[0].saved)  # type: ignore[union-attr]  # it is there
        await drain(queue)
        assert did == ["c 1"]


async def test_an_edited_job_does_its_steps_anew(queue: Queue) -> None:
    handle = await queue.enqueue(in_steps, 1)
    await drain(queue)
    did.clear()
    await queue.edit(handle.id, in_steps, 2)
    await drain(queue)
    assert did == ["a 2", "b 2", "c 2"]


async def test_a_failed_job_is_not_its_steps(near: Queue) -> None:
    """A retry as ever keeps them."""
    breaks.extend(["once", "twice"])
    await near.signal("paid", key=8, value=Payment(990))
    handle = await near.enqueue(sell, 8)
    await drain(near, raise_errors=False)
    with pytest.raises(JobFailedError):
        await handle.result(0)
    await near.retry()
    await drain(near)
    assert did == ["reserved 8", "delivered for 990"]
