"""A cache in each kind of store, as several processes have it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest
from tests.unit.cache.backends.conftest import REDIS
from tests.unit.cache.backends.places import place

from oxidite.drivers.redis import Redis

KINDS = [
    "memory",
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.service("postgres")),
    pytest.param("mariadb", marks=pytest.mark.service("mariadb")),
    pytest.param("redis", marks=pytest.mark.service("redis")),
]
SHARED = KINDS[1:]


@contextlib.asynccontextmanager
async def store_url(kind: str, folder: Path) -> AsyncIterator[str]:
    """Make an empty place for a cache; it is gone after the block."""
    if kind == "memory":
        yield "memory://"
    elif kind == "redis":
        async with _redis() as url:
            yield url
    else:
        async with place(kind, folder) as url:
            yield url


@contextlib.asynccontextmanager
async def _redis() -> AsyncIterator[str]:
    prefix = f"{uuid4().hex}:"
    async with Redis.from_url(REDIS) as redis:
        if not redis.is_connected:
            pytest.skip(f"no Redis at {REDIS}")
        yield f"{REDIS}?prefix={prefix}"
        keys = cast("list[bytes]", await redis.run("KEYS", f"{prefix}*"))
        if keys:
            await redis.run("UNLINK", *keys)
