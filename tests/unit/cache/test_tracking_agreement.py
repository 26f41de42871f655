"""After whatever is written, each tracked function says what it would without a cache."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.cache.bookshop import READS, WRITES, furnish
from tests.unit.cache.stores import Remote
from tests.unit.db.conftest import KINDS, database_url

from oxidite.cache import Cache, Cached
from oxidite.cache.backends.memory import MemoryBackend
from oxidite.db import Database


@pytest.fixture(params=KINDS)
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database_url(request.param, tmp_path) as url, Database.from_url(url) as db:
        await furnish(db)
        yield db


@pytest.fixture(params=["this process", "shared"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    backend = MemoryBackend() if request.param == "this process" else Remote()
    async with Cache(backend, prefix="shop:", ttl=None) as cache:
        yield cache


def tracked(cache: Cache) -> dict[str, Cached[[], str]]:
    return {
        name: cache.cached(track=True, type=str, key=name)(read) for name, read in READS.items()
    }


@pytest.mark.parametrize("name", WRITES)
async def test_nothing_old_is_served_after(name: str, db: Database, cache: Cache) -> None:
    functions = tracked(cache)
    before = {}
    for each, function in functions.items():
        await function()  # a tag that the store did not know may make the first one old at once
        before[each] = await function()
        made = cache.counts.made
        assert await function() == before[each]
        assert cache.counts.made == made, f"{each} is not kept"
    await WRITES[name](db)
    changed = 0
    for each, read in READS.items():
        expected = await read()
        changed += expected != before[each]
        assert await functions[each]() == expected, each
    assert changed, "the test changes nothing"
