"""The cache in Redis."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast, get_args

import pytest
from tests.redis_server import redis_server

from oxidite import clock
from oxidite.cache import CacheBackend, Epochs, Item
from oxidite.cache.backends import backends
from oxidite.cache.backends.redis import RedisBackend
from oxidite.clock import TravelClock
from oxidite.drivers.redis import Redis, RedisOptions
from oxidite.errors import BackendUnavailableError, ConfigError
from oxidite.rates import Algorithm, Claim, MemoryRates, RateStore, Rule
from oxidite.testing.contracts import CacheBackendContract, RateStoreContract

from .conftest import REDIS, Process

pytestmark = pytest.mark.service("redis")


class TestRedis(CacheBackendContract):
    @pytest.fixture
    def backend(self, shared: RedisBackend) -> CacheBackend:
        return shared


class TestRedisRates(RateStoreContract):
    @pytest.fixture
    def store(self, shared: RedisBackend) -> RateStore:
        return shared.rates


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.all: list[object] = []
        self.something = asyncio.Event()

    def keys_changed(self, keys: Sequence[str]) -> None:
        self._hear(list(keys))

    def tags_changed(self, epochs: Mapping[str, Epochs]) -> None:
        self._hear(dict(epochs))

    def cleared(self, prefix: str) -> None:
        self._hear(prefix)

    def lost(self) -> None:
        self._hear(None)

    def _hear(self, what: object) -> None:
        self.all.append(what)
        self.something.set()

    async def until(self, count: int) -> list[object]:
        async with asyncio.timeout(5):
            while len(self.all) < count:
                self.something.clear()
                await self.something.wait()
        return self.all


async def test_other_processes_hear_what_changes_and_who_changes_it_does_not(
    process: Process, prefix: str
) -> None:
    options, _ = RedisOptions.from_url(REDIS)
    mine, other = RedisBackend(options, prefix=prefix), RedisBackend(options, prefix=prefix)
    to_me, to_other = Heard(), Heard()
    mine.listen(to_me)
    other.listen(to_other)
    async with mine, other:
        to_me.all.clear()  # that what was before the opening was missed
        to_other.all.clear()
        await mine.set_many([Item("a", b"1"), Item("b", b"2")])
        await mine.delete_many(["a"])
        assert await mine.add(Item("c", b"3"))
        await mine.incr("d", 1, None)
        await mine.claim("e", "token", 60.0, [])
        assert await mine.fill(Item("e", b"5"), "token")
        await mine.invalidate(['"quoted\\"', "u"], soft=False)
        await mine.invalidate(["u"], soft=True)
        await mine.clear("x")
        heard = await to_other.until(8)
        quoted, hard = await other.epochs(['"quoted\\"', "u"])
        assert heard[:5] == [["a", "b"], ["a"], ["c"], ["d"], ["e"]]
        first = cast("dict[str, Epochs]", heard[5])
        assert first['"quoted\\"'] == quoted
        assert heard[6] == {"u": hard}
        assert hard is not None
        assert hard.soft > hard.hard == first["u"].hard
        assert heard[7] == "x"
        await other.delete_many(["b"])
        assert await to_me.until(1) == [["b"]]


async def test_what_says_nothing_new_is_not_told(process: Process, prefix: str) -> None:
    options, _ = RedisOptions.from_url(REDIS)
    other, heard = RedisBackend(options, prefix=prefix), Heard()
    other.listen(heard)
    async with process() as mine, other:
        heard.all.clear()
        await mine.set_many([Item("a", b"1")])
        assert not await mine.add(Item("a", b"2"))
        assert not await mine.fill(Item("a", b"2"), "nobody's")
        await mine.get_many(["a"])
        await mine.delete_many(["end"])
        assert await heard.until(2) == [["a"], ["end"]]


async def test_what_another_version_says_is_taken_as_something_missed(
    redis: Redis, prefix: str
) -> None:
    options, _ = RedisOptions.from_url(REDIS)
    backend, heard = RedisBackend(options, prefix=prefix), Heard()
    backend.listen(heard)
    async with backend:
        heard.all.clear()
        for said in (b"", b"\xff", b'["new","o",1]', b"{}"):
            await redis.run("PUBLISH", f"{prefix}bus:{options.db}", said)
        assert await heard.until(4) == [None] * 4


async def test_another_database_of_the_server_is_another_cache(prefix: str) -> None:
    options, _ = RedisOptions.from_url(REDIS)
    there, _ = RedisOptions.from_url(REDIS.rpartition("/")[0] + "/8")
    mine, other = RedisBackend(options, prefix=prefix), RedisBackend(there, prefix=prefix)
    heard = Heard()
    other.listen(heard)
    async with mine, other:
        heard.all.clear()
        await mine.set_many([Item("a", b"1")])
        assert await other.get_many(["a"]) == [None]
        await other.delete_many(["a"])
        assert await mine.get_many(["a"]) == [b"1"]
        assert heard.all == []


async def test_values_of_somebody_else_are_missing(
    redis: Redis, prefix: str, shared: RedisBackend
) -> None:
    await redis.run("SET", f"{prefix}v:short", b"1234567")
    await redis.run("SET", f"{prefix}v:text", b"{not ours, and long enough}")
    await redis.run("RPUSH", f"{prefix}v:list", b"1")
    await redis.run("SET", f"{prefix}t:tag", b"no epochs")
    assert (await shared.get_many(["short", "list"])) == [None, None]
    assert await shared.epochs(["tag"]) == [None]
    assert [each.key async for each in shared.scan("")] == ["text"]
    assert (await shared.stats()).keys == 2
    for key in ("short", "list"):
        assert await shared.add(Item(key, b"ours"))
        assert await shared.get_many([key]) == [b"ours"]
    assert [each.key async for each in shared.scan("s")] == ["short"]


async def test_redis_clears_away_what_has_ended(redis: Redis, prefix: str) -> None:
    options, _ = RedisOptions.from_url(REDIS)
    rule = Rule(1, 60.0)
    async with RedisBackend(options, prefix=prefix) as backend:
        await backend.set_many([Item("a", b"1", 10.0, ("t",)), Item("short", b"1", -1.0)])
        await backend.incr("n", 1, 10.0)
        await backend.claim("c", "token", 10.0, [])
        await backend.acquire("l", "me", 1, 10.0)
        for algorithm in get_args(Algorithm):
            await backend.rates.acquire([Claim("k", Rule(1, 60.0, algorithm), 1, "t")])
        await backend.invalidate(["t", "u"], soft=False)
        await backend.touch("n", 20.0)
        assert await backend.get_many(["short"]) == [None]
        keys = cast("list[bytes]", await redis.run("KEYS", f"{prefix}*"))
        for key in keys:
            left = await redis.run("PTTL", key)
            is_sequence = key == f"{prefix}seq".encode()
            assert (left == -1) == is_sequence, key
        assert len(keys) == 12
    assert rule.quota == 1


async def test_a_time_to_live_of_ages_is_kept(shared: RedisBackend) -> None:
    await shared.set_many([Item("a", b"1", 1e15), Item("b", b"2", float("inf"))])
    await shared.incr("n", 1, 1e300)
    assert await shared.get_many(["a", "b", "n"]) == [b"1", b"2", b"1"]
    assert await shared.touch("a", 1e18)


async def test_numbers_of_invalidations_go_on_upwards_when_all_is_lost(
    process: Process, redis: Redis, prefix: str
) -> None:
    async with process() as first:
        await first.invalidate(["a"], soft=False)
        before = (await first.claim("key", "token", 60.0, ["a"])).as_of
        await redis.run("UNLINK", f"{prefix}seq", f"{prefix}t:a", f"{prefix}c:key")
        async with process() as second:
            after = (await second.claim("key", "token", 60.0, ["a"])).as_of
            (epochs,) = await second.epochs(["a"])
    assert after > before
    assert epochs is not None
    assert epochs.hard > before


async def test_a_server_whose_clock_is_behind_counts_on_where_it_was(
    shared: RedisBackend, redis: Redis, prefix: str
) -> None:
    ahead = 5_000_000_000_000_000  # microseconds: in a hundred years
    await redis.run("SET", f"{prefix}seq", ahead)
    assert (await shared.claim("key", "token", 60.0, [])).as_of == ahead
    await redis.run("UNLINK", f"{prefix}seq")  # a new server, in our time
    await shared.invalidate(["a"], soft=False)
    (epochs,) = await shared.epochs(["a"])
    assert epochs == Epochs(ahead + 1, ahead + 1)


async def test_a_tag_that_was_forgotten_does_not_make_old_values_valid(
    shared: RedisBackend, redis: Redis, prefix: str
) -> None:
    old = (await shared.claim("key", "token", 60.0, ["a"])).as_of
    await shared.invalidate(["a"], soft=False)
    await redis.run("UNLINK", f"{prefix}t:a")
    assert await shared.epochs(["a"]) == [None]
    await shared.claim("other", "token", 60.0, ["a"])
    (epochs,) = await shared.epochs(["a"])
    assert epochs is not None
    assert epochs.hard > old


async def test_scripts_that_the_server_forgot_are_sent_again(
    shared: RedisBackend, redis: Redis
) -> None:
    await shared.incr("n", 1, None)
    await redis.run("SCRIPT", "FLUSH")
    assert await asyncio.gather(*(shared.incr("n", 1, None) for _ in range(5))) == [2, 3, 4, 5, 6]


async def test_the_time_is_that_of_the_server(shared: RedisBackend, redis: Redis) -> None:
    seconds, micros = cast("tuple[bytes, bytes]", await redis.run("TIME"))
    assert abs(shared.now() - int(seconds) - int(micros) / 1e6) < 0.5


async def test_a_place_that_is_not_given_back_is_given_up(shared: RedisBackend) -> None:
    rule = Rule(1, 30.0, "concurrency")
    with clock.use(TravelClock()) as time:
        held, late = Claim("a", rule, 1, "killed"), Claim("a", rule, 1, "late")
        assert (await shared.rates.acquire([held]))[0].allowed
        time.jump(29)
        assert not (await shared.rates.acquire([late]))[0].allowed
        time.jump(2)
        assert (await shared.rates.acquire([late]))[0].allowed
        await shared.rates.release([held])  # it was not killed, only slow: it takes nobody's place
        assert not (await shared.rates.acquire([held]))[0].allowed


async def test_processes_count_together_by_what_rules_say(process: Process) -> None:
    async with process() as first, process() as second:
        claims = [Claim("a", Rule(2, 60.0, name="same")) for _ in range(3)]
        assert (await first.rates.acquire(claims[:1]))[0].remaining == 1
        assert (await second.rates.acquire(claims[1:2]))[0].remaining == 0
        assert not (await first.rates.acquire(claims[2:]))[0].allowed
        assert list(await first.rates.acquire([])) == []


@pytest.mark.parametrize("algorithm", ["fixed", "sliding", "bucket"])
async def test_it_counts_as_the_memory_does(shared: RedisBackend, algorithm: Algorithm) -> None:
    chance = random.Random(algorithm)
    memory, redis = MemoryRates(), shared.rates
    for quota, window in ((1, 1.0), (7, 10.0), (60, 60.0)):
        rules = [Rule(quota, window, algorithm), Rule(quota + 2, window / 2)]
        with clock.use(TravelClock()) as time:
            for _ in range(150):
                # A third of a second in between: nothing ends at the moment at which it is asked.
                time.jump(chance.choice([0.0, 0.0, 0.013, 0.37, window / 2.9]))
                claims = [Claim("a", rule, chance.randint(1, 3), "t") for rule in rules]
                for mine, theirs in zip(
                    await redis.acquire(claims), await memory.acquire(claims), strict=True
                ):
                    assert mine.allowed == theirs.allowed
                    assert mine.remaining == theirs.remaining
                    assert mine.reset == pytest.approx(theirs.reset, abs=1e-3)
                    assert mine.retry_after == pytest.approx(theirs.retry_after, abs=1e-3)


async def test_what_is_refused_writes_nothing(
    shared: RedisBackend, redis: Redis, prefix: str
) -> None:
    few, many = Rule(1, 60.0, name="few"), Rule(10, 60.0, name="many")
    await shared.rates.acquire([Claim("a", few)])
    await shared.rates.acquire([Claim("a", few), Claim("a", many)])
    assert await redis.run("KEYS", f"{prefix}r:*:many:*") == []


async def test_a_user_needs_no_more_than_the_documentation_says(tmp_path: Path) -> None:
    user = ("--user", "shop", "on", ">secret", "~ox:*", "&ox:*", "+@all", "-@dangerous", "+info")
    with redis_server(tmp_path, *user) as server:
        url = f"redis://shop:secret@127.0.0.1:{server.port}"
        mine, other, heard = backends.create(url), backends.create(url), Heard()
        other.listen(heard)
        async with mine, other:
            await mine.set_many([Item("a", b"1", 60.0, ("t",)), Item("b", b"2")])
            assert await mine.incr("n", 1, 60.0) == 1
            assert await mine.touch("a", 60.0)
            claimed = await mine.claim("c", "token", 60.0, ["t"])
            assert await mine.fill(Item("c", b"3", 60.0, ("t",)), "token")
            await mine.invalidate(["t"], soft=True)
            assert [each for each in await mine.epochs(["t"]) if each and each.soft > claimed.as_of]
            assert await mine.acquire("l", "me", 1, 60.0)
            assert (await mine.rates.acquire([Claim("a", Rule(1, 60.0))]))[0].allowed
            assert (await mine.stats()).keys == 4
            await mine.clear("")
            assert [each async for each in mine.scan("")] == []
            # That of the beginning, and five changes.
            assert await heard.until(6)


async def test_a_server_that_is_away_does_not_keep_an_application_from_starting() -> None:
    async with backends.create("redis://127.0.0.1:1/0") as backend:
        with pytest.raises(BackendUnavailableError, match=r"redis://127\.0\.0\.1:1/0"):
            await backend.get_many(["a"])


@pytest.mark.parametrize("prefix", ["a b", "ä", "x" * 51, "\n"])
def test_a_prefix_that_makes_no_keys_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigError, match="prefix="):
        RedisBackend(RedisOptions(), prefix=prefix)
