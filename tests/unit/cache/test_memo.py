"""What was read once in a scope is not asked for again in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.unit.cache.stores import Remote

from oxidite.cache import Cache


@pytest.fixture
def backend() -> Remote:
    return Remote()


@pytest.fixture
async def cache(backend: Remote) -> AsyncIterator[Cache]:
    async with Cache(backend, l1=None) as cache:
        yield cache


async def test_the_same_key_is_asked_for_once(cache: Cache, backend: Remote) -> None:
    await cache.set("key", 1)
    backend.calls.clear()
    with cache.memo():
        for _ in range(3):
            assert await cache.get("key", int) == 1
            assert await cache.get("absent", int) is None
            assert await cache.get_many(["key", "absent"], int) == {"key": 1}
        with cache.memo():
            assert await cache.get("key", int) == 1
    assert backend.calls == ["get_many", "get_many"]
    await cache.get("key", int)
    assert len(backend.calls) == 3


async def test_a_scope_sees_what_was_written_in_it_and_not_what_others_wrote(
    cache: Cache, backend: Remote
) -> None:
    async with Cache(backend, l1=None) as other:
        await cache.set("key", 1)
        with cache.memo():
            assert await cache.get("key", int) == 1
            await other.set("key", 2)
            assert await cache.get("key", int) == 1
            await cache.set("key", 3)
            assert await cache.get("key", int) == 3
            await cache.delete("key")
            assert await cache.get("key", int) is None
            await cache.set("key", 4, tags=["t"])
            await cache.invalidate_tags("t")
            assert await cache.get("key", int) is None
            assert await cache.incr("n") == 1
            assert await cache.get("n", int) == 1
            await cache.incr("n")
            assert await cache.get("n", int) == 2


async def test_what_is_made_in_a_scope_is_not_made_of_what_the_scope_remembers(
    cache: Cache, backend: Remote
) -> None:
    async with Cache(backend, l1=None) as other:
        await cache.set("part", "old")

        async def whole() -> str:
            return f"<{await cache.get('part', str)}>"

        with cache.memo():
            assert await cache.get("part", str) == "old"
            await other.set("part", "new")
            assert await cache.get_or_set("whole", whole) == "<new>"
            backend.calls.clear()
            assert await cache.get_or_set("whole", whole) == "<new>"
            assert not backend.calls


async def test_two_caches_do_not_mix(cache: Cache) -> None:
    async with Cache.from_url("memory://", l1=None) as other:
        await cache.set("key", 1)
        await other.set("key", 2)
        with cache.memo():
            assert [await cache.get("key", int), await other.get("key", int)] == [1, 2]
            assert [await cache.get("key", int), await other.get("key", int)] == [1, 2]
