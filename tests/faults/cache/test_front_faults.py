"""An application whose cache's store is killed, stands still, fills up, slows down or stutters.

Every request is answered with 200 and within a bound, no price is told that was changed before, and the
store is used again when it is there, with no restart.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.faults.proxy import Proxy
from tests.redis_server import RedisServer, redis_server

from oxidite.cache import L1
from oxidite.drivers.redis import Redis

from .shops import fares_well, opened

TIERS = pytest.mark.parametrize("l1", [L1(), None], ids=["remembering", "forgetful"])


@TIERS
async def test_a_server_that_is_killed_and_comes_back_empty(
    server: RedisServer, l1: L1 | None
) -> None:
    async with opened(server.url, l1=l1) as (shop, client):
        await fares_well(shop.ask(client))
        server.kill()
        await fares_well(shop.ask(client))
        assert (await shop.cache.stats()).is_failing
        server.start()
        await shop.until_healed(client)
        await fares_well(shop.ask(client))
        assert not (await shop.cache.stats()).is_failing


@TIERS
async def test_a_server_that_stands_still_and_remembers_what_it_had(
    server: RedisServer, l1: L1 | None
) -> None:
    async with opened(server.url, l1=l1) as (shop, client):
        await fares_well(shop.ask(client))
        server.pause()
        await fares_well(shop.ask(client))  # changes prices: the server hears of none of them
        assert shop.told != dict.fromkeys(range(10), 1)
        server.resume()
        await shop.until_healed(client)
        await fares_well(shop.ask(client))


async def test_a_server_that_stutters(server: RedisServer) -> None:
    async with opened(server.url, l1=None) as (shop, client):
        async with _stuttering(server):
            await fares_well(shop.ask(client))
        await shop.until_healed(client)
        await fares_well(shop.ask(client))


async def test_a_network_that_is_too_slow(proxy: Proxy) -> None:
    async with opened(f"redis://127.0.0.1:{proxy.port}/0", l1=None) as (shop, client):
        proxy.delay = 1.0
        await fares_well(shop.ask(client))
        proxy.delay = 0.0
        await shop.until_healed(client)
        await fares_well(shop.ask(client))


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru"])
async def test_a_server_that_is_full(tmp_path: Path, policy: str) -> None:
    with redis_server(tmp_path, "--maxmemory-policy", policy) as server:
        async with opened(server.url, l1=None) as (shop, client):
            async with Redis.from_url(server.url) as redis:
                await redis.run("CONFIG", "SET", "maxmemory", "2mb")
                for number in range(40):
                    with contextlib.suppress(Exception):
                        await redis.run("SET", f"fill:{number}", b"x" * 100_000)
                await fares_well(shop.ask(client))
                await redis.run("FLUSHALL")
                await redis.run("CONFIG", "SET", "maxmemory", "0")
            await shop.until_healed(client)
            await fares_well(shop.ask(client))


@contextlib.asynccontextmanager
async def _stuttering(server: RedisServer) -> AsyncIterator[None]:
    async def stutter() -> None:
        while True:
            server.pause()
            await asyncio.sleep(0.7)
            server.resume()
            await asyncio.sleep(0.2)

    task = asyncio.create_task(stutter())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))
        server.resume()
