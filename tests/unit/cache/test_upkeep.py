"""What people do with a cache: look into it, fill it ahead, see what it did; with keys and values of all kinds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.cache.stores import Remote
from tests.unit.cache.web.places import KINDS, store_url

from oxidite import Oxidite, clock, instrument
from oxidite.cache import Cache, Inspected, Item, Warmer
from oxidite.cache.keys import given_key, stored_key
from oxidite.clock import TravelClock
from oxidite.errors import BackendError, ConfigError
from oxidite.lifespan import Late


@pytest.fixture(params=KINDS)
async def cache(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Cache]:
    """A cache in each kind of store."""
    async with (
        store_url(request.param, tmp_path) as url,
        Cache.from_url(url, prefix="shop:", ttl=300, store_timeout=5) as made,
    ):
        yield made


class Heard:
    """What was told to those who listen."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def span_started(self, span: object) -> None: ...
    def span_ended(self, span: object, error: BaseException | None) -> None: ...
    def event(self, name: str, attributes: Mapping[str, object]) -> None:
        self.events.append((name, dict(attributes)))

    def named(self, name: str) -> list[dict[str, Any]]:
        return [attributes for each, attributes in self.events if each == name]


async def seen(cache: Cache, key: str) -> Inspected:
    found = await cache.inspect(key)
    assert found is not None
    return found


# Looking into it


@given(st.text(st.characters(codec=None), max_size=80))
def test_a_key_that_was_kept_whole_is_told_as_it_was_given(key: str) -> None:
    stored = stored_key(key)
    if "%%" in stored:
        assert given_key(stored) is None
    else:
        assert given_key(stored) == key


async def test_what_is_stored_is_told_with_its_times_and_tags(cache: Cache) -> None:
    await cache.set("a", {"x": 1}, ttl=60, grace=40, tags=["one", "two"])
    found = await seen(cache, "a")
    assert (found.key, found.kind, found.state) == ("a", "map of 1", "fresh")
    assert found.tags == ("one", "two")
    assert found.ttl is not None
    assert 50 < found.ttl <= 60
    assert found.kept is not None
    assert 90 < found.kept <= 100
    assert found.age is not None
    assert 0 <= found.age < 10
    assert await cache.inspect("absent") is None
    await cache.set("b", 1, ttl=None)
    assert (await seen(cache, "b")).ttl is None


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "boolean"),
        (7, "number"),
        (-7, "number"),
        (2**40, "number"),
        (1.5, "number"),
        ("", "text of 0"),
        ("x" * 40, "text of 40"),
        ("x" * 70_000, "text of 70000"),
        (b"abc", "bytes of 3"),
        ([1, 2], "list of 2"),
        ([0] * 20, "list of 20"),
        ({str(n): n for n in range(300)}, "map of 300"),
    ],
)
async def test_the_kind_of_a_value_is_told(value: object, kind: str) -> None:
    async with Cache.from_url("memory://") as cache:
        await cache.set("key", value)
        assert (await seen(cache, "key")).kind == kind


async def test_what_no_longer_counts_is_told_to_be_so(cache: Cache) -> None:
    await cache.set("soft", 1, grace=60, tags=["soft"])
    await cache.set("hard", 1, grace=60, tags=["hard"])
    await cache.invalidate_tags("soft", soft=True)
    await cache.invalidate_tags("hard")
    assert (await seen(cache, "soft")).state == "stale"
    assert (await seen(cache, "hard")).state == "gone"
    await cache.set("old", 1, ttl=10, grace=60)
    with clock.use(TravelClock()) as time:
        time.jump(20)
        assert (await seen(cache, "old")).state == "stale"


async def test_values_are_found_by_prefix_and_by_tag_also_many(cache: Cache) -> None:
    await cache.set_many({f"user:{n}": n for n in range(450)}, tags=["users"])
    await cache.set_many({"other": 1, "users": 2})
    assert len([each async for each in cache.scan("user:")]) == 450
    tagged = {each.key async for each in cache.scan(tag="users")}
    assert tagged == {f"user:{n}" for n in range(450)}
    assert {each.key async for each in cache.scan("use")} == tagged | {"users"}
    part = cache.namespace("user")
    assert len([each async for each in part.scan()]) == 450
    await cache.clear("user:")
    assert {each.key async for each in cache.scan()} == {"other", "users"}


async def test_a_value_of_another_version_is_a_miss_and_is_told_to_be_unreadable(
    cache: Cache,
) -> None:
    await cache.set("key", 1)
    stored = (await seen(cache, "key")).stored
    await cache.backend.set_many([Item(stored, b"\x09 of a later version")])
    found = await seen(cache, "key")
    assert found.state == "unreadable"
    assert found.contents is None


async def test_a_value_that_is_encrypted_is_not_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/cache.db"
    async with Cache.from_url(url, secret="a secret of 32 characters or more") as cache:
        await cache.set("plan", "attack at dawn")
        found = await seen(cache, "plan")
        assert (found.kind, found.is_encrypted, found.contents) == ("encrypted", True, None)
    async with Cache.from_url(url, secret="b secret of 32 characters or more") as cache:
        assert (await seen(cache, "plan")).state == "unreadable"


async def test_a_store_that_fails_is_an_error_to_who_looks() -> None:
    backend = Remote()
    async with Cache(backend) as cache:
        backend.is_down = True
        with pytest.raises(BackendError):
            await cache.inspect("key")
        cache.raises = True
        with pytest.raises(BackendError):
            await cache.get("key", int)


async def test_an_address_has_no_secret() -> None:
    for url, address in (
        ("redis://ann:hunter2@host:6380/1?name=x", "redis://host:6380/1"),
        ("redis://:hunter2@host", "redis://host"),
        ("memory://", "memory://"),
        ("db://other", "db://other"),
        ("db", "db"),
    ):
        assert Cache.from_url(url).address == address
    assert Cache(Remote()).address == "Remote"


# Keys, values and times of all kinds


@pytest.mark.parametrize(
    "key", ["x" * 1_000_000, "\ud800", "\0\n\r ", "", "ä" * 500, "%", "%%", "*", "[a]"]
)
async def test_any_text_is_a_key_and_a_tag(cache: Cache, key: str) -> None:
    await cache.set(key, "v", tags=[key])
    assert await cache.get(key, str) == "v"
    assert (await seen(cache, key)).state == "fresh"
    await cache.invalidate_tags(key)
    assert await cache.get(key, str) is None
    async with cache.lock(key):
        pass


@pytest.mark.parametrize(
    "ttl", [-1, 0, float("nan"), float("inf"), 1e308, 10**400, timedelta(days=9_999_999)]
)
async def test_a_time_that_is_none_is_refused_wherever_it_is_given(ttl: Any) -> None:
    async with Cache.from_url("memory://") as cache:

        async def make() -> int:
            return 1

        with pytest.raises(ValueError, match="ttl is"):
            await cache.set("key", 1, ttl=ttl)
        with pytest.raises(ValueError, match="ttl is"):
            await cache.add("key", 1, ttl=ttl)
        with pytest.raises(ValueError, match="ttl is"):
            await cache.touch("key", ttl)
        with pytest.raises(ValueError, match="ttl is"):
            await cache.incr("key", ttl=ttl)
        with pytest.raises(ValueError, match="ttl is"):
            await cache.get_or_set("key", make, ttl=ttl)
        with pytest.raises(ValueError, match="ttl is"):
            cache.lock("key", ttl=ttl)
        assert await cache.inspect("key") is None


async def test_the_longest_time_fits_into_every_store(cache: Cache) -> None:
    await cache.set("key", 1, ttl=10_000_000_000, grace=10_000_000_000)
    assert await cache.get("key", int) == 1
    assert await cache.touch("key", 10_000_000_000)
    assert (await seen(cache, "key")).state == "fresh"


async def test_a_cache_that_is_closed_says_so_and_leaves_nothing_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache = Cache.from_url("sqlite://")
    async with cache:
        await cache.set("key", 1)
    for work in (
        lambda: cache.get("key", int),
        lambda: cache.set("key", 1),
        lambda: cache.incr("key"),
        lambda: cache.delete("key"),
        lambda: cache.invalidate_tags("tag"),
        lambda: cache.clear(),
        lambda: cache.stats(),
        lambda: cache.inspect("key"),
        lambda: cache.lock("key").__aenter__(),
    ):
        with pytest.raises(ConfigError, match="not open"):
            await work()
    await asyncio.sleep(0)
    assert caplog.records == []


# Filling ahead


async def test_what_fills_a_cache_is_told_what_it_stored(cache: Cache) -> None:
    @cache.cached(key="square")
    async def square(number: int) -> int:
        return number**2

    @cache.warm
    async def squares() -> None:
        await square(1)
        await square(2)
        await cache.set("extra", "x")

    @cache.warm(name="broken")
    async def other() -> None:
        raise ValueError("no")

    done = [each async for each in cache.run_warmers()]
    assert [(each.name, each.written, each.made) for each in done] == [
        ("squares", 3, 2),
        ("broken", 0, 0),
    ]
    assert done[0].size == sum([each.size async for each in cache.scan()])
    assert isinstance(done[1].error, ValueError)
    (again,) = [each async for each in cache.run_warmers("squares")]
    assert (again.written, again.found) == (1, 2)
    assert list(cache.warmers) == ["squares", "broken"]


async def test_what_cannot_fill_a_cache_is_told_when_it_is_declared() -> None:
    cache = Cache.from_url("memory://")

    async def wants(number: int) -> None: ...
    def sync() -> None: ...
    async def fine(number: int = 1) -> None: ...

    with pytest.raises(ConfigError, match="wants number"):
        cache.warm(wants)  # type: ignore[type-var]  # what a checker says, too
    with pytest.raises(ConfigError, match="async def"):
        cache.warm(sync)  # type: ignore[type-var]  # what a checker says, too
    assert cache.warm(fine) is fine
    with pytest.raises(ConfigError, match="already"):
        cache.warm(fine)
    with pytest.raises(ConfigError, match="There are: fine"):
        [each async for each in cache.run_warmers("other")]


async def test_a_warmer_fills_when_all_resources_are_open(caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache.from_url("memory://")
    events: list[str] = []
    filled = asyncio.Event()

    class After:
        async def __aenter__(self) -> None:
            events.append("after")

        async def __aexit__(self, *exc_info: object) -> None: ...

    @cache.warm
    async def broken() -> None:
        raise ValueError("no")

    @cache.warm
    async def fill() -> None:
        events.append("fill")
        await cache.set("key", 1)
        filled.set()
        await asyncio.Event().wait()  # it is ended with the application

    app = Oxidite(resources=[cache, Warmer(cache), After()])
    assert isinstance(Warmer(cache), Late)
    async with app.lifespan:
        await filled.wait()
        assert await cache.get("key", int) == 1
    assert events == ["after", "fill"]
    assert [
        record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR
    ] == ["broken did not fill the cache"]
    with pytest.raises(ConfigError, match="No function other"):
        async with Oxidite(resources=[cache, Warmer(cache, "other")]).lifespan:
            pass


# What happened


async def test_stampedes_that_were_avoided_and_bytes_that_were_written_are_counted() -> None:
    heard = Heard()
    async with Cache.from_url("memory://") as cache:
        assert cache.counts.hit_ratio is None

        async def make() -> str:
            await asyncio.sleep(0.01)
            return "made"

        with instrument.listen(heard):
            found = await asyncio.gather(
                *(cache.get_or_set("key", make, tags=["a", "b"]) for _ in range(100))
            )
            await cache.set("other", "x")
        size = (await seen(cache, "key")).size
        counts = cache.counts

        assert set(found) == {"made"}
        assert (counts.made, counts.joined, counts.written) == (1, 99, 2)
        assert len(heard.named("cache.join")) == 99
        first, second = heard.named("cache.write")
        assert first == {"key": "key", "size": size, "tags": ("a", "b")}
        assert counts.written_bytes == first["size"] + second["size"]
        for _ in range(100):
            await cache.get("key", str)
        assert counts.hit_ratio == pytest.approx(100 / 200)


async def test_what_the_store_refused_is_not_counted_as_written() -> None:
    backend = Remote()
    async with Cache(backend) as cache:
        await cache.set("key", 1)
        assert await cache.add("key", 2) is False
        backend.is_down = True
        await cache.set("key", 3)
        assert cache.counts.written == 1
