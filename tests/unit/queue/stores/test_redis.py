"""Jobs in Redis."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import cast
from uuid import uuid4

import pytest

from oxidite.drivers.redis import Redis, RedisOptions
from oxidite.queue.base import JobStore
from oxidite.queue.stores.redis import RedisStore
from oxidite.testing.contracts import JobStoreContract

REDIS = os.environ.get("OXIDITE_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")

pytestmark = pytest.mark.service("redis")


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
    keys = cast("list[bytes]", await redis.run("KEYS", f"{{{made}q}}:*"))
    if keys:
        await redis.run("UNLINK", *keys)


@pytest.fixture
async def store(prefix: str) -> AsyncIterator[RedisStore]:
    options, _ = RedisOptions.from_url(REDIS)
    async with RedisStore(options, prefix=prefix) as store:
        yield store


class TestRedis(JobStoreContract):
    @pytest.fixture
    def store(self, store: RedisStore) -> JobStore:
        return store
