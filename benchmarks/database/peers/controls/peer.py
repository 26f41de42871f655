"""No ORM at all: the drivers themselves, with a statement each. What cannot be beaten by much."""

from __future__ import annotations

import asyncio
from typing import Any

from seed import AUTHORS, author

_COLUMNS = "name, email, age, score, active, bio, created_at"
_driver: Any
_get: str


async def start(url: str) -> None:
    global _driver, _get
    rows = [tuple(author(n).values()) for n in range(AUTHORS)]
    if url.startswith("sqlite"):
        import aiosqlite

        _driver = await aiosqlite.connect(url.removeprefix("sqlite:///"))
        await _driver.execute("PRAGMA journal_mode=WAL")
        await _driver.execute(f"CREATE TABLE authors (id INTEGER PRIMARY KEY, {_COLUMNS})")
        await _driver.executemany(
            f"INSERT INTO authors ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(*row[:-1], row[-1].isoformat()) for row in rows],  # type: ignore[attr-defined]  # a date
        )
        await _driver.commit()
        _get = f"SELECT id, {_COLUMNS} FROM authors WHERE id = ?"
        return
    import asyncpg

    _driver = await asyncpg.create_pool(url, min_size=10, max_size=10)
    await _driver.execute(
        "CREATE TABLE authors (id serial PRIMARY KEY, name text, email text, age integer, "
        "score double precision, active boolean, bio text, created_at timestamptz)"
    )
    await _driver.copy_records_to_table("authors", records=rows, columns=_COLUMNS.split(", "))
    _get = f"SELECT id, {_COLUMNS} FROM authors WHERE id = $1"


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


async def together(count: int) -> int:
    found = 0
    for _ in range(count):
        found += len(await asyncio.gather(*(get_one(number + 1) for number in range(200))))
    return found


WORKLOADS = {"get": get, "together": together}
