"""Tracked functions of several processes on one store and one database, with each kind of store there is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from tests.unit.cache.bookshop import Author, Book, furnish
from tests.unit.cache.test_shared import prefix, url
from tests.unit.db.conftest import database_url

from oxidite.cache import L1, Cache
from oxidite.db import Database

__all__ = ["prefix", "url"]  # fixtures

WRITER = """
import asyncio, sys
from oxidite.cache import Cache
from oxidite.db import Col, Database, Model, col

class Author(Model, table="t_authors"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]
    visits: Col[int] = col(default=0)

async def main():
    db = Database.from_url(sys.argv[3])
    async with db, Cache.from_url(sys.argv[1], prefix=sys.argv[2], track=True, raises=True, store_timeout=10):
        for line in sys.stdin:
            match line.strip():
                case "save":
                    async with db.transaction():
                        author = await Author.get(1)
                        author.name = "Eve"
                        await author.save()
                case "create":
                    await Author.create(name="Cyd")
                case "undo":
                    try:
                        async with db.transaction():
                            await Author.where(Author.id > 0).update(name="nobody")
                            raise ZeroDivisionError
                    except ZeroDivisionError:
                        pass
                case "sql":
                    await db.sql("UPDATE t_books SET price = 100").run()
            print("done", flush=True)

asyncio.run(main())
"""


@pytest.fixture(params=["file", pytest.param("postgresql", marks=pytest.mark.service("postgres"))])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with database_url(request.param, tmp_path) as found:
        yield found


async def test_what_one_process_writes_another_reads(url: str, prefix: str, database: str) -> None:
    pipe = asyncio.subprocess.PIPE
    cache = Cache.from_url(url, prefix=prefix, l1=None, raises=True, store_timeout=10)

    @cache.cached(track=True, key="name")
    async def name(number: int) -> str | None:
        found = await Author.get_or_none(number)
        return None if found is None else found.name

    @cache.cached(track=True, key="books")
    async def prices() -> list[int]:
        return [each.price for each in await Book.order_by(Book.id).all()]

    async def read() -> list[str | int | None]:
        return [*[await name(number) for number in (1, 2, 3)], *await prices()]

    async with Database.from_url(database) as db, cache:
        await furnish(db)
        writer = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, url, prefix, database, stdin=pipe, stdout=pipe
        )
        assert writer.stdin is not None
        assert writer.stdout is not None

        async def tell(what: str) -> None:
            assert writer.stdin is not None
            assert writer.stdout is not None
            writer.stdin.write(f"{what}\n".encode())
            assert await asyncio.wait_for(writer.stdout.readline(), 60) == b"done\n"

        try:
            for _ in range(2):
                assert await read() == ["Ada", "Ben", None, 1, 2, 1, 2]
            made = cache.counts.made
            await read()
            await tell("undo")
            assert await read() == ["Ada", "Ben", None, 1, 2, 1, 2]
            assert cache.counts.made == made + 2  # `None` is not kept, the others are
            await tell("save")
            assert await read() == ["Eve", "Ben", None, 1, 2, 1, 2]
            await tell("create")
            assert await read() == ["Eve", "Ben", "Cyd", 1, 2, 1, 2]
            await tell("sql")
            assert await read() == ["Eve", "Ben", "Cyd", 100, 100, 100, 100]
            writer.stdin.close()
            assert await writer.wait() == 0
        finally:
            if writer.returncode is None:
                writer.kill()
                await writer.wait()
        await cache.clear()


async def test_what_a_process_remembers_is_forgotten_by_the_bus(
    url: str, prefix: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Cache.from_url(url, prefix=prefix, l1=L1(ttl=600), raises=True, store_timeout=10)
    heard = asyncio.Event()

    @reader.cached(track=True, key="names")
    async def names() -> list[str]:
        return [each.name for each in await Author.order_by(Author.id).all()]

    async with Database.from_url(database) as db, reader:
        await furnish(db)
        await names()
        assert await names() == await names() == ["Ada", "Ben"]
        change = reader._core.near.change_tags

        def changed(tags: Iterable[str]) -> None:
            change(tags)
            heard.set()

        monkeypatch.setattr(reader._core.near, "change_tags", changed)
        async with db.driver.connection(write=True) as connection:
            await connection.run("UPDATE t_authors SET name = 'Eve' WHERE id = 1", ())
        async with Cache.from_url(url, prefix=prefix, l1=None, store_timeout=10) as other:
            await other.invalidate_tags("table:t_authors:1", "table:t_authors:rows")
        await asyncio.wait_for(heard.wait(), 30)
        assert await names() == ["Eve", "Ben"]
        await reader.clear()
