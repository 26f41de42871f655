"""The cache of one process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from oxidite.cache import CacheBackend, Item
from oxidite.cache.backends import backends
from oxidite.errors import ConfigError
from oxidite.testing.contracts import CacheBackendContract


class TestMemory(CacheBackendContract):
    @pytest.fixture
    async def backend(self) -> AsyncIterator[CacheBackend]:
        async with backends.create("memory://") as backend:
            yield backend


async def test_what_is_used_least_makes_room() -> None:
    async with backends.create("memory://?max_size=100KB") as backend:
        await backend.set_many([Item("used", b"x" * 1000)])
        for number in range(1000):
            await backend.set_many([Item(f"once:{number}", b"x" * 1000)])
            await backend.get_many(["used"])
        stats = await backend.stats()
        assert stats.size is not None
        assert stats.size <= 100_000
        assert 50 <= stats.keys <= 100
        assert await backend.get_many(["used", "once:0"]) == [b"x" * 1000, None]


async def test_what_is_larger_than_the_room_is_not_kept() -> None:
    async with backends.create("memory://?max_size=10KB") as backend:
        await backend.set_many([Item("small", b"1"), Item("large", b"x" * 20_000)])
        assert await backend.get_many(["small", "large"]) == [b"1", None]


async def test_claims_of_ever_new_keys_take_no_room_for_ever() -> None:
    async with backends.create("memory://") as backend:
        for number in range(20_000):
            await backend.claim(f"key:{number}", "token", 1e-9, [])
        assert len(backend._claims) < 5_000  # type: ignore[attr-defined]


@pytest.mark.parametrize("url", ["memory://host", "memory://?size=1", "memory:///path"])
async def test_a_url_with_something_else_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="memory://"):
        backends.create(url)


@pytest.mark.parametrize("size", ["nonsense", "", "-1", "0", "1.5B"])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(ConfigError, match=r"max_size="):
        backends.create(f"memory://?max_size={size}")
