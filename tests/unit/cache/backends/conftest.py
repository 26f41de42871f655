"""A part of a Redis server that is a test's own, and empty."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast
from uuid import uuid4

import pytest

from oxidite.cache.backends.redis import RedisBackend
from oxidite.drivers.redis import Redis, RedisOptions

REDIS = os.environ.get("OXIDITE_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")

Process = Callable[[], AbstractAsyncContextManager[RedisBackend]]


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    async with Redis.from_url(REDIS) as found:
        if not found.is_connected:
            pytest.skip(f"no Redis at {REDIS}")
        yield found


@pytest.fixture
async def prefix(redis: Redis) -> AsyncIterator[str]:
    made = f"{uuid4().hex}:"
    yield made
    keys = cast("list[bytes]", await redis.run("KEYS", f"{made}*"))
    if keys:
        await redis.run("UNLINK", *keys)


@pytest.fixture
def process(prefix: str) -> Process:
    """Make what another process would have: a backend of its own, with the same keys."""
    options, _ = RedisOptions.from_url(REDIS)

    @asynccontextmanager
    async def made() -> AsyncIterator[RedisBackend]:
        async with RedisBackend(options, prefix=prefix) as backend:
            yield backend

    return made


@pytest.fixture
async def shared(process: Process) -> AsyncIterator[RedisBackend]:
    async with process() as backend:
        yield backend
