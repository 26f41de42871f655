"""Locks and semaphores of all processes that share a store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.cache.stores import Remote

from oxidite.cache import Cache, LockLostError, LockTimeoutError
from oxidite.errors import BackendError


@pytest.fixture
def backend() -> Remote:
    return Remote()


@pytest.fixture
async def cache(backend: Remote) -> AsyncIterator[Cache]:
    async with Cache(backend) as cache:
        yield cache


async def take_away(backend: Remote) -> None:
    (owner,) = backend._locks["name"].holders
    await backend.leave("name", owner)


async def test_one_holds_a_lock_at_a_time_and_numbers_grow(cache: Cache) -> None:
    inside, most, numbers = 0, 0, []

    async def work() -> None:
        nonlocal inside, most
        async with cache.lock("name") as number:
            inside += 1
            most = max(most, inside)
            numbers.append(number)
            await cache.set("key", inside)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(5)))
    assert most == 1
    assert numbers == sorted(set(numbers))


async def test_as_many_as_there_are_slots_hold_a_semaphore(cache: Cache) -> None:
    async with cache.semaphore("api", 2), cache.semaphore("api", 2):
        with pytest.raises(LockTimeoutError, match="'api' was not free within 0 s"):
            async with cache.semaphore("api", 2, timeout=0):
                pass
    async with cache.semaphore("api", 2, timeout=0):
        pass
    with pytest.raises(ValueError, match="at least one slot"):
        cache.semaphore("api", 0)


async def test_who_waits_too_long_is_told(cache: Cache) -> None:
    async with cache.lock("name"):
        with pytest.raises(LockTimeoutError, match=r"within 0\.02 s"):
            async with cache.lock("name", timeout=0.02):
                pass


async def test_a_lock_is_free_after_an_error(cache: Cache) -> None:
    with pytest.raises(RuntimeError, match="no"):
        async with cache.lock("name"):
            raise RuntimeError("no")
    async with cache.lock("name", timeout=0):
        pass


async def test_a_lock_is_prolonged_while_it_is_held(cache: Cache, backend: Remote) -> None:
    async with cache.lock("name", ttl=0.06):
        await backend.until("extend", 4)
        with pytest.raises(LockTimeoutError):
            async with cache.lock("name", timeout=0):
                pass


async def test_a_lock_that_is_lost_stops_what_it_protects(cache: Cache, backend: Remote) -> None:
    steps = []

    async def work() -> None:
        async with cache.lock("name", ttl=0.06):
            await take_away(backend)
            steps.append("begun")
            await asyncio.Event().wait()
            steps.append("ended")

    with pytest.raises(LockLostError, match="'name' was lost"):
        await work()
    assert steps == ["begun"]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_lock_is_lost_before_its_time_when_the_store_is_away(
    cache: Cache, backend: Remote
) -> None:
    async def work() -> None:
        async with cache.lock("name", ttl=1):
            backend.is_down = True
            await asyncio.Event().wait()

    with pytest.raises(LockLostError):
        await work()
    backend.is_down = False
    assert await backend.acquire("name", "another", 1, 1) is None  # nobody can have it yet


async def test_a_short_failure_of_the_store_loses_nothing(cache: Cache, backend: Remote) -> None:
    async with cache.lock("name", ttl=0.3):
        backend.is_down = True
        await backend.until("extend", 2)
        backend.is_down = False
        await backend.until("extend", 6)


async def test_a_loss_that_nobody_noticed_is_told_at_the_end(cache: Cache, backend: Remote) -> None:
    with pytest.raises(LockLostError):
        async with cache.lock("name"):
            await take_away(backend)


async def test_a_cancellation_from_outside_stays_one(cache: Cache) -> None:
    held = asyncio.Event()

    async def work() -> None:
        async with cache.lock("name"):
            held.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    await held.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with cache.lock("name", timeout=0):
        pass


async def test_who_is_cancelled_while_waiting_holds_nothing(cache: Cache, backend: Remote) -> None:
    async with cache.lock("name"):

        async def work() -> None:
            async with cache.lock("name"):
                pass

        task = asyncio.ensure_future(work())
        await backend.until("acquire", 3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with cache.lock("name", timeout=0):
        pass


async def test_who_is_cancelled_while_giving_it_back_holds_nothing(
    cache: Cache, backend: Remote
) -> None:
    gate = backend.gate("leave")

    async def work() -> None:
        async with cache.lock("name", ttl=30):
            pass

    task = asyncio.create_task(work())
    await gate.reached()
    task.cancel()
    (found,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(found, asyncio.CancelledError)
    async with cache.lock("name", timeout=5):
        pass


async def test_the_same_object_is_not_held_twice(cache: Cache) -> None:
    lock = cache.lock("name")
    async with lock:
        with pytest.raises(RuntimeError, match="held by this object"):
            await lock.__aenter__()
    async with lock:  # one after another it may
        pass


async def test_a_store_that_fails_at_the_end_of_a_lock_does_no_harm(
    cache: Cache, backend: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(name: str, owner: str) -> bool:
        raise BackendError("no")

    monkeypatch.setattr(backend, "leave", fail)
    async with cache.lock("name"):
        pass
    assert cache.counts.errors == 1
