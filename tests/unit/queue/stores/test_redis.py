"""Jobs in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

import pytest
from tests.faults.proxy import Proxy
from tests.unit.queue import jobs
from tests.unit.queue.places import REDIS, own_prefix

from oxidite import clock
from oxidite.clock import TravelClock
from oxidite.drivers.redis import Redis, RedisOptions
from oxidite.errors import ConfigError
from oxidite.ids import uuid7
from oxidite.queue import Queue, Worker
from oxidite.queue.base import (
    Filter,
    JobState,
    JobStore,
    Limits,
    NewBatch,
    NewJob,
    Outcome,
    Rate,
    Ready,
    Unique,
)
from oxidite.queue.stores import stores
from oxidite.queue.stores.redis import RedisStore
from oxidite.testing.contracts import JobEventsContract, JobStoreContract

pytestmark = pytest.mark.service("redis")


@pytest.fixture
async def prefix() -> AsyncIterator[str]:
    async with own_prefix() as prefix:
        yield prefix


@pytest.fixture
async def shared(prefix: str) -> AsyncIterator[RedisStore]:
    options, _ = RedisOptions.from_url(REDIS)
    async with RedisStore(options, prefix=prefix) as store:
        yield store


class TestRedis(JobStoreContract, JobEventsContract):
    @pytest.fixture
    def store(self, shared: RedisStore) -> JobStore:
        return shared


Other = Callable[[], RedisStore]


@pytest.fixture
def other(prefix: str) -> Other:
    """Make what another process would have."""

    def made() -> RedisStore:
        options, _ = RedisOptions.from_url(REDIS)
        return RedisStore(options, prefix=prefix)

    return made


def job(name: str = "task", **settings: object) -> NewJob:
    known: dict[str, object] = {"id": uuid7(), "queue": "q", "task": name, "args": b"args"}
    return NewJob(**known | settings)  # type: ignore[arg-type]  # the fields of NewJob


async def claimed(store: JobStore, limit: int = 100, worker: str = "w") -> list[Ready]:
    return (await store.exchange(worker, [], ["q"], limit)).jobs


def completed(ready: Sequence[Ready]) -> list[Outcome]:
    return [Outcome(id=each.id, attempt=each.attempt, kind="completed") for each in ready]


async def until(count: int, waits: Sequence[asyncio.Future[Sequence[Ready]]]) -> float:
    """Wait until so many are done, and return how long it took."""
    began = perf_counter()
    async with asyncio.timeout(10):
        while sum(each.done() for each in waits) < count:
            await asyncio.wait(
                [each for each in waits if not each.done()], return_when=asyncio.FIRST_COMPLETED
            )
    return perf_counter() - began


async def waiting(each: JobStore, *queues: str) -> asyncio.Future[Sequence[Ready]]:
    """Let a process wait, and return when the server knows of it."""
    future = asyncio.ensure_future(each.wait(list(queues), 60.0))
    await each.wait(["nothing here"], 0.05)
    return future


async def test_one_push_wakes_one_process(shared: RedisStore, other: Other) -> None:
    await shared.enter("w", b"", 30.0)
    async with other() as mine, other() as theirs:
        waits = [await waiting(mine, "q"), await waiting(theirs, "q")]
        await shared.push([job()])
        assert await until(1, waits) < 0.5
        await claimed(shared)
        await shared.wait(["nothing here"], 0.1)
        assert sum(each.done() for each in waits) == 1
        await shared.push([job()])
        assert await until(2, waits) < 0.5


async def test_who_no_longer_waits_passes_it_on(shared: RedisStore, other: Other) -> None:
    async with other() as busy, other() as idle:
        for number in range(10):
            queues = (f"a{number}", f"b{number}")
            first = await waiting(busy, *queues)
            await shared.push([job(queue=queues[0])])
            await until(1, [first])
            second = await waiting(idle, queues[1])
            await shared.push([job(queue=queues[1])])
            assert await until(1, [second]) < 0.5


async def test_who_has_claimed_enough_wakes_the_next(shared: RedisStore, other: Other) -> None:
    async with other() as mine:
        await shared.enter("w", b"", 30.0)
        wait = await waiting(mine, "q")
        await shared.pause("q", paused=True)
        await shared.push([job(), job()])
        await until(1, [wait])
        wait = await waiting(mine, "q")
        await shared.pause("q", paused=False)
        await until(1, [wait])
        await claimed(shared)
        wait = await waiting(mine, "q")
        async with other() as busy:
            taken = await waiting(busy, "q")
            await shared.push([job(), job()])
            # Whoever of the two is woken: when it leaves one job, the other is.
            await until(1, [wait, taken])
            await claimed(shared, 1)
            assert await until(2, [wait, taken]) < 0.5


async def test_a_job_that_is_due_soon_wakes_when_it_is(shared: RedisStore, other: Other) -> None:
    async with other() as mine:
        wait = await waiting(mine, "q")
        await shared.push([job(delay=0.3)])
        await until(1, [wait])
        again = asyncio.ensure_future(mine.wait(["q"], 60.0))
        assert 0.1 < await until(1, [again]) < 0.6
        await shared.enter("w", b"", 30.0)
        assert len(await claimed(shared)) == 1


async def test_who_may_not_claim_does_not_spin(shared: RedisStore) -> None:
    await shared.push([job()])
    rounds = 0
    began = perf_counter()
    while perf_counter() - began < 0.5:
        assert await claimed(shared, worker="never entered") == []
        await shared.wait(["q"], 1.0)
        rounds += 1
    assert rounds < 15


async def test_an_answer_that_never_came_loses_nothing(shared: RedisStore, other: Other) -> None:
    """What a worker was given goes back, when it does not know of it."""
    pushed = [job(), job()]
    await shared.push(pushed)
    await shared.enter("w", b"", 600.0)
    first = await claimed(shared)
    assert [each.attempt for each in first] == [1, 1]
    async with other() as mine:
        again = await claimed(mine)
    assert [(each.id, each.attempt) for each in again] == [(each.id, 2) for each in pushed]
    assert all((each.failures, each.crashes) == (0, 0) for each in again)
    refused = await shared.exchange("w", completed(first), ["q"], 0)
    assert refused.refused == [each.id for each in pushed]


async def test_what_a_worker_has_it_keeps(shared: RedisStore) -> None:
    await shared.push([job() for _ in range(5)])
    await shared.enter("w", b"", 600.0)
    seen = [each for _ in range(5) for each in await claimed(shared, 1)]
    assert {each.attempt for each in seen} == {1}
    await shared.exchange("w", completed(seen[:2]), ["q"], 0)
    assert await claimed(shared) == []
    (worker,) = await shared.workers()
    assert worker.running == 3


async def test_exchanges_of_one_worker_that_overlap_keep_their_order(shared: RedisStore) -> None:
    await shared.push([job() for _ in range(50)])
    await shared.enter("w", b"", 600.0)
    found = await asyncio.gather(*(claimed(shared, 5) for _ in range(10)))
    assert len({each.id for some in found for each in some}) == 50
    assert {each.attempt for some in found for each in some} == {1}


async def test_more_than_one_step_can_do(shared: RedisStore) -> None:
    """Pushed, claimed, handed in, given back, found, cancelled, deleted: 1200 at once."""
    some = [job(group="g") for _ in range(1200)]
    assert len(await shared.push(some)) == 1200
    await shared.enter("w", b"", 30.0)
    ready = [each for _ in range(3) for each in await claimed(shared, 500)]
    assert [each.id for each in ready] == [each.id for each in some]
    await shared.exit("w")
    await shared.enter("w", b"", 30.0)
    ready = [each for _ in range(3) for each in await claimed(shared, 500)]
    assert {each.attempt for each in ready} == {2}
    assert (await shared.exchange("w", completed(ready[:700]), ["q"], 0)).refused == []
    newest_first = [each.id async for each in shared.find(Filter(group="g"))]
    assert newest_first == [each.id for each in reversed(some)]
    done = Filter(states=frozenset((JobState.COMPLETED,)))
    assert len([each async for each in shared.find(done)]) == 700
    running = Filter(states=frozenset((JobState.RUNNING,)))
    assert len([each async for each in shared.find(running)]) == 500
    (first, second) = await shared.counts(Filter(group="g"))
    assert (first.count, second.count) == (700, 500)
    assert await shared.cancel(Filter(queue="q")) == 500
    assert await shared.retry(done) == 700
    assert await shared.delete(Filter(group="g")) == 700
    assert await shared.delete(Filter(group="g")) == 0


async def test_many_jobs_of_a_lost_worker_come_back(shared: RedisStore) -> None:
    with clock.use(TravelClock()) as time:
        await shared.push([job() for _ in range(1200)])
        for number in range(3):
            await shared.enter(f"w{number}", b"", 10.0)
            await claimed(shared, 400, worker=f"w{number}")
        time.jump(11)
        assert await shared.rescue(3) == 1200
        assert await shared.workers() == []


async def test_large_arguments_are_pushed_in_several_steps(shared: RedisStore) -> None:
    args = bytes(1_000_000)
    pushed = await shared.push([job(args=args) for _ in range(20)])
    assert all(each.is_new for each in pushed)
    assert [len(each.args) async for each in shared.find(Filter())] == [1_000_000] * 20


async def test_a_group_that_is_held_back_goes_on_whatever_becomes_of_its_jobs(
    shared: RedisStore,
) -> None:
    await shared.limit("q", Limits(each=1))
    some = [job(str(number), group="g") for number in range(6)]
    await shared.push(some)
    await shared.enter("w", b"", 600.0)
    first = await claimed(shared)
    assert [each.task for each in first] == ["0"]
    await shared.cancel(Filter(ids=(some[1].id,)))
    assert len((await shared.exchange("w", completed(first), ["q"], 0)).refused) == 0
    await shared.delete(Filter(ids=(some[2].id,)))
    second = await claimed(shared)
    assert [each.task for each in second] == ["3"]
    await shared.limit("q", Limits())
    assert [each.task for each in await claimed(shared)] == ["4", "5"]


async def test_a_group_with_many_jobs_leaves_room_for_others(shared: RedisStore) -> None:
    await shared.limit("q", Limits(each=1))
    await shared.push([job("a", group="a") for _ in range(2500)] + [job("b", group="b")])
    await shared.enter("w", b"", 600.0)
    found = [each.task for _ in range(4) for each in await claimed(shared, 2)]
    assert found == ["a", "b"]


async def test_limits_hold_whoever_claims(shared: RedisStore) -> None:
    await shared.limit("q", Limits(running=3, rate=Rate(100, 1000.0)))
    await shared.push([job(keep=0.0) for _ in range(130)])
    names = [f"w{number}" for number in range(4)]
    for name in names:
        await shared.enter(name, b"", 600.0)
    begun = 0
    for _ in range(60):
        found = await asyncio.gather(*(claimed(shared, 2, worker=name) for name in names))
        assert sum(map(len, found)) <= 3
        begun += sum(map(len, found))
        for name, some in zip(names, found, strict=True):
            await shared.exchange(name, completed(some), ["q"], 0)
    assert begun == 100


async def test_several_processes_wait_for_one_result(shared: RedisStore, other: Other) -> None:
    new = job()
    await shared.push([new])
    await shared.enter("w", b"", 30.0)
    ready = await claimed(shared)
    async with other() as mine, other() as theirs:
        waits = [asyncio.ensure_future(each.results([new.id], 60.0)) for each in (mine, theirs)]
        for each in (mine, theirs):
            await each.results([uuid7()], 0.05)
        began = perf_counter()
        await shared.exchange("w", completed(ready), ["q"], 0)
        found = await asyncio.gather(*waits)
        assert perf_counter() - began < 0.5
    assert all(new.id in each for each in found)


async def test_nothing_is_left_of_what_is_over(shared: RedisStore, prefix: str) -> None:
    """But what is small and of no single job."""
    with clock.use(TravelClock()) as time:
        batch = uuid7()
        unique = Unique(b"key")
        await shared.limit("q", Limits(each=1, each_rate=Rate(10, 1.0)))
        await shared.push(
            [job(group="g", unique=unique, batch=batch), job(group="g", keep=10.0)],
            NewBatch(batch, 1, always=(job("after", keep=0.0),)),
        )
        await shared.enter("w", b"", 1e7)
        for _ in range(4):
            ready = await claimed(shared)
            outcomes = [
                Outcome(id=each.id, attempt=each.attempt, kind="completed", error=b"e")
                for each in ready
            ]
            await shared.exchange("w", outcomes, ["q"], 0)
        await shared.exit("w")
        time.jump(8 * 86_400)
        assert await shared.prune() == 2
        await shared.limit("q", Limits())
        async with Redis.from_url(REDIS) as redis:
            keys = cast("list[bytes]", await redis.run("KEYS", f"{{{prefix}q}}:*"))
    names = {each.decode().partition("}:")[2] for each in keys}
    assert names <= {"seq", "q:q", "qs", "t:1:qg"}


async def test_a_worker_runs_jobs_in_redis(prefix: str) -> None:
    jobs.seen.clear()
    url = f"{REDIS}?prefix={prefix}"
    async with Queue.from_url(url, tasks=[jobs.__name__]) as queue, Worker(queue):
        handles = [await queue.enqueue(jobs.add, number) for number in range(20)]
        assert [await each.result(10) for each in handles] == list(range(2, 22))
        began = perf_counter()
        for number in range(20):
            handle = await queue.enqueue(jobs.double, number)
            assert await handle.result(10) == number * 2
        assert perf_counter() - began < 4  # told, not found by looking


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://h?prefix=a b", "prefix="),
        ("redis://h?prefix=%7Ba", "prefix="),
        ("redis://h?colour=red", "colour"),
    ],
)
def test_a_url_that_cannot_be_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        stores.create(url)


async def test_who_is_cancelled_while_it_begins_to_wait_leaves_nothing_open(
    prefix: str, shared: RedisStore
) -> None:
    port = urlsplit(REDIS).port
    assert port is not None
    async with Proxy(port) as proxy:
        options, _ = RedisOptions.from_url(REDIS.replace(f":{port}/", f":{proxy.port}/"))
        async with RedisStore(options, prefix=prefix) as store:
            # As it connects, and when it has asked to be told.
            for word in (b"HELLO", b"SUBSCRIBE"):
                proxy.stops_at = word
                wait = asyncio.ensure_future(store.wait(["q"], 60.0))
                async with asyncio.timeout(10):
                    await proxy.stopped.wait()
                wait.cancel()
                await asyncio.wait([wait])
                proxy.stopped.clear()
                proxy.resume()
                # What was left open would have been heard of by now.
                await shared.wait(["none"], 0.2)
                assert await listeners(shared, store) == 0
            goes_on = await waiting(store, "q")
            assert await listeners(shared, store) == 1
            goes_on.cancel()


async def listeners(shared: RedisStore, store: RedisStore) -> int:
    """Return how many connections listen on the channel of a store, as the server says."""
    reply = await shared._redis.run("PUBSUB", "NUMSUB", store._waits._channel)
    found = cast("Mapping[bytes, int] | list[object]", reply)
    return cast("int", next(iter(found.values())) if isinstance(found, Mapping) else found[1])
