"""Making values: once for all who ask, ahead of time, behind a stale one, and what happens when it fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.unit.cache.stores import Remote, listening

from oxidite import clock
from oxidite.cache import Cache
from oxidite.clock import TravelClock
from oxidite.errors import BackendTimeoutError


class Factory:
    """Makes 1, 2, 3, …; waits when it is told to."""

    def __init__(self) -> None:
        self.made = 0
        self.cancelled = 0
        self.error: Exception | None = None
        self.slow: asyncio.Event | None = None
        self.running = asyncio.Event()

    async def __call__(self) -> int:
        self.made += 1
        number = self.made
        self.running.set()
        try:
            if self.slow is not None:
                await self.slow.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return number


@pytest.fixture
def factory() -> Factory:
    return Factory()


@pytest.fixture(params=["memory", "shared"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    backend = "memory://" if request.param == "memory" else Remote()
    async with Cache(backend, jitter=0.0, ttl=100) as cache:
        yield cache


@pytest.fixture
def time() -> Iterator[TravelClock]:
    with clock.use(TravelClock()) as time:
        yield time


async def until_done(cache: Cache) -> None:
    """Wait for what goes on behind."""
    while tasks := cache._core.background._tasks | cache._core.flights._tasks:
        await asyncio.wait(tasks)


async def test_a_thousand_who_miss_at_once_make_one_value(cache: Cache, factory: Factory) -> None:
    factory.slow = asyncio.Event()
    asking = [asyncio.ensure_future(cache.get_or_set("key", factory)) for _ in range(1000)]
    await factory.running.wait()
    factory.slow.set()
    assert await asyncio.gather(*asking) == [1] * 1000
    assert factory.made == 1
    assert await cache.get("key", int) == 1


async def test_a_value_that_is_there_is_not_made(cache: Cache, factory: Factory) -> None:
    assert await cache.get_or_set("key", factory) == 1
    assert await cache.get_or_set("key", factory) == 1
    await cache.set("key", 9)
    assert await cache.get_or_set("key", factory) == 9
    assert cache.counts.made == 1


async def test_a_factory_may_be_a_plain_function(cache: Cache) -> None:
    assert await cache.get_or_set("key", lambda: [1, 2], type=list[int]) == [1, 2]


async def test_a_factory_must_say_what_it_returns(cache: Cache) -> None:
    with pytest.raises(TypeError, match="cannot tell what its factory returns"):
        await cache.get_or_set("key", lambda: 1)


async def test_a_factory_that_returns_something_else_is_an_error(cache: Cache) -> None:
    with pytest.raises(TypeError, match=r"is a builtins\.str, which cannot be read as"):
        await cache.get_or_set("key", lambda: "text", type=int)
    assert not await cache.exists("key")


async def test_the_one_who_leaves_does_not_take_the_value_from_others(
    cache: Cache, factory: Factory
) -> None:
    factory.slow = asyncio.Event()
    first = asyncio.ensure_future(cache.get_or_set("key", factory))
    await factory.running.wait()
    with listening() as told:
        second = asyncio.ensure_future(cache.get_or_set("key", factory))
        await told.until("cache.miss")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    factory.slow.set()
    assert await second == 1
    assert factory.cancelled == 0


async def test_the_last_one_who_leaves_cancels_the_factory(cache: Cache, factory: Factory) -> None:
    factory.slow = asyncio.Event()
    asking = [asyncio.ensure_future(cache.get_or_set("key", factory)) for _ in range(2)]
    await factory.running.wait()
    for each in asking:
        each.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    await until_done(cache)
    assert factory.cancelled == 1
    # Nobody is kept from making it now.
    factory.slow = None
    assert await cache.get_or_set("key", factory) == 2


async def test_an_error_reaches_all_who_wait_and_is_not_kept(
    cache: Cache, factory: Factory
) -> None:
    factory.error = RuntimeError("broken")
    found = await asyncio.gather(
        *(cache.get_or_set("key", factory) for _ in range(5)), return_exceptions=True
    )
    assert found == [factory.error] * 5
    factory.error = None
    assert await cache.get_or_set("key", factory) == 2


async def test_a_factory_that_asks_for_itself_is_an_error(cache: Cache) -> None:
    async def own() -> int:
        return await cache.get_or_set("key", own)

    with pytest.raises(RuntimeError, match="asks for 'key' itself"):
        await cache.get_or_set("key", own, type=int)


async def test_none_is_kept_only_when_asked_for(cache: Cache, time: TravelClock) -> None:
    calls = []

    def nothing() -> int | None:
        calls.append(1)
        return None

    for _ in range(2):
        assert await cache.get_or_set("a", nothing) is None
    assert len(calls) == 2
    for _ in range(2):
        assert await cache.get_or_set("a", nothing, negative=5) is None
    assert len(calls) == 3
    time.jump(5)
    assert await cache.get_or_set("a", nothing, negative=True) is None
    time.jump(99)
    assert await cache.get_or_set("a", nothing, negative=True) is None
    assert len(calls) == 4


async def test_jitter_only_shortens(cache: Cache, time: TravelClock) -> None:
    ends = set()
    for number in range(50):
        await cache.get_or_set(str(number), lambda: 1, type=int, ttl=100, jitter=0.5)
    for second in range(100):
        for number in range(50):
            if number not in ends and not await cache.exists(str(number)):
                assert second >= 50
                ends.add(number)
        time.jump(1)
    assert len(ends) > 30  # not all at the end, and at many moments
    assert not await cache.get_many(map(str, range(50)), int)


async def test_after_an_error_what_is_stale_is_served_within_its_grace(
    cache: Cache, factory: Factory, time: TravelClock, caplog: pytest.LogCaptureFixture
) -> None:
    assert await cache.get_or_set("key", factory, grace=60) == 1
    time.jump(101)
    assert await cache.get("key", int) is None
    factory.error = RuntimeError("broken")
    with caplog.at_level(logging.WARNING, "oxidite.cache"):
        assert await cache.get_or_set("key", factory, grace=60) == 1
    assert "Serving a stale value of key: RuntimeError: broken" in caplog.text
    # It is not asked again at once.
    assert await cache.get_or_set("key", factory, grace=60) == 1
    assert factory.made == 2
    time.jump(2)
    assert await cache.get_or_set("key", factory, grace=60) == 1
    assert factory.made == 3
    time.jump(60)
    with pytest.raises(RuntimeError, match="broken"):
        await cache.get_or_set("key", factory, grace=60)


async def test_what_is_stale_is_served_at_once_and_made_behind(
    cache: Cache, factory: Factory, time: TravelClock
) -> None:
    assert await cache.get_or_set("key", factory, grace=60, soft_timeout=0) == 1
    time.jump(101)
    factory.slow = asyncio.Event()
    found = [await cache.get_or_set("key", factory, grace=60, soft_timeout=0) for _ in range(3)]
    assert found == [1, 1, 1]
    factory.slow.set()
    await until_done(cache)
    assert factory.made == 2
    assert await cache.get_or_set("key", factory, grace=60, soft_timeout=0) == 2
    assert cache.counts.stale == 3


async def test_a_slow_factory_is_waited_for_only_so_long_when_there_is_something_stale(
    cache: Cache, factory: Factory, time: TravelClock
) -> None:
    assert await cache.get_or_set("key", factory, grace=60, soft_timeout=0.01) == 1
    time.jump(101)
    factory.slow = asyncio.Event()
    assert await cache.get_or_set("key", factory, grace=60, soft_timeout=0.01) == 1
    factory.slow.set()
    await until_done(cache)
    assert await cache.get("key", int) == 2
    assert factory.cancelled == 0


async def test_without_something_stale_a_soft_timeout_waits(cache: Cache, factory: Factory) -> None:
    factory.slow = asyncio.Event()
    asking = asyncio.ensure_future(cache.get_or_set("key", factory, soft_timeout=0))
    await factory.running.wait()
    assert not asking.done()
    factory.slow.set()
    assert await asking == 1


async def test_a_factory_that_takes_too_long_is_cancelled(cache: Cache, factory: Factory) -> None:
    factory.slow = asyncio.Event()
    with pytest.raises(BackendTimeoutError, match=r"'key' was not made within 0\.01 s"):
        await cache.get_or_set("key", factory, timeout=0.01)
    assert factory.cancelled == 1


async def test_after_the_timeout_what_is_stale_is_served(
    cache: Cache, factory: Factory, time: TravelClock
) -> None:
    await cache.get_or_set("key", factory, grace=60)
    time.jump(101)
    factory.slow = asyncio.Event()
    assert await cache.get_or_set("key", factory, grace=60, timeout=0.01) == 1
    assert factory.cancelled == 1


async def test_a_timeout_of_the_factory_itself_is_its_own(cache: Cache, factory: Factory) -> None:
    factory.error = TimeoutError("theirs")
    with pytest.raises(TimeoutError, match="theirs"):
        await cache.get_or_set("key", factory, timeout=60)


async def test_eager_values_are_made_ahead_only_if_they_are_read(
    cache: Cache, factory: Factory, time: TravelClock
) -> None:
    assert await cache.get_or_set("key", factory, eager=0.8) == 1
    time.jump(79)
    assert await cache.get_or_set("key", factory, eager=0.8) == 1
    await until_done(cache)
    assert factory.made == 1
    time.jump(2)
    assert await cache.get_or_set("key", factory, eager=0.8) == 1  # nobody waits for the new one
    await until_done(cache)
    assert factory.made == 2
    assert await cache.get_or_set("key", factory, eager=0.8) == 2
    time.jump(99)
    assert await cache.get_or_set("key", factory, eager=0.8) == 2


async def test_an_eager_refresh_that_fails_leaves_what_is_there(
    cache: Cache, factory: Factory, time: TravelClock
) -> None:
    await cache.get_or_set("key", factory, eager=0.5)
    time.jump(60)
    factory.error = RuntimeError("broken")
    assert await cache.get_or_set("key", factory, eager=0.5) == 1
    await until_done(cache)
    assert await cache.get_or_set("key", factory, eager=0.5) == 1
    assert await cache.get("key", int) == 1


async def test_a_value_that_costs_more_is_made_sooner_by_chance(
    cache: Cache, time: TravelClock
) -> None:
    from oxidite.cache.freshness import Freshness

    fresh = Freshness(beta=1.0)

    def share(left: float, cost: float) -> float:
        return sum(fresh.is_due(100 - left, 0, 100, cost) for _ in range(2000)) / 2000

    # P(cost * -log(u) >= left) = exp(-left / cost)
    assert share(1, 1) == pytest.approx(0.368, abs=0.06)
    assert share(2, 1) == pytest.approx(0.135, abs=0.05)
    assert share(2, 10) == pytest.approx(0.819, abs=0.06)
    assert share(50, 1) == 0
    # Before that moment no reader needs to draw.
    assert fresh.calm(0, 100, 1) == pytest.approx(88)


async def test_what_is_made_has_the_tags_it_was_asked_with(cache: Cache, factory: Factory) -> None:
    assert await cache.get_or_set("key", factory, tags=["t"]) == 1
    await cache.invalidate_tags("t")
    assert await cache.get_or_set("key", factory, tags=["t"]) == 2


async def test_what_may_not_be_kept_is_made_for_its_caller_alone(
    cache: Cache, factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oxidite.concurrency.seeing_alone", [lambda: True])
    assert await asyncio.gather(*(cache.get_or_set("key", factory) for _ in range(2))) == [1, 2]
    assert await cache.get("key", int) is None
    await cache.set("key", 9)
    assert await cache.get_or_set("key", factory) == 9


async def test_closing_ends_what_is_being_made() -> None:
    factory = Factory()
    factory.slow = asyncio.Event()
    cache = Cache.from_url("memory://")
    async with cache:
        asking = asyncio.ensure_future(cache.get_or_set("key", factory))
        await factory.running.wait()
    with pytest.raises(Exception, match="closed while the value was made"):
        await asking
    assert factory.cancelled == 1


class TestEntry:
    async def test_options_are_decided_while_it_is_made(
        self, cache: Cache, time: TravelClock
    ) -> None:
        async with cache.entry("key", int) as entry:
            assert not entry.found
            entry.value = 7
            entry.ttl = 5
            entry.tags = ["t"]
        async with cache.entry("key", int) as entry:
            assert entry.found
            assert entry.value == 7
        await cache.invalidate_tags("t")
        assert await cache.get("key", int) is None
        async with cache.entry("key", int) as entry:
            entry.value = 8
            entry.ttl = 5
        time.jump(6)
        assert await cache.get("key", int) is None

    async def test_what_is_found_may_be_replaced(self, cache: Cache) -> None:
        await cache.set("key", 1)
        async with cache.entry("key", int) as entry:
            entry.value = 2
        assert await cache.get("key", int) == 2

    async def test_nothing_is_kept_of_a_block_that_raises_or_sets_nothing(
        self, cache: Cache
    ) -> None:
        async with cache.entry("key", int):
            pass

        async def work() -> None:
            async with cache.entry("key", int) as entry:
                entry.value = 1
                raise RuntimeError("no")

        with pytest.raises(RuntimeError, match="no"):
            await work()
        assert await cache.get("key", int) is None

    async def test_others_wait_for_the_one_that_makes_it(self, cache: Cache) -> None:
        order = []

        async def one(number: int) -> None:
            async with cache.entry("key", int) as entry:
                if not entry.found:
                    order.append(number)
                    await told.until("cache.wait", 4)
                    entry.value = number

        with listening() as told:
            await asyncio.gather(*map(one, range(5)))
        assert len(order) == 1
        assert await cache.get("key", int) == order[0]

    async def test_an_entry_and_a_factory_do_not_make_the_same_value(
        self, cache: Cache, factory: Factory
    ) -> None:
        with listening() as told:
            async with cache.entry("key", int) as entry:
                asking = asyncio.ensure_future(cache.get_or_set("key", factory))
                await told.until("cache.wait", 2)
                entry.value = 7
        assert await asking == 7
        assert factory.made == 0
