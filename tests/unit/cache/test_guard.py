"""A store that fails: what is served without it, and what it is told when it answers again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import pytest
from tests.unit.cache.stores import Remote

from oxidite import clock
from oxidite.cache import Cache
from oxidite.clock import TravelClock
from oxidite.errors import BackendError, BackendUnavailableError


@pytest.fixture
def backend() -> Remote:
    return Remote()


@pytest.fixture
async def cache(backend: Remote) -> AsyncIterator[Cache]:
    with clock.use(TravelClock()):
        async with Cache(backend, jitter=0.0) as cache:
            yield cache


def travel(seconds: float) -> None:
    current = clock.current()
    assert isinstance(current, TravelClock)
    current.jump(seconds)


async def test_without_its_store_a_cache_raises_nothing(cache: Cache, backend: Remote) -> None:
    backend.is_down = True
    await cache.set("key", 1)
    assert await cache.get("absent", int, 7) == 7
    assert await cache.get_many(["a", "b"], int) == {}
    assert not await cache.delete("key")
    assert not await cache.add("key", 1)
    assert not await cache.touch("key", 1)
    await cache.invalidate_tags("t")
    await cache.clear()
    assert await cache.get_or_set("made", lambda: 3, type=int) == 3
    assert (await cache.stats()).is_failing
    assert cache.counts.errors > 5


async def test_what_was_made_without_the_store_is_remembered_here(
    cache: Cache, backend: Remote
) -> None:
    backend.is_down = True
    calls = []

    def make() -> int:
        calls.append(1)
        return 1

    for _ in range(5):
        assert await cache.get_or_set("key", make, tags=["t"]) == 1
    assert len(calls) == 1
    await cache.invalidate_tags("t")
    assert await cache.get_or_set("key", make, tags=["t"]) == 1
    assert len(calls) == 2


async def test_what_is_remembered_is_served_while_the_store_is_away(
    cache: Cache, backend: Remote
) -> None:
    await cache.set("key", 1)
    backend.is_down = True
    assert await cache.get("key", int) == 1


async def test_locks_and_numbers_need_the_store(cache: Cache, backend: Remote) -> None:
    backend.is_down = True
    with pytest.raises(BackendUnavailableError):
        await cache.incr("n")
    with pytest.raises(BackendUnavailableError):
        async with cache.lock("name"):
            pass


async def test_errors_are_raised_when_asked_for(backend: Remote) -> None:
    async with Cache(backend, raises=True) as cache:
        backend.is_down = True
        for work in (
            cache.get("key", int),
            cache.set("key", 1),
            cache.delete("key"),
            cache.invalidate_tags("t"),
            cache.get_or_set("key", lambda: 1, type=int),
        ):
            with pytest.raises(BackendError):
                await work


async def test_after_some_failures_the_store_is_left_alone_and_then_one_call_tries(
    cache: Cache, backend: Remote
) -> None:
    backend.is_down = True
    for number in range(20):
        await cache.get(str(number), int)
    assert backend.calls.count("get_many") == 5
    backend.calls.clear()
    travel(2)
    gate = backend.gate("get_many")
    backend.is_down = False
    trying = asyncio.ensure_future(cache.get("a", int))
    await gate.reached()
    await cache.get("b", int)  # not asked while one tries
    assert backend.calls == ["get_many"]
    gate.open()
    await trying
    await cache.get("c", int)
    assert backend.calls == ["get_many", "get_many"]
    assert not (await cache.stats()).is_failing


async def test_a_store_that_still_fails_is_left_alone_for_longer(
    cache: Cache, backend: Remote
) -> None:
    backend.is_down = True
    for _ in range(5):
        await cache.get("key", int)
    tried = []
    for second in range(200):
        backend.calls.clear()
        await cache.get("key", int)
        if backend.calls:
            tried.append(second)
        travel(1)
    gaps = [b - a for a, b in pairwise(tried)]
    assert 3 < len(tried) < 20
    assert max(gaps) >= 15
    assert max(gaps) <= 46  # half a minute, and half of that by chance


async def test_who_fails_together_does_not_lengthen_the_rest(cache: Cache, backend: Remote) -> None:
    gates = []
    reading = []
    for number in range(50):
        gate = backend.gate("get_many")
        reading.append(asyncio.ensure_future(cache.get(str(number), int)))
        await gate.reached()
        gates.append(gate)
    backend.breaks = True
    for gate in gates:
        gate.open()
    await asyncio.gather(*reading)
    assert (await cache.stats()).is_failing
    backend.breaks = False
    travel(2)
    await cache.get("key", int)
    assert not (await cache.stats()).is_failing


async def test_a_store_of_which_something_is_heard_is_tried_at_once(
    cache: Cache, backend: Remote
) -> None:
    backend.is_down = True
    for _ in range(200):
        await cache.get("key", int)
        travel(1)
    backend.is_down = False
    assert backend.listener is not None
    backend.listener.lost()  # as when a connection that broke is there again
    await cache.get("key", int)
    assert not (await cache.stats()).is_failing


async def test_a_store_that_does_not_answer_is_given_up_in_time(backend: Remote) -> None:
    async with Cache(backend, store_timeout=0.01) as cache:
        backend.gate("get_many")
        assert await cache.get("key", int) is None
        assert cache.counts.errors == 1
        assert await cache.get("key", int) is None
        assert cache.counts.errors == 1


async def test_a_cancelled_try_lets_another_one_try(cache: Cache, backend: Remote) -> None:
    backend.is_down = True
    for _ in range(5):
        await cache.get("key", int)
    backend.is_down = False
    travel(2)
    gate = backend.gate("get_many")
    trying = asyncio.ensure_future(cache.get("a", int))
    await gate.reached()
    trying.cancel()
    await asyncio.gather(trying, return_exceptions=True)
    await cache.get("b", int)
    assert not (await cache.stats()).is_failing


async def test_what_was_to_be_deleted_is_gone_before_it_can_be_read(
    cache: Cache, backend: Remote
) -> None:
    await cache.set_many({"a": "old", "b": "old", "c": "old", "d": "kept", "n:e": "old"})
    await cache.set("tagged", "old", tags=["t"])
    await cache.set("soft", "old", tags=["s"], grace=60)
    backend.is_down = True
    await cache.delete_many(["a", "b"])
    await cache.set("c", "new")  # did not arrive: what is there is no longer true
    await cache.invalidate_tags("t")
    await cache.invalidate_tags("s", soft=True)
    await cache.namespace("n").clear()
    backend.is_down = False
    travel(100)
    keys = ["a", "b", "c", "d", "n:e", "tagged", "soft"]
    assert await cache.get_many(keys, str) == {"d": "kept"}
    assert backend.calls[-6:] == [
        "clear",
        "invalidate",
        "invalidate",
        "delete_many",
        "get_many",
        "epochs",
    ]
    assert await cache.get_or_set("soft", _fail, type=str) == "old"


async def test_one_call_that_failed_is_made_good_at_the_next(cache: Cache, backend: Remote) -> None:
    await cache.set("key", "old")
    backend.is_down = True
    await cache.delete("key")
    backend.is_down = False
    assert await cache.get("key", str) is None
    assert not cache._core.guard.owed


async def test_what_is_too_much_to_remember_clears_everything(
    cache: Cache, backend: Remote
) -> None:
    await cache.set("key", "old")
    backend.is_down = True
    for number in range(11):
        await cache.delete_many([f"{number}:{each}" for each in range(1000)])
    assert len(cache._core.guard.owed.keys) < 10_000
    backend.is_down = False
    travel(100)
    assert await cache.get("key", str) is None


async def test_what_could_not_be_told_is_still_owed(cache: Cache, backend: Remote) -> None:
    await cache.set("key", "old")
    backend.is_down = True
    for _ in range(5):
        await cache.delete("key")
    travel(100)
    await cache.get("other", str)  # tries, and fails while telling
    backend.is_down = False
    travel(100)
    assert await cache.get("key", str) is None


async def test_what_is_owed_again_while_it_is_told_is_told_again(
    cache: Cache, backend: Remote
) -> None:
    backend.is_down = True
    await cache.delete("key")
    backend.is_down = False
    gate = backend.gate("delete_many", after=True)
    reading = asyncio.ensure_future(cache.get("other", int))
    await gate.reached()
    cache._core.guard.owed.add(keys=["key"])  # of a write that arrives after this deletion
    gate.open()
    await reading
    await cache.get("other", int)
    assert backend.calls.count("delete_many") == 3
    assert not cache._core.guard.owed


async def test_who_asks_while_it_is_told_waits_for_the_end_of_that(
    cache: Cache, backend: Remote
) -> None:
    await cache.set("key", "old", tags=["t"])
    backend.is_down = True
    await cache.invalidate_tags("t")
    backend.is_down = False
    gate = backend.gate("invalidate")
    first = asyncio.ensure_future(cache.get("other", str))
    await gate.reached()
    second = asyncio.ensure_future(cache.get("key", str))
    await asyncio.sleep(0)
    gate.open()
    assert await first is None
    assert await second is None


async def test_what_takes_long_to_be_told_is_told_in_the_end(backend: Remote) -> None:
    async with Cache(backend, l1=None, store_timeout=0.02) as cache:
        await cache.set_many({"n:a": 1, "b": 2})
        backend.is_down = True
        await cache.namespace("n").clear()
        backend.is_down = False
        gate = backend.gate("clear")
        assert await cache.get("b", int) is None  # it could not wait for so long
        assert await cache.get("b", int) is None
        assert backend.calls.count("clear") == 1
        gate.open()
        assert await cache.get("b", int) == 2
        assert await cache.get("n:a", int) is None


async def test_clearing_and_looking_through_all_may_take_longer_than_other_calls(
    backend: Remote,
) -> None:
    async with Cache(backend, store_timeout=0.02) as cache:
        await cache.set("key", 1)
        gate = backend.gate("clear")
        clearing = asyncio.ensure_future(cache.clear())
        await gate.reached()
        assert await asyncio.wait((clearing,), timeout=0.1) == (set(), {clearing})
        gate.open()
        await clearing
        assert cache.counts.errors == 0
        assert not cache._core.guard.owed


async def test_a_cache_that_closes_while_the_store_is_told_waits_for_nothing(
    backend: Remote,
) -> None:
    async with Cache(backend) as cache:
        backend.is_down = True
        await cache.delete("key")
        backend.is_down = False
        gate = backend.gate("delete_many")
        reading = asyncio.ensure_future(cache.get("key", int, 7))
        await gate.reached()
    assert await reading == 7


async def test_failures_are_logged_but_not_each(
    cache: Cache, backend: Remote, caplog: pytest.LogCaptureFixture
) -> None:
    backend.is_down = True
    with caplog.at_level(logging.WARNING, "oxidite.cache"):
        for _ in range(100):
            await cache.get("key", int)
        assert len(caplog.records) == 1
        assert "does without its store" in caplog.text
        travel(100)
        backend.is_down = False
        await cache.get("key", int)
        assert "answers again" in caplog.text


async def test_an_error_that_says_nothing_of_the_store_does_not_count(
    cache: Cache, backend: Remote
) -> None:
    await cache.set("key", "text")
    for _ in range(20):
        with pytest.raises(BackendError, match="no number"):
            await cache.incr("key")
    assert not (await cache.stats()).is_failing


def _fail() -> str:
    raise RuntimeError("no")


async def test_thousands_are_deleted_and_owed_in_parts_that_a_slow_store_can_do(
    backend: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that is never done in time would be owed for ever, and nothing be read before."""
    parts: list[int] = []
    delete_many = backend.delete_many

    async def delete(keys: Sequence[str]) -> int:
        parts.append(len(keys))
        return await delete_many(keys)

    monkeypatch.setattr(backend, "delete_many", delete)
    keys = [f"key:{number}" for number in range(2000)]
    async with Cache(backend) as cache:
        await cache.set_many(dict.fromkeys(keys, 1))
        assert await cache.delete_many(keys) == 2000
        assert max(parts) <= 500
        await cache.set_many(dict.fromkeys(keys, 1))
        parts.clear()
        backend.is_down = True
        assert await cache.delete_many(keys) == 0
        assert len(parts) == 1
        backend.is_down = False
        parts.clear()
        assert await cache.get_many(keys, int) == {}
        assert max(parts) <= 100
        assert sum(parts) == 2000
