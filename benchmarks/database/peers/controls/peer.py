"""No ORM at all: the drivers themselves, with a statement each. What cannot be beaten by much."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from seed import AUTHORS, ITEMS, author

_COLUMNS = "name, email, age, score, active, bio, created_at"
_ITEM = "name, likes, created_at"
_driver: Any
_get: str
_rows: str


async def start(url: str) -> None:
    global _driver, _get, _rows
    rows = [tuple(author(n).values()) for n in range(AUTHORS)]
    if url.startswith("sqlite"):
        import aiosqlite

        _driver = await aiosqlite.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        await _driver.execute("PRAGMA journal_mode=WAL")
        await _driver.execute("PRAGMA synchronous=NORMAL")
        await _driver.execute(f"CREATE TABLE authors (id INTEGER PRIMARY KEY, {_COLUMNS})")
        await _driver.execute(f"CREATE TABLE items (id INTEGER PRIMARY KEY, {_ITEM})")
        await _driver.executemany(
            f"INSERT INTO authors ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(*row[:-1], row[-1].isoformat()) for row in rows],  # type: ignore[attr-defined]  # a date
        )
        _get = f"SELECT id, {_COLUMNS} FROM authors WHERE id = ?"
        _rows = f"SELECT id, {_COLUMNS} FROM authors WHERE age >= ? ORDER BY id LIMIT ?"
        return
    import asyncpg

    _driver = await asyncpg.create_pool(url, min_size=10, max_size=10)
    await _driver.execute(
        "CREATE TABLE authors (id serial PRIMARY KEY, name text, email text, age integer, "
        "score double precision, active boolean, bio text, created_at timestamptz)"
    )
    await _driver.execute(
        "CREATE TABLE items (id serial PRIMARY KEY, name text, likes integer, created_at timestamptz)"
    )
    await _driver.copy_records_to_table("authors", records=rows, columns=_COLUMNS.split(", "))
    _get = f"SELECT id, {_COLUMNS} FROM authors WHERE id = $1"
    _rows = f"SELECT id, {_COLUMNS} FROM authors WHERE age >= $1 ORDER BY id LIMIT $2"


async def stop() -> None:
    await _driver.close()


async def get_one(number: int) -> Any:
    if hasattr(_driver, "fetchrow"):
        return await _driver.fetchrow(_get, number)
    return (await _driver.execute_fetchall(_get, (number,)))[0]


async def get(count: int) -> int:
    found = 0
    for number in range(count):
        found += (await get_one(number % AUTHORS + 1))[0] > 0
    return found


async def rows(count: int) -> int:
    found = 0
    for _ in range(count):
        if hasattr(_driver, "fetchrow"):
            found += len(await _driver.fetch(_rows, 20, 100))
        else:
            found += len(await _driver.execute_fetchall(_rows, (20, 100)))
    return found


async def insert(count: int) -> int:
    found = 0
    for _ in range(count):
        if hasattr(_driver, "fetchrow"):
            async with _driver.acquire() as connection, connection.transaction():
                await connection.execute("DELETE FROM items")
                keys = await connection.fetch(
                    f"INSERT INTO items ({_ITEM}) SELECT * FROM "
                    "unnest($1::text[], $2::integer[], $3::timestamptz[]) RETURNING id",
                    *map(list, zip(*ITEMS, strict=True)),
                )
            found += sum(each[0] > 0 for each in keys)
            continue
        await _driver.execute("BEGIN IMMEDIATE")
        await _driver.execute("DELETE FROM items")
        await _driver.executemany(
            f"INSERT INTO items (id, {_ITEM}) VALUES (?, ?, ?, ?)",
            [(key, name, likes, _text(at)) for key, (name, likes, at) in enumerate(ITEMS, 1)],
        )
        await _driver.execute("COMMIT")
        found += len(ITEMS)
    return found


def _text(at: datetime) -> str:
    return at.replace(tzinfo=None).isoformat(" ", "microseconds")


async def together(count: int) -> int:
    found = 0
    for _ in range(count):
        found += len(await asyncio.gather(*(get_one(number + 1) for number in range(200))))
    return found


WORKLOADS = {"get": get, "rows": rows, "insert": insert, "together": together}
