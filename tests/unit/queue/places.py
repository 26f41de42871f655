"""A part of a Redis server that is a test's own, and empty."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from uuid import uuid4

import pytest

from oxidite.drivers.redis import Redis

__all__ = ["REDIS", "own_prefix"]

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
