"""What happens between two steps: each interleaving is forced, and nothing old survives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.cache.stores import Remote, listening

from oxidite import clock
from oxidite.cache import Cache, Epochs
from oxidite.cache.claims import LEASE
from oxidite.clock import TravelClock


@pytest.fixture
def backend() -> Remote:
    return Remote()


@pytest.fixture
async def cache(backend: Remote) -> AsyncIterator[Cache]:
    async with Cache(backend, jitter=0.0) as cache:
        yield cache


@pytest.fixture
async def other(backend: Remote) -> AsyncIterator[Cache]:
    """Another process on the same store, which hears of nothing."""
    async with Cache(backend, l1=None) as cache:
        yield cache


class Source:
    """What values are made of. Reading it can be held up, after it was read."""

    def __init__(self) -> None:
        self.content = "old"
        self.read = asyncio.Event()
        self.go_on = asyncio.Event()
        self.reads = 0

    async def __call__(self) -> str:
        self.reads += 1
        content = self.content
        self.read.set()
        await self.go_on.wait()
        return content


async def test_what_was_made_before_an_invalidation_does_not_survive_it(
    cache: Cache, other: Cache
) -> None:
    source = Source()
    making = asyncio.ensure_future(cache.get_or_set("key", source, tags=["t"]))
    await source.read.wait()
    source.content = "new"
    await other.invalidate_tags("t")
    source.go_on.set()
    await making  # whoever asked before may get the old one
    assert await cache.get_or_set("key", source, tags=["t"]) == "new"
    assert await other.get_or_set("key", source, tags=["t"]) == "new"


async def test_the_same_when_this_process_invalidates(cache: Cache) -> None:
    source = Source()
    making = asyncio.ensure_future(cache.get_or_set("key", source, tags=["t"]))
    await source.read.wait()
    source.content = "new"
    await cache.invalidate_tags("t")
    # Who asks from now on waits for no one who began before.
    asking = asyncio.ensure_future(cache.get_or_set("key", source, tags=["t"]))
    source.go_on.set()
    assert await making == "old"
    assert await asking == "new"
    assert await cache.get("key", str) == "new"


async def test_a_fill_that_races_a_deletion_is_refused(
    cache: Cache, other: Cache, backend: Remote
) -> None:
    source = Source()
    making = asyncio.ensure_future(cache.get_or_set("key", source))
    await source.read.wait()
    source.content = "new"
    await other.delete("key")
    source.go_on.set()
    assert await making == "old"
    assert cache.counts.refused == 1
    assert cache.peek("key", str) is None
    assert await cache.get_or_set("key", source) == "new"


async def test_a_fill_that_races_a_newer_value_is_refused(cache: Cache, other: Cache) -> None:
    source = Source()
    making = asyncio.ensure_future(cache.get_or_set("key", source))
    await source.read.wait()
    await other.set("key", "newer")
    source.go_on.set()
    await making
    assert await cache.get("key", str) == "newer"


async def test_a_fill_that_races_clear_is_refused(cache: Cache, other: Cache) -> None:
    source = Source()
    making = asyncio.ensure_future(cache.get_or_set("key", source))
    await source.read.wait()
    await other.clear()
    source.go_on.set()
    await making
    assert await cache.get("key", str) is None


async def test_a_refresh_that_races_an_invalidation_does_not_bring_back_the_old(
    cache: Cache, other: Cache
) -> None:
    source = Source()

    @cache.cached(tags=["t"], key="content")
    async def content() -> str:
        return await source()

    refreshing = asyncio.ensure_future(content.refresh())
    await source.read.wait()
    source.content = "new"
    await other.invalidate_tags("t")
    source.go_on.set()
    await refreshing
    assert await content() == "new"


async def test_a_message_during_a_read_keeps_the_old_value_from_being_remembered(
    cache: Cache, other: Cache, backend: Remote
) -> None:
    await other.set("key", "old")
    gate = backend.gate("get_many", after=True)
    reading = asyncio.ensure_future(cache.get("key", str))
    await gate.reached()
    await other.set("key", "new")
    cache._core.keys_changed(["key"])
    gate.open()
    assert await reading == "old"
    assert cache.peek("key", str) is None
    assert await cache.get("key", str) == "new"


async def test_a_message_about_a_tag_during_a_read_does_too(
    cache: Cache, other: Cache, backend: Remote
) -> None:
    await other.set("key", "old", tags=["t"])
    gate = backend.gate("get_many", after=True)
    reading = asyncio.ensure_future(cache.get("key", str))
    await gate.reached()
    cache._core.tags_changed({"t": Epochs(1, 1)})  # of an invalidation after the epochs are read
    gate.open()
    assert await reading == "old"
    assert cache.peek("key", str) is None


async def test_who_asks_after_a_deletion_does_not_get_an_answer_from_before(
    cache: Cache, other: Cache, backend: Remote
) -> None:
    await other.set("key", "old")
    gate = backend.gate("get_many", after=True)
    before = asyncio.ensure_future(cache.get("key", str))
    await gate.reached()
    await cache.delete("key")
    assert await cache.get("key", str) is None
    gate.open()
    assert await before == "old"
    assert cache.peek("key", str) is None
    assert await cache.get("key", str) is None


async def test_a_read_between_the_steps_of_a_deletion_is_not_remembered(
    cache: Cache, other: Cache, backend: Remote
) -> None:
    await other.set("key", "old")
    gate = backend.gate("delete_many")
    deleting = asyncio.ensure_future(cache.delete("key"))
    await gate.reached()
    assert await cache.get("key", str) == "old"  # it is not deleted yet
    gate.open()
    assert await deleting
    assert await cache.get("key", str) is None


async def test_of_two_writes_at_once_the_one_that_stayed_is_read(
    cache: Cache, backend: Remote
) -> None:
    gate = backend.gate("set_many", after=True)
    first = asyncio.ensure_future(cache.set("key", 1))
    await gate.reached()
    await cache.set("key", 2)
    gate.open()
    await first
    assert await cache.get("key", int) == 2

    gate = backend.gate("set_many")
    first = asyncio.ensure_future(cache.set("key", 3))
    await gate.reached()
    await cache.set("key", 4)
    gate.open()
    await first
    assert await cache.get("key", int) == 3


async def test_a_write_that_races_an_invalidation_counts_as_older(
    cache: Cache, other: Cache, backend: Remote
) -> None:
    gate = backend.gate("set_many")
    writing = asyncio.ensure_future(cache.set("key", "old", tags=["t"]))
    await gate.reached()
    await other.invalidate_tags("t")
    gate.open()
    await writing
    cache._core.lost()
    assert await cache.get("key", str) is None


@pytest.mark.parametrize("write", ["set", "add"])
async def test_a_write_that_begins_before_an_invalidation_of_this_process_is_older(
    cache: Cache, other: Cache, backend: Remote, write: str
) -> None:
    gate = backend.gate("claim")
    work = cache.set if write == "set" else cache.add
    writing = asyncio.ensure_future(work("key", "old", tags=["t"]))
    await gate.reached()
    await cache.invalidate_tags("t")
    gate.open()
    await writing
    assert await cache.get("key", str) is None
    assert await other.get("key", str) is None


async def test_a_cancelled_write_leaves_nothing_wrong_behind(cache: Cache, backend: Remote) -> None:
    await cache.set("key", "old")
    gate = backend.gate("set_many", after=True)
    writing = asyncio.ensure_future(cache.set("key", "new"))
    await gate.reached()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await cache.get("key", str) in ("new", None)


async def test_who_makes_a_value_for_longer_than_its_lease_keeps_the_claim(
    cache: Cache, other: Cache, backend: Remote
) -> None:
    """The lease is renewed while the factory runs, so nobody else begins."""
    with clock.use(TravelClock()) as time, listening() as told:
        source = Source()
        making = asyncio.ensure_future(cache.get_or_set("key", source))
        await source.read.wait()
        # Three times two thirds of a lease, with what renews it in between.
        for _ in range(3):
            time.jump(LEASE * 2 / 3)
            assert await backend.renew("key", backend._claims["key"].token, LEASE)
        waiting = asyncio.ensure_future(other.get_or_set("key", source))
        await told.until("cache.wait", 2)
        assert source.reads == 1
        source.go_on.set()
        assert await making == await waiting == "old"
        assert source.reads == 1


async def test_when_a_lease_ran_out_another_makes_the_value_and_the_first_is_refused(
    cache: Cache, other: Cache
) -> None:
    with clock.use(TravelClock()) as time:
        source = Source()
        making = asyncio.ensure_future(cache.get_or_set("key", source))
        await source.read.wait()
        time.jump(LEASE + 1)  # as if this process had been stopped
        assert await other.get_or_set("key", lambda: "new", type=str) == "new"
        source.go_on.set()
        assert await making == "old"
        assert cache.counts.refused == 1
        assert await cache.get("key", str) == "new"


async def test_who_could_not_keep_what_was_made_holds_nobody_up(
    cache: Cache, other: Cache, backend: Remote
) -> None:
    gate = backend.gate("fill")
    making = asyncio.ensure_future(cache.get_or_set("key", lambda: 1, type=int))
    await gate.reached()
    backend.breaks = True  # as a store that is full, which still takes deletions
    gate.open()
    assert await making == 1
    backend.breaks = False
    async with asyncio.timeout(LEASE / 2):
        assert await other.get_or_set("key", lambda: 2, type=int) == 2


async def test_the_lease_is_renewed_in_real_time(
    cache: Cache, backend: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oxidite.cache.claims.LEASE", 0.06)
    source = Source()
    renewed = asyncio.Event()
    renew = backend.renew

    async def heard(key: str, token: str, lease: float) -> bool:
        held = await renew(key, token, lease)
        if held:
            renewed.set()
        return held

    monkeypatch.setattr(backend, "renew", heard)
    making = asyncio.ensure_future(cache.get_or_set("key", source))
    await source.read.wait()
    await asyncio.wait_for(renewed.wait(), 5)
    source.go_on.set()
    assert await making == "old"
    assert cache.counts.refused == 0


async def test_who_waits_for_another_process_is_served_by_it(cache: Cache, other: Cache) -> None:
    source = Source()
    making = asyncio.ensure_future(other.get_or_set("key", source))
    await source.read.wait()
    with listening() as told:
        waiting = [asyncio.ensure_future(cache.get_or_set("key", source)) for _ in range(10)]
        await told.until("cache.wait")
    source.go_on.set()
    assert await asyncio.gather(making, *waiting) == ["old"] * 11
    assert source.reads == 1


async def test_while_another_process_makes_it_what_is_stale_is_served(
    cache: Cache, other: Cache
) -> None:
    with clock.use(TravelClock()) as time:
        await other.set("key", "stale", ttl=10, grace=60)
        time.jump(11)
        source = Source()
        making = asyncio.ensure_future(other.get_or_set("key", source, grace=60))
        await source.read.wait()
        assert await cache.get_or_set("key", source, grace=60) == "stale"
        source.go_on.set()
        assert await making == "old"


async def test_when_everything_may_have_been_missed_nothing_is_remembered(
    cache: Cache, other: Cache
) -> None:
    await cache.set("key", "old")
    await other.set("key", "new")
    assert await cache.get("key", str) == "old"  # nobody told it, for a moment
    cache._core.lost()
    assert await cache.get("key", str) == "new"


async def test_another_process_that_clears_a_namespace_is_heard(cache: Cache, other: Cache) -> None:
    await cache.set("users:1", "x")
    await cache.set("posts:1", "y")
    cache._core.cleared("users:")
    assert cache.peek("users:1", str) is None
    assert cache.peek("posts:1", str) == "y"


async def test_a_key_that_is_stored_otherwise_is_heard_of_too(cache: Cache) -> None:
    await cache.set("a b", "x")
    assert cache.peek("a b", str) == "x"
    cache._core.keys_changed(["a%20b"])
    assert cache.peek("a b", str) is None
