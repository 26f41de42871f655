"""Redis is killed, stands still, fills up and is cut off, while jobs are pushed and run; they are counted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
from tests.faults.proxy import Proxy
from tests.faults.queue.conftest import workplace
from tests.faults.queue.record import Fault, Record
from tests.redis_server import RedisServer, redis_server

from oxidite.db import Database
from oxidite.drivers.redis import RedisFullError
from oxidite.errors import BackendError, BackendTimeoutError, BackendUnavailableError
from oxidite.ids import uuid7
from oxidite.queue import Filter, Queue, task
from oxidite.queue.base import JobState, NewJob, Outcome
from oxidite.queue.stores import stores
from oxidite.queue.stores.redis import RedisStore

ROUNDS = int(os.environ.get("OXIDITE_FAULT_ROUNDS", "1"))
_LEASE = 600.0  # longer than a test: what is lost must not come back by itself


def job(**settings: object) -> NewJob:
    known: dict[str, object] = {"id": uuid7(), "queue": "q", "task": "t", "args": b"args"}
    return NewJob(**known | settings)  # type: ignore[arg-type]  # the fields of NewJob


def store_of(url: str) -> RedisStore:
    made = stores.create(url)
    assert isinstance(made, RedisStore)
    return made


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that acknowledges nothing before it is on the disk."""
    with redis_server(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as found:
        yield found


class Counts:
    """What was acknowledged."""

    def __init__(self) -> None:
        self.pushed: list[UUID] = []
        self.ran: Counter[UUID] = Counter()
        self.ended: Counter[UUID] = Counter()
        self.failures = 0


async def pushing(store: RedisStore, counts: Counts, stop: asyncio.Event) -> None:
    while not stop.is_set():
        new = job()
        try:
            await store.push([new])
        except BackendError:
            counts.failures += 1
            await asyncio.sleep(0.01)
        else:
            counts.pushed.append(new.id)


async def working(store: RedisStore, name: str, counts: Counts, stop: asyncio.Event) -> None:
    """Work until it is to stop and nothing comes any more, as a worker does: outcomes are kept if they fail."""
    outcomes: list[Outcome] = []
    while True:
        try:
            claim = await store.exchange(name, outcomes, ["q"], 5)
        except BackendError:
            counts.failures += 1
            await asyncio.sleep(0.01)
            continue
        counts.ended.update({each.id for each in outcomes} - set(claim.refused))
        if not claim.jobs and not outcomes and stop.is_set():
            return
        counts.ran.update(each.id for each in claim.jobs)
        outcomes = [
            Outcome(id=each.id, attempt=each.attempt, kind="completed") for each in claim.jobs
        ]
        await asyncio.sleep(0.001)


@asynccontextmanager
async def at_work(url: str) -> AsyncIterator[Counts]:
    """Push and work until the end of the block, and then until everything has run."""
    counts, over, done = Counts(), asyncio.Event(), asyncio.Event()
    async with store_of(url) as store, asyncio.TaskGroup() as workers:
        for name in ("w1", "w2", "w3"):
            await store.enter(name, b"", _LEASE)
            workers.create_task(working(store, name, counts, done))
        async with asyncio.TaskGroup() as pushers:
            for _ in range(3):
                pushers.create_task(pushing(store, counts, over))
            yield counts
            over.set()
        done.set()


async def check(url: str, counts: Counts, fault: Fault, tried: int) -> None:
    """Nothing that was acknowledged is lost, nothing acknowledged twice, nothing left running."""
    assert counts.pushed
    assert [id for id in counts.pushed if not counts.ran[id]] == []
    assert [id for id, many in counts.ended.items() if many > 1] == []
    async with store_of(url) as store:
        states = {each.state for each in await store.counts(Filter())}
        assert states == {JobState.COMPLETED}
        assert {worker.running for worker in await store.workers()} == {0}
    again = sum(counts.ran.values()) - len(counts.ran)
    Record(fault=fault, store="redis", tried=tried, jobs=len(counts.pushed), again=again).settle()


async def test_nothing_acknowledged_is_lost_when_the_server_is_killed(
    durable: RedisServer,
) -> None:
    dice = random.Random(7)
    async with at_work(durable.url) as counts:
        for _ in range(4 * ROUNDS):
            await asyncio.sleep(0.2 + dice.random() / 5)
            durable.kill()
            await asyncio.to_thread(durable.start)
        await asyncio.sleep(0.5)
    assert counts.failures
    await check(durable.url, counts, "restart", 4 * ROUNDS)


async def test_a_server_that_stands_still_is_told_of_in_time_and_loses_nothing(
    durable: RedisServer,
) -> None:
    url = f"{durable.url}?timeout=0.2&connect_timeout=0.2"
    async with at_work(url) as counts, store_of(url) as store:
        for _ in range(2 * ROUNDS):
            await asyncio.sleep(0.2)
            durable.pause()
            # Unavailable, where it has not come back in time from the last pause.
            with pytest.raises(
                (BackendTimeoutError, BackendUnavailableError), match=r"in time|within"
            ):
                async with asyncio.timeout(2):
                    await store.push([job(queue="other")])
            await asyncio.sleep(0.3)
            durable.resume()
        await asyncio.sleep(0.5)
        await store.delete(Filter(queue="other"))
    assert counts.failures
    await check(durable.url, counts, "silent", 2 * ROUNDS)


async def test_a_network_that_is_cut_loses_nothing(durable: RedisServer) -> None:
    dice = random.Random(11)
    async with (
        Proxy(durable.port) as proxy,
        at_work(f"redis://127.0.0.1:{proxy.port}/0") as counts,
    ):
        for _ in range(10 * ROUNDS):
            await asyncio.sleep(dice.random() / 5)
            proxy.cut()
        await asyncio.sleep(0.5)
    assert counts.failures
    await check(durable.url, counts, "cut", 10 * ROUNDS)


async def filled(store: RedisStore) -> list[UUID]:
    """Push until there is no memory left, and return what was acknowledged."""
    pushed: list[UUID] = []
    while True:
        some = [job(args=bytes(2000), keep=0.0) for _ in range(50)]
        try:
            await store.push(some)
        except RedisFullError:
            return pushed
        pushed += [each.id for each in some]


async def test_a_server_without_memory_refuses_whole_and_gives_what_it_has(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--maxmemory", "12mb") as server:
        async with store_of(server.url) as store:
            await store.enter("w", b"", _LEASE)
            pushed = await filled(store)
            (waiting,) = await store.counts(Filter())
            assert waiting.count == len(pushed)
            assert {each.id async for each in store.find(Filter())} == set(pushed)
            # Whoever works still lives, and what is done makes room.
            assert not (await store.beat("w", _LEASE)).lost
            assert await store.rescue(3) == 0
            ran: list[UUID] = []
            outcomes: list[Outcome] = []
            while len(ran) < len(pushed):
                claim = await store.exchange("w", outcomes, ["q"], 100)
                assert claim.refused == []
                ran += [each.id for each in claim.jobs]
                outcomes = [
                    Outcome(id=each.id, attempt=each.attempt, kind="completed")
                    for each in claim.jobs
                ]
            assert ran == pushed
            await store.exchange("w", outcomes, ["q"], 0)
            assert await store.counts(Filter()) == []
            await store.push([job()])
    Record(fault="full", store="redis", tried=1, jobs=len(pushed)).settle()


@pytest.mark.parametrize(
    ("options", "warnings"),
    [
        (("--maxmemory-policy", "allkeys-lru", "--appendonly", "yes"), ["throw jobs away"]),
        ((), ["keeps no log"]),
        (("--appendonly", "yes"), []),
    ],
)
async def test_a_server_that_may_lose_jobs_is_told_of(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    options: tuple[str, ...],
    warnings: list[str],
) -> None:
    with redis_server(tmp_path, *options) as server, caplog.at_level(logging.WARNING):
        async with store_of(server.url):
            pass
    assert len(caplog.messages) == len(warnings)
    assert all(each in message for each, message in zip(warnings, caplog.messages, strict=True))


async def test_what_may_be_lost_is_said_once_by_all_processes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_server(tmp_path) as server:
        async with workplace(tmp_path, server.url) as place:
            await place.work("--processes", "2")
            await place.until(lambda: place.said.count(" works ") == 2)
            # The one that supervises has opened the store by now, too, as it prolongs the leases.
            assert place.said.count("keeps no log (appendonly no)") == 1
        caplog.clear()
        async with store_of(server.url), store_of(server.url):
            assert len(caplog.messages) == 1


@task
async def nothing() -> None:
    """Do nothing."""


async def test_what_is_committed_while_redis_is_away_is_pushed_when_it_is_back(
    durable: RedisServer, tmp_path: Path
) -> None:
    db = Database.from_url(f"sqlite:///{tmp_path / 'app.db'}")
    async with db, Queue.from_url(durable.url, tasks=[nothing]) as queue:
        durable.kill()
        async with db.transaction():
            handle = await queue.enqueue(nothing)
        durable.start()
        async with asyncio.timeout(15):
            while True:
                with contextlib.suppress(BackendError):
                    if (await queue.store.get([handle.id])) != [None]:
                        break
                await asyncio.sleep(0.05)
        assert [each.id async for each in queue.find()] == [handle.id]
