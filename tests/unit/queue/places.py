"""Places for jobs that are a test's own, and empty."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest
from tests.unit.cache.backends.places import place

from oxidite.drivers.redis import Redis, RedisOptions
from oxidite.queue.base import JobStore
from oxidite.queue.stores import stores
from oxidite.queue.stores.redis import RedisStore

__all__ = ["EVERYWHERE", "REDIS", "own_prefix", "own_store"]

REDIS = os.environ.get("OXIDITE_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")


@asynccontextmanager
async def own_prefix() -> AsyncIterator[str]:
    async with Redis.from_url(REDIS) as redis:
        if not redis.is_connected:
            pytest.skip(f"no Redis at {REDIS}")
        prefix = f"{uuid4().hex}:"
        yield prefix
        keys = cast("list[bytes]", await redis.run("KEYS", f"{{{prefix}q}}:*"))
        if keys:
            await redis.run("UNLINK", *keys)


EVERYWHERE = [
    "memory",
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.service("postgres")),
    pytest.param("redis", marks=pytest.mark.service("redis")),
]


@asynccontextmanager
async def own_store(kind: str, folder: Path) -> AsyncIterator[JobStore]:
    """Make a store of that kind, which a queue opens."""
    match kind:
        case "memory":
            yield stores.create("memory://")
        case "redis":
            async with own_prefix() as prefix:
                yield RedisStore(RedisOptions.from_url(REDIS)[0], prefix=prefix)
        case _:
            async with place(kind, folder) as url:
                yield stores.create(url)
