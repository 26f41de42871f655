"""Several processes on one store, with each kind of store that is there."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from oxidite.cache import L1, Cache
from oxidite.cache.keys import stored_key

STORES = {
    "redis": ("redis", os.environ.get("OXIDITE_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")),
    "sqlite": ("sql", "sqlite:///{directory}/cache.db"),
    "postgresql": (
        "sql",
        os.environ.get(
            "OXIDITE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres"
        ),
    ),
}

PROCESS = """
import asyncio, sys
from oxidite.cache import Cache

async def make() -> int:
    with open(sys.argv[3], "a") as log:
        log.write("x")
    await asyncio.sleep(0.3)
    return 7

async def main():
    async with Cache.from_url(sys.argv[1], prefix=sys.argv[2], store_timeout=10) as cache:
        print("ready", flush=True)
        sys.stdin.readline()
        found = await asyncio.gather(*(cache.get_or_set("key", make) for _ in range(250)))
        assert found == [7] * 250

asyncio.run(main())
"""


@pytest.fixture(
    params=[
        name for name, (file, _) in STORES.items() if find_spec(f"oxidite.cache.backends.{file}")
    ]
)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return STORES[request.param][1].format(directory=tmp_path)


@pytest.fixture
def prefix() -> str:
    return f"test {secrets.token_hex(4)}:"


@pytest.fixture
async def cache(url: str, prefix: str) -> AsyncIterator[Cache]:
    # Longer than any machine is slow: what is asserted is what the store does.
    async with Cache.from_url(
        url, prefix=prefix, raises=True, store_timeout=10, l1=L1(ttl=600)
    ) as cache:
        yield cache
        await cache.clear()


async def test_a_thousand_who_miss_in_four_processes_make_one_value(
    url: str, prefix: str, cache: Cache, tmp_path: Path
) -> None:
    log = tmp_path / "made"
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROCESS, url, prefix, str(log), stdin=pipe, stdout=pipe
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.close()
    for process in processes:
        await process.communicate()
        assert process.returncode == 0
    assert log.read_text() == "x"
    assert await cache.get("key", int) == 7


async def test_what_one_changes_another_forgets(url: str, prefix: str, cache: Cache) -> None:
    async with Cache.from_url(url, prefix=prefix, store_timeout=10, l1=L1(ttl=600)) as other:
        for key in ("a set", "a delete"):
            await cache.set(key, "old")
            assert await other.get(key, str) == "old"
            heard = asyncio.ensure_future(other._core.waiting(stored_key(prefix + key), 10))
            await (cache.set(key, "new") if key == "a set" else cache.delete(key))
            await heard
            assert await other.get(key, str) == ("new" if key == "a set" else None)


async def test_all_that_a_cache_does_it_does_here(cache: Cache) -> None:
    await cache.set_many({"a": [1], "b": [2]}, tags=["t"])
    assert await cache.get_many(["a", "b", "c"], list[int]) == {"a": [1], "b": [2]}
    assert await cache.touch("a", 60)
    await cache.invalidate_tags("t", soft=True)
    assert await cache.get("a", list[int]) is None
    await cache.invalidate_tags("t")
    assert await cache.add("a", 1, tags=["t"])
    assert not await cache.add("a", 2)
    assert await cache.pop("a", int) == 1
    assert await cache.incr("n", 5) == 5
    assert await cache.get("n", int) == 5
    async with cache.lock("l") as first:
        pass
    async with cache.lock("l", timeout=5) as second:
        assert second > first
    async with cache.entry("e", int) as entry:
        entry.value = 7
        entry.tags = ["t"]
    assert await cache.get("e", int) == 7
    await cache.clear()
    assert not await cache.exists("e")
    assert not await cache.exists("n")
    assert cache.counts.errors == 0


async def test_a_value_of_ten_megabytes_comes_back(cache: Cache) -> None:
    value = secrets.token_bytes(10_000_000)
    await cache.set("large", value)
    cache._core.lost()
    assert await cache.get("large", bytes) == value
