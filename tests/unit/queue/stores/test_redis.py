"""Jobs in Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.unit.queue.places import REDIS, own_prefix

from oxidite.drivers.redis import RedisOptions
from oxidite.queue.base import JobStore
from oxidite.queue.stores.redis import RedisStore
from oxidite.testing.contracts import JobStoreContract

pytestmark = pytest.mark.service("redis")


@pytest.fixture
async def prefix() -> AsyncIterator[str]:
    async with own_prefix() as prefix:
        yield prefix


@pytest.fixture
async def shared(prefix: str) -> AsyncIterator[RedisStore]:
    options, _ = RedisOptions.from_url(REDIS)
    async with RedisStore(options, prefix=prefix) as store:
        yield store


class TestRedis(JobStoreContract):
    @pytest.fixture
    def store(self, shared: RedisStore) -> JobStore:
        return shared
