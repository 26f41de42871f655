"""A cache beside the application's database: which one is meant, and what a transaction does to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import perf_counter

import pytest
from tests.unit.cache.backends.places import KINDS, place

from oxidite import Oxidite
from oxidite.cache import Cache
from oxidite.db import Col, Database, Model, col
from oxidite.errors import ConfigError
from oxidite.testing import Client

SOON = 0.05
"""Seconds that a write of the cache may take while the application's own transaction has written."""


@pytest.fixture(params=[*KINDS, "memory"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    if request.param == "memory":
        yield "sqlite://"
        return
    async with place(request.param, tmp_path) as found:
        yield found


class Note(Model, table="notes_of_a_cache"):
    id: Col[int] = col(pk=True)
    text: Col[str]


async def test_a_write_in_a_transaction_waits_for_nothing_and_is_not_undone(url: str) -> None:
    db = Database.from_url(url)
    cache = Cache.from_url("db", l1=None)
    app = Oxidite(resources=[db, cache])

    @app.get("/")
    async def write() -> float:
        took = []
        with contextlib.suppress(ZeroDivisionError):
            async with db.transaction():
                await Note.create(id=1, text="written")
                for number in range(20):
                    began = perf_counter()
                    await cache.set("key", number, tags=["tag"])
                    took.append(perf_counter() - began)
                raise ZeroDivisionError
        return sorted(took)[len(took) // 2]

    async with Client(app) as client:
        await db.push(Note)
        assert (await client.get("/")).json() < SOON
        assert await Note.count() == 0
        assert await cache.get("key", int) == 19
        assert cache.counts.errors == 0


async def test_what_is_forgotten_in_a_transaction_is_forgotten_again_after_the_commit(
    tmp_path: Path,
) -> None:
    """Else it stays as it was before, for whoever made it anew before the commit."""
    db = Database.from_url(f"sqlite:///{tmp_path}/app.db")
    cache = Cache.from_url("db")

    @cache.cached(ttl=600, tags=["notes"])
    async def text(id: int) -> str:
        return (await Note.get(id)).text

    async def by_tag() -> None:
        await cache.invalidate_tags("notes")

    async def by_key() -> None:
        await text.invalidate(1)

    async with Oxidite(resources=[db, cache]).lifespan:
        await db.push(Note)
        note = await Note.create(id=1, text="0")
        for number, forget in enumerate((by_tag, by_key, cache.clear), 1):
            changed, read = asyncio.Event(), asyncio.Event()

            async def write(
                number: int = number,
                forget: Callable[[], Awaitable[None]] = forget,
                changed: asyncio.Event = changed,
                read: asyncio.Event = read,
            ) -> None:
                async with db.transaction(), db.transaction():
                    note.text = str(number)
                    await note.save()
                    await forget()
                    changed.set()
                    await read.wait()

            writing = asyncio.create_task(write())
            await changed.wait()
            assert await text(1) == str(number - 1)
            read.set()
            await writing
            assert await text(1) == str(number)


async def test_what_is_counted_or_handed_out_in_a_transaction_stays_as_it_is(
    tmp_path: Path,
) -> None:
    db, cache = Database.from_url(f"sqlite:///{tmp_path}/app.db"), Cache.from_url("db")
    async with Oxidite(resources=[db, cache]).lifespan:
        await cache.incr("visits", 7)
        await cache.set("ticket", 1)
        async with db.transaction():
            await cache.counter("visits").reset()
            assert await cache.pop("ticket", int) == 1
            await cache.incr("visits")
            await cache.set("ticket", 2)
        assert await cache.counter("visits").value() == 1
        assert await cache.get("ticket", int) == 2


async def test_without_a_database_and_with_two_it_is_told_what_to_write() -> None:
    with pytest.raises(ConfigError, match=r"resources=\[db, cache\]"):
        async with Client(Oxidite(resources=[Cache.from_url("db")])):
            pass
    one, two = Database.from_url("sqlite://"), Database.from_url("sqlite://")
    with pytest.raises(ConfigError, match=r"2 databases are that. Name them"):
        async with Client(Oxidite(resources=[one, two, Cache.from_url("db")])):
            pass
    with pytest.raises(ConfigError, match=r"no such database was opened before it"):
        async with Client(Oxidite(resources=[Cache.from_url("db"), one])):
            pass


async def test_a_database_is_meant_by_its_name(tmp_path: Path) -> None:
    one = Database.from_url(f"sqlite:///{tmp_path}/one.db")
    two = Database.from_url(f"sqlite:///{tmp_path}/two.db", name="two")
    cache = Cache.from_url("db://two")
    async with Client(Oxidite(resources=[one, two, cache])):
        await cache.set("key", 1)
    assert (tmp_path / "two.cache.db").exists()
    assert not (tmp_path / "one.cache.db").exists()
