"""What is pushed is handed over to a worker that waits: it gets it once, whatever becomes of the message."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from tests.unit.queue.places import REDIS, own_prefix

from oxidite import clock
from oxidite.clock import TravelClock
from oxidite.drivers.redis import Redis, RedisOptions
from oxidite.ids import uuid7
from oxidite.queue.base import Filter, JobState, JobStore, Limits, NewJob, Outcome, Ready
from oxidite.queue.stores.redis import RedisStore

pytestmark = pytest.mark.service("redis")

Other = Callable[[], RedisStore]
Waiting = asyncio.Future[Sequence[Ready]]


@pytest.fixture
async def prefix() -> AsyncIterator[str]:
    async with own_prefix() as prefix:
        yield prefix


@pytest.fixture
def other(prefix: str) -> Other:
    """Make what another process would have."""

    def made() -> RedisStore:
        options, _ = RedisOptions.from_url(f"{REDIS}?name={_named(prefix)}")
        return RedisStore(options, prefix=prefix)

    return made


@pytest.fixture
async def pusher(other: Other) -> AsyncIterator[RedisStore]:
    async with other() as store:
        yield store


@pytest.fixture
async def mine(other: Other) -> AsyncIterator[RedisStore]:
    """The store of a worker ``w`` that has asked once, and found nothing."""
    async with other() as store:
        await store.enter("w", b"", 600.0)
        assert await exchanged(store) == []
        yield store


def _named(prefix: str) -> str:
    """Return what the connections of a test are called."""
    return prefix.strip(":").replace(":", "-")


def job(args: bytes = b"args", group: str | None = None) -> NewJob:
    return NewJob(id=uuid7(), queue="q", task="task", args=args, group=group)


def completed(ready: Sequence[Ready]) -> list[Outcome]:
    return [Outcome(id=each.id, attempt=each.attempt, kind="completed") for each in ready]


async def exchanged(
    store: JobStore, ended: Sequence[Ready] = (), *, limit: int = 100, worker: str = "w"
) -> list[Ready]:
    claim = await store.exchange(worker, completed(ended), ["q"], limit)
    assert claim.refused == []
    return claim.jobs


async def waiting(store: JobStore, *, limit: int = 5, worker: str = "w") -> Waiting:
    """Let a worker wait, and return when the server knows of it."""
    future = asyncio.ensure_future(store.wait(["q"], 60.0, worker=worker, limit=limit))
    await store.wait(["nothing here"], 0.05)
    return future


async def given(future: Waiting) -> Sequence[Ready]:
    return await asyncio.wait_for(future, 5.0)


async def running(store: RedisStore) -> int:
    """Return how many run in the queue, as its limits count them."""
    said = await store._redis.run("HGET", store._key("q:q"), "n")
    return int(said) if isinstance(said, bytes) else 0


async def states(store: JobStore) -> Counter[JobState]:
    return Counter([each.state async for each in store.find(Filter())])


async def test_a_worker_that_waits_is_given_what_is_pushed(
    pusher: RedisStore, mine: RedisStore
) -> None:
    wait = await waiting(mine)
    pushed = job(args=bytes(range(256)))
    await pusher.push([pushed])
    (ready,) = await given(wait)
    assert (ready.id, ready.attempt, ready.args) == (pushed.id, 1, bytes(range(256)))
    (stored,) = await pusher.get([pushed.id])
    assert stored is not None
    assert (stored.state, stored.worker, stored.attempt) == (JobState.RUNNING, "w", 1)
    assert await exchanged(mine, [ready]) == []
    assert await states(pusher) == {JobState.COMPLETED: 1}
    (count,) = await pusher.counts(Filter())
    assert (count.state, count.count) == (JobState.COMPLETED, 1)


async def test_it_has_them_one_after_the_other(pusher: RedisStore, mine: RedisStore) -> None:
    """Without a call between two of them: it knows what it was given."""
    ready: list[Ready] = []
    for number in range(20):
        wait = await waiting(mine)
        await pusher.push([job(args=str(number).encode())])
        ready += await given(wait)
    assert [each.args for each in ready] == [str(number).encode() for number in range(20)]
    assert {each.attempt for each in ready} == {1}
    assert await exchanged(mine, ready) == []
    assert await states(pusher) == {JobState.COMPLETED: 20}


async def test_it_is_given_no_more_than_it_wants_and_the_next_is_told(
    pusher: RedisStore, mine: RedisStore, other: Other
) -> None:
    async with other() as theirs:
        await theirs.enter("x", b"", 600.0)
        assert await exchanged(theirs, worker="x") == []
        waits = [await waiting(mine, limit=2), await waiting(theirs, limit=2, worker="x")]
        await pusher.push([job() for _ in range(5)])
        found = [await given(each) for each in waits]
        # One of them was given some, the other is told that there are others.
        assert sorted(len(each) for each in found) == [0, 2]
        rest = await exchanged(mine) + await exchanged(theirs, worker="x")
        assert len(rest) == 3
        assert {each.attempt for each in rest} == {1}


async def test_who_is_cancelled_has_not_got_it(pusher: RedisStore, mine: RedisStore) -> None:
    wait = await waiting(mine)
    await pusher.push([job()])
    wait.cancel()
    await asyncio.wait((wait,))
    if not wait.cancelled():  # it was faster
        assert len(wait.result()) == 1
        return
    (ready,) = await exchanged(mine)
    assert ready.attempt in (1, 2)
    assert await exchanged(mine, [ready]) == []
    assert await states(pusher) == {JobState.COMPLETED: 1}


async def test_a_message_that_is_lost_loses_nothing(
    pusher: RedisStore, mine: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mine._waits, "_handed", lambda _: None)
    wait = await waiting(mine)
    await pusher.push([job()])
    # The worker looks by itself, within a second: what it was given and does not know of is why.
    assert await given(wait) == []
    (ready,) = await exchanged(mine)
    assert (ready.attempt, ready.failures, ready.crashes) == (2, 0, 0)
    assert await exchanged(mine, [ready]) == []
    assert await states(pusher) == {JobState.COMPLETED: 1}


async def test_a_message_that_comes_after_the_next_call_gives_nothing(
    pusher: RedisStore, mine: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bytes] = []
    hear = mine._hear_handed
    monkeypatch.setattr(mine._waits, "_handed", kept.append)
    wait = await waiting(mine)
    await pusher.push([job()])
    async with asyncio.timeout(5):
        while not kept:
            await mine.wait(["nothing here"], 0.01)
    wait.cancel()
    (ready,) = await exchanged(mine)
    second = await waiting(mine)
    hear(kept[0])
    await mine.wait(["nothing here"], 0.05)
    assert not second.done()
    second.cancel()
    assert await exchanged(mine, [ready]) == []


async def test_a_process_that_has_gone_is_given_nothing(pusher: RedisStore, other: Other) -> None:
    gone = other()
    async with gone:
        await gone.enter("w", b"", 600.0)
        assert await exchanged(gone) == []
        (await waiting(gone)).cancel()
    async with other() as theirs:
        await theirs.enter("x", b"", 600.0)
        assert await exchanged(theirs, worker="x") == []
        wait = await waiting(theirs, worker="x")
        await pusher.push([job()])
        found = [*await given(wait), *await exchanged(theirs, worker="x")]
        assert len(found) == 1


async def test_who_has_asked_since_is_only_told(pusher: RedisStore, mine: RedisStore) -> None:
    (await waiting(mine)).cancel()
    assert await exchanged(mine) == []
    await pusher.push([job()])
    assert await states(pusher) == {JobState.WAITING: 1}
    (ready,) = await exchanged(mine)
    assert ready.attempt == 1


async def test_who_wants_no_more_is_given_nothing(pusher: RedisStore, mine: RedisStore) -> None:
    """Such as a worker that is about to end, and still has jobs that run."""
    (await waiting(mine)).cancel()
    assert await exchanged(mine, limit=0) == []
    await pusher.push([job()])
    assert await states(pusher) == {JobState.WAITING: 1}


async def test_a_lease_that_has_lapsed(pusher: RedisStore, mine: RedisStore) -> None:
    (await waiting(mine)).cancel()
    with clock.use(TravelClock()) as time:
        time.jump(700)
        await pusher.push([job()])
        assert await states(pusher) == {JobState.WAITING: 1}


async def test_a_queue_that_pauses(pusher: RedisStore, mine: RedisStore) -> None:
    wait = await waiting(mine)
    await pusher.pause("q", paused=True)
    await pusher.push([job()])
    assert await states(pusher) == {JobState.WAITING: 1}
    await pusher.pause("q", paused=False)
    found = [*await given(wait), *await exchanged(mine)]
    assert len(found) == 1


async def test_limits_hold_of_what_is_handed_over(pusher: RedisStore, mine: RedisStore) -> None:
    await pusher.limit("q", Limits(running=3, each=1))
    wait = await waiting(mine)
    await pusher.push([job(group=group) for group in ("a", "a", "b", "c", "d")])
    first = await given(wait)
    assert len(first) == 3
    assert await exchanged(mine) == []
    second = await exchanged(mine, first)
    assert len(second) == 2
    assert await exchanged(mine, second) == []
    assert await running(pusher) == 0


async def test_a_delayed_job_is_not_handed_over_before_it_is_due(
    pusher: RedisStore, mine: RedisStore
) -> None:
    wait = await waiting(mine)
    await pusher.push([NewJob(id=uuid7(), queue="q", task="task", args=b"", delay=0.3)])
    assert await states(pusher) == {JobState.WAITING: 1}
    wait.cancel()


class Storm:
    """Workers that wait, are cancelled, ask, and lose their connections, while jobs are pushed."""

    def __init__(self, seed: int, total: int) -> None:
        self.chance = random.Random(seed)
        self.total = total
        self.ended: Counter[object] = Counter()
        self.is_over = asyncio.Event()
        self.cuts = self.given = 0

    async def work(self, store: RedisStore, name: str) -> None:
        await store.enter(name, b"", 600.0)
        ready: list[Ready] = []
        while not self.is_over.is_set():
            claim = await store.exchange(name, completed(ready), ["q"], self.chance.randint(0, 3))
            self.ended.update(each.id for each in ready if each.id not in claim.refused)
            ready = [*claim.jobs, *await self.waited(store, name)]
            if sum(self.ended.values()) >= self.total:
                self.is_over.set()

    async def waited(self, store: RedisStore, name: str) -> Sequence[Ready]:
        wait = asyncio.ensure_future(store.wait(["q"], 1.0, worker=name, limit=3))
        await asyncio.wait((wait,), timeout=self.chance.choice((0.0, 0.001, 0.003, 0.1)))
        wait.cancel()
        await asyncio.wait((wait,))
        given = () if wait.cancelled() else wait.result()
        self.given += len(given)
        return given

    async def cut(self, prefix: str) -> None:
        """Cut the connections that hear what is handed over, again and again."""
        async with Redis(RedisOptions.from_url(REDIS)[0]) as redis:
            while not await self.over(0.1):
                listed = await redis.run("CLIENT", "LIST", "TYPE", "pubsub")
                assert isinstance(listed, bytes)
                for line in listed.decode().splitlines():
                    parts = [part.partition("=") for part in line.split(" ")]
                    about = {name: value for name, _, value in parts}
                    if about["name"] == _named(prefix):
                        self.cuts += 1
                        await redis.run("CLIENT", "KILL", "ID", about["id"])

    async def push(self, store: RedisStore) -> None:
        for _ in range(self.total):
            await store.push([job()])
            await self.over(self.chance.random() * 0.02)

    async def over(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.is_over.wait(), seconds)
        return self.is_over.is_set()


@pytest.mark.parametrize("seed", range(5))
async def test_each_job_is_had_once_whatever_happens(
    seed: int, pusher: RedisStore, other: Other, prefix: str
) -> None:
    storm = Storm(seed, 150)
    async with other() as first, other() as second, asyncio.timeout(60), asyncio.TaskGroup() as all:
        for number, store in enumerate((first, first, second, second)):
            all.create_task(storm.work(store, f"w{number}"))
        all.create_task(storm.cut(prefix))
        all.create_task(storm.push(pusher))
    assert set(storm.ended.values()) == {1}
    assert len(storm.ended) == storm.total
    assert await states(pusher) == {JobState.COMPLETED: storm.total}
    assert await running(pusher) == 0
    assert storm.cuts > 3
    assert storm.given > 10
