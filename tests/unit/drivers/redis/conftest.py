"""A Redis server that runs already, and keys of a test's own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import cast
from uuid import uuid4

import pytest

from oxidite.drivers.redis import Redis

REDIS = os.environ.get("OXIDITE_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Both loops: the connection is taken over from redis-py by what they have in common."""
    return "asyncio", {"use_uvloop": request.param}


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
