"""Values of declared types: kept, read, deleted, and gone when their time is over."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import AsyncIterator
from datetime import timedelta
from enum import Enum
from typing import ClassVar

import pytest
from msgspec import Struct
from pydantic import BaseModel
from tests.unit.cache.stores import Remote

from oxidite import clock
from oxidite.cache import L1, Cache
from oxidite.cache.backends.memory import MemoryBackend
from oxidite.clock import TravelClock
from oxidite.errors import BackendError, ConfigError, UnknownBackendError


class User(Struct, frozen=True):
    id: int
    name: str = ""


class Tagged(Struct):
    names: list[str]


@dataclasses.dataclass
class Point:
    x: float
    y: float


class Colour(Enum):
    RED = "red"


class Page(BaseModel):
    number: int


@pytest.fixture(params=["memory", "without l1"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    l1 = L1() if request.param == "memory" else None
    async with Cache.from_url("memory://", prefix="app:", l1=l1) as cache:
        yield cache


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (User(1, "a"), User),
        ([User(1), User(2)], list[User]),
        ({"a": Point(1.5, 2)}, dict[str, Point]),
        (Page(number=3), Page),
        (Colour.RED, Colour),
        (b"\0\xff", bytes),
        (7, int),
        ((1, "a"), tuple[int, str]),
        ("", str),
        (None, User | None),
    ],
)
async def test_what_was_set_comes_back_as_its_type(
    cache: Cache, value: object, type_: object
) -> None:
    await cache.set("key", value)

    for _ in range(3):  # from the store, decoded for the first time, and remembered
        assert await cache.get("key", type_, "absent") == value


async def test_a_missing_key_is_none_or_the_default(cache: Cache) -> None:
    assert await cache.get("absent", User) is None
    assert await cache.get("absent", User, 7) == 7


async def test_who_changes_a_value_changes_it_for_himself(cache: Cache) -> None:
    await cache.set("key", Tagged(["a"]))
    for _ in range(3):
        found = await cache.get("key", Tagged)
        assert found is not None
        assert found == Tagged(["a"])
        found.names.append("b")


async def test_a_value_nobody_can_change_is_not_made_anew() -> None:
    async with Cache.from_url("memory://") as cache:
        await cache.set("key", User(1))
        first = await cache.get("key", User)
        assert await cache.get("key", User) is first


async def test_a_value_is_gone_after_its_time(cache: Cache) -> None:
    with clock.use(TravelClock()) as time:
        await cache.set("short", 1, ttl=timedelta(seconds=10))
        await cache.set("usual", 2)
        await cache.set("ever", 3, ttl=None)
        time.jump(9.9)
        assert await cache.get("short", int) == 1
        time.jump(0.2)
        assert await cache.get("short", int) is None
        time.jump(300)
        assert await cache.get("usual", int) is None
        time.jump(1e7)
        assert await cache.get("ever", int) == 3


@pytest.mark.parametrize("ttl", [0, -1, float("nan")])
async def test_a_time_that_keeps_nothing_is_an_error(cache: Cache, ttl: float) -> None:
    with pytest.raises(ValueError, match="ttl is more than 0 seconds"):
        await cache.set("key", 1, ttl=ttl)


async def test_a_value_that_is_no_data_is_an_error_that_says_so(cache: Cache) -> None:
    with pytest.raises(TypeError, match=r"'app:key' cannot be kept: .*builtins\.object"):
        await cache.set("key", object())
    with pytest.raises(TypeError, match="'app:key' cannot be kept"):
        await cache.set("key", 2**70)


async def test_a_value_of_another_type_counts_as_missing(cache: Cache) -> None:
    await cache.set("key", "text")
    assert await cache.get("key", User) is None
    assert cache.counts.undecodable > 0
    assert await cache.get("key", str) == "text"


class Offer(Struct):
    """One whose validity is no matter of its data alone."""

    number: int
    ended: ClassVar[set[int]] = set()

    def __post_init__(self) -> None:
        if self.number in self.ended:
            raise ValueError("This offer has ended.")


async def test_a_value_that_was_valid_when_it_was_last_read_counts_as_missing(cache: Cache) -> None:
    Offer.ended.clear()
    await cache.set("offer", Offer(1))
    assert await cache.get("offer", Offer) == Offer(1)
    hits = cache.counts.hits
    Offer.ended.add(1)
    assert await cache.get("offer", Offer) is None
    assert cache.counts.undecodable > 0
    assert cache.counts.hits == hits


async def test_a_result_that_was_valid_when_it_was_last_read_is_made_anew(cache: Cache) -> None:
    Offer.ended.clear()
    made = iter((2, 3))

    @cache.cached(ttl=60)
    async def offer() -> Offer:
        return Offer(next(made))

    assert (await offer()).number == 2
    assert (await offer()).number == 2
    Offer.ended.add(2)
    assert (await offer()).number == 3
    assert cache.counts.undecodable > 0


async def test_a_value_is_checked_when_its_type_is_given(cache: Cache) -> None:
    with pytest.raises(
        TypeError, match=r"'app:key' is a builtins\.dict, which cannot be read as .*User"
    ):
        await cache.set("key", {"id": "x"}, type=User)
    assert not await cache.exists("key")


async def test_several_values_are_one_call() -> None:
    backend = Remote()
    async with Cache(backend, l1=None) as cache:
        await cache.set_many({"a": 1, "b": 2})
        assert await cache.get_many(["b", "absent", "a"], int) == {"a": 1, "b": 2}
        assert await cache.delete_many(["a", "b", "absent"]) == 2
        assert await cache.get_many([], int) == {}
    assert backend.calls == ["set_many", "get_many", "delete_many"]


async def test_deleting_tells_whether_there_was_something(cache: Cache) -> None:
    await cache.set("key", 1)
    assert await cache.delete("key")
    assert not await cache.delete("key")
    assert await cache.get("key", int) is None


async def test_add_keeps_only_the_first(cache: Cache) -> None:
    assert await cache.add("key", 1, tags=["t"])
    assert not await cache.add("key", 2)
    assert await cache.get("key", int) == 1
    await cache.invalidate_tags("t")
    assert await cache.add("key", 3)
    assert await cache.get("key", int) == 3


async def test_touch_lets_a_value_live_on_and_keeps_its_tags(cache: Cache) -> None:
    with clock.use(TravelClock()) as time:
        await cache.set("key", 1, ttl=10, tags=["t"])
        time.jump(9)
        assert await cache.touch("key", 10)
        time.jump(9)
        assert await cache.get("key", int) == 1
        await cache.invalidate_tags("t")
        assert await cache.get("key", int) is None
        assert not await cache.touch("key", 10)


async def test_pop_gives_a_value_once(cache: Cache) -> None:
    await cache.set("key", 1)
    assert await cache.pop("key", int) == 1
    assert await cache.pop("key", int, "none") == "none"


async def test_exists_is_true_of_what_is_fresh(cache: Cache) -> None:
    with clock.use(TravelClock()) as time:
        await cache.set("key", 1, ttl=1, grace=60)
        assert await cache.exists("key")
        time.jump(2)
        assert not await cache.exists("key")


async def test_numbers_are_counted_and_read(cache: Cache) -> None:
    assert await cache.incr("n") == 1
    assert await cache.incr("n", 10) == 11
    assert await cache.decr("n", 20) == -9
    assert await cache.get("n", int) == -9
    counter = cache.counter("n")
    assert await counter.incr() == -8
    assert await counter.value() == -8
    await counter.reset()
    assert await counter.value() == 0


async def test_a_number_ends_with_its_time(cache: Cache) -> None:
    with clock.use(TravelClock()) as time:
        counter = cache.counter("n", ttl=10)
        await counter.incr()
        assert await cache.touch("n", 20)
        time.jump(15)
        assert await counter.incr() == 2
        time.jump(6)
        assert await counter.value() == 0


async def test_adding_to_what_is_no_number_is_an_error(cache: Cache) -> None:
    await cache.set("key", "text")
    with pytest.raises(BackendError, match="no number"):
        await cache.incr("key")
    assert await cache.get("key", str) == "text"


async def test_a_namespace_clears_only_its_own(cache: Cache) -> None:
    users, posts = cache.namespace("users"), cache.namespace("posts")
    for each in (cache, users, posts):
        await each.set("1", "x", tags=["t"])
    await users.clear()
    assert await users.get("1", str) is None
    assert await posts.get("1", str) == "x"
    assert await cache.get("posts:1", str) == "x"
    await cache.invalidate_tags("t")
    assert await posts.get("1", str) is None
    assert await cache.get("1", str) is None


async def test_clear_leaves_what_belongs_to_others() -> None:
    backend = MemoryBackend()
    ours, theirs = Cache(backend, prefix="ours:"), Cache(backend, prefix="theirs:")
    async with ours, theirs:
        await ours.set("key", 1)
        await theirs.set("key", 2)
        await ours.clear()
        assert await ours.get("key", int) is None
        assert await theirs.get("key", int) == 2


@pytest.mark.parametrize("key", ["", "a b", "a%20b", "%", "é\n\0", "\ud800", "x" * 10_000])
async def test_any_text_is_a_key(cache: Cache, key: str) -> None:
    await cache.set(key, "this")
    for other in ("", "a b", "a%20b", "%25", "x" * 9_999):
        if other != key:
            await cache.set(other, "other")
    assert await cache.get(key, str) == "this"
    assert await cache.delete(key)
    assert await cache.get(key, str) is None


async def test_peek_asks_nobody() -> None:
    backend = Remote()
    async with Cache(backend) as cache:
        await cache.set("key", User(1))
        calls = len(backend.calls)
        assert cache.peek("key", User) == User(1)
        assert cache.peek("absent", User) is None
        assert cache.peek("key", str) is None
        assert len(backend.calls) == calls


async def test_what_is_remembered_ends_soon_and_the_store_is_asked_again() -> None:
    backend = Remote()
    with clock.use(TravelClock()) as time:
        async with Cache(backend, l1=L1(ttl=5)) as cache:
            await cache.set("key", 1)
            backend.calls.clear()
            assert await cache.get("key", int) == 1
            assert not backend.calls
            time.jump(5)
            assert await cache.get("key", int) == 1
            assert backend.calls == ["get_many"]


async def test_what_is_remembered_is_bounded_by_bytes() -> None:
    async with Cache.from_url("memory://", l1=L1(max_bytes=10_000)) as cache:
        for number in range(100):
            await cache.set(str(number), "x" * 500)
        stats = await cache.stats()
        assert 0 < stats.weight <= 10_000
        assert stats.entries < 15
        assert stats.store is not None
        assert stats.store.keys == 100
        await cache.set("large", "x" * 20_000)
        assert cache.peek("large", str) is None
        assert await cache.get("large", str) == "x" * 20_000


async def test_a_model_is_refused_with_what_to_keep_instead(cache: Cache) -> None:
    class Row(Struct):
        __no_input__ = "no"

    with pytest.raises(ConfigError, match=r"Row is a model.*Row\.Out"):
        await cache.get("key", Row)


async def test_options_that_make_no_sense_are_told_at_once() -> None:
    with pytest.raises(UnknownBackendError):
        Cache.from_url("nowhere://")
    with pytest.raises(ConfigError, match="room"):
        L1(max_entries=0)
    with pytest.raises(ConfigError, match="remember nothing"):
        L1(ttl=0)
    with pytest.raises(ConfigError, match="prefix has at most"):
        Cache.from_url("memory://", prefix="x" * 200)
    with pytest.raises(ValueError, match="eager is a number from 0 and below 1"):
        Cache.from_url("memory://", eager=1.5)
    with pytest.raises(ValueError, match="grace is 0 or more"):
        Cache.from_url("memory://", grace=-1)
    with pytest.raises(TypeError, match="soft_timeout is a number of seconds"):
        Cache.from_url("memory://", soft_timeout="1s")  # type: ignore[arg-type]


async def test_a_cache_that_is_not_open_says_so() -> None:
    with pytest.raises(ConfigError, match="The cache is not open"):
        await Cache.from_url("memory://").get("key", int)


async def test_who_opens_it_again_uses_what_is_open(cache: Cache) -> None:
    await cache.set("key", 1)
    async with cache:
        assert await cache.get("key", int) == 1
    assert await cache.get("key", int) == 1


async def test_tags_are_a_list_of_texts(cache: Cache) -> None:
    with pytest.raises(TypeError, match=r"write tags=\['user'\]"):
        await cache.set("key", 1, tags="user")
    with pytest.raises(ValueError, match="at most 100 tags"):
        await cache.set("key", 1, tags=map(str, range(101)))


async def test_more_tags_than_a_value_has_may_be_invalidated_at_once(cache: Cache) -> None:
    await cache.set_many({"a": 1, "b": 2}, tags=["tag:2999"])
    await cache.invalidate_tags(*(f"tag:{number}" for number in range(3000)))
    assert await cache.get_many(["a", "b"], int) == {}


@pytest.mark.parametrize("by", [1.5, "1", None, True])
async def test_numbers_are_whole(cache: Cache, by: int) -> None:
    with pytest.raises(TypeError, match="by is a whole number"):
        await cache.incr("n", by)
    assert await cache.get("n", int) is None


@pytest.mark.parametrize("ttl", [10**400, 1e300, math.inf, timedelta.max])
async def test_times_that_no_store_counts_are_refused(cache: Cache, ttl: float | timedelta) -> None:
    with pytest.raises(ValueError, match=r"ttl is at most .* for ever has ttl=None"):
        await cache.set("key", 1, ttl=ttl)
    with pytest.raises(ValueError, match="ttl is at most"):
        cache.lock("name", ttl=ttl)


async def test_what_has_an_invalidated_tag_is_gone_and_others_stay(cache: Cache) -> None:
    await cache.set("a", 1, tags=["x", "y"])
    await cache.set("b", 2, tags=["y"])
    await cache.set("c", 3)
    await cache.invalidate_tags("x")
    assert await cache.get_many(["a", "b", "c"], int) == {"b": 2, "c": 3}
    await cache.set("a", 4, tags=["x"])
    assert await cache.get("a", int) == 4


async def test_a_soft_invalidation_leaves_what_may_be_served_meanwhile(cache: Cache) -> None:
    await cache.set("a", 1, tags=["x"])
    await cache.invalidate_tags("x", soft=True)
    assert await cache.get("a", int) is None

    def fail() -> int:
        raise RuntimeError("no")

    assert await cache.get_or_set("a", fail, type=int) == 1
    await cache.invalidate_tags("x")
    with pytest.raises(RuntimeError, match="no"):
        await cache.get_or_set("a", fail, type=int)
