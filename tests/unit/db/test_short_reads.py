"""Reads of SQLite that run in the event loop, and those that are too long for it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from oxidite.db import Database, DatabaseError, QueryError
from oxidite.db.drivers.sqlite import SQLiteDriver
from oxidite.db.drivers.sqlite_reads import ShortReads
from oxidite.errors import ConfigError

COUNT_TO = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT max(i) FROM n"
"""A statement that takes as long as one likes."""
LONG = 400_000
LONGEST = 0.002


@pytest.fixture
def own() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[SQLiteDriver]:
    async with SQLiteDriver(tmp_path / "app.db") as driver:
        async with driver.connection(write=True) as writer:
            await writer.run("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)", ())
            await writer.run_many(
                "INSERT INTO things VALUES (?, ?)", [(n, f"thing {n}") for n in range(200)]
            )
        yield driver


def at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns without waiting for anything."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise AssertionError("it waited")


class TestInTheLoop:
    async def test_a_short_read_waits_for_nothing(self, driver: SQLiteDriver) -> None:
        async with driver.connection(write=False) as reader:
            found: list[Any] = []
            # One that the machine has stopped in the middle goes to the thread once.
            while not found:
                with contextlib.suppress(AssertionError):
                    found = at_once(reader.fetch("SELECT name FROM things WHERE id = ?", [7]))
            assert found == [("thing 7",)]

    async def test_a_statement_of_the_writer_never_runs_there(self, driver: SQLiteDriver) -> None:
        async with driver.connection(write=True) as writer:
            insert = writer.fetch("INSERT INTO things VALUES (?, ?) RETURNING id", [900, "x"])
            task = asyncio.ensure_future(insert)
            await asyncio.sleep(0)
            assert not task.done()
            assert await task == [(900,)]

    async def test_who_reads_row_by_row_lets_others_have_their_turn(
        self, driver: SQLiteDriver
    ) -> None:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        task = asyncio.ensure_future(others())
        async with driver.connection(write=False) as reader:
            for n in range(5000):
                await reader.fetch("SELECT name FROM things WHERE id = ?", [n % 200])
        task.cancel()
        assert turns >= 5

    async def test_what_is_wrong_is_told_as_ever(self, driver: SQLiteDriver) -> None:
        async with driver.connection(write=False) as reader:
            with pytest.raises(DatabaseError, match="no such table: nowhere"):
                await reader.fetch("SELECT * FROM nowhere", ())
            with pytest.raises(QueryError, match="cannot be bound"):
                await reader.fetch("SELECT ?", [object()])
            with pytest.raises(QueryError, match="cannot be bound"):
                await reader.fetch("SELECT ?", [1 << 70])
            assert await reader.fetch("SELECT 1", ()) == [(1,)]

    async def test_a_read_of_a_transaction_that_only_reads_sees_its_snapshot(
        self, driver: SQLiteDriver
    ) -> None:
        async with driver.connection(write=False) as reader:
            await reader.begin(isolation=None, read_only=True)
            before = await reader.fetch("SELECT max(id) FROM things", ())
            async with driver.connection(write=True) as writer:
                await writer.run("DELETE FROM things", ())
            # Given up in the middle, it is run anew in the same snapshot.
            assert await reader.fetch(COUNT_TO, [LONG]) == [(LONG,)]
            assert await reader.fetch("SELECT max(id) FROM things", ()) == before == [(199,)]
            await reader.rollback()
            assert await reader.fetch("SELECT max(id) FROM things", ()) == [(None,)]


class TestTooLong:
    async def test_others_go_on_while_a_long_one_runs(self, driver: SQLiteDriver) -> None:
        turns = 0
        async with driver.connection(write=False) as reader:
            task = asyncio.ensure_future(reader.fetch(COUNT_TO, [LONG]))
            while not task.done():
                await asyncio.sleep(0)
                turns += 1
        assert task.result() == [(LONG,)]
        assert turns > 50

    async def test_one_that_is_cancelled_stops_and_is_watched_still(
        self, driver: SQLiteDriver
    ) -> None:
        async with driver.connection(write=False) as reader:
            task = asyncio.ensure_future(reader.fetch(COUNT_TO, [10**12]))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not reader.is_broken
            other = COUNT_TO.replace("max", "min")
            task = asyncio.ensure_future(reader.fetch(other, [LONG]))
            turns = 0
            while not task.done():
                await asyncio.sleep(0)
                turns += 1
            assert turns > 50

    async def test_it_is_given_up_and_not_tried_again_at_once(
        self, own: sqlite3.Connection
    ) -> None:
        short = ShortReads(own, LONGEST)
        assert await short.fetch(COUNT_TO, [LONG]) is None
        # Now it goes to the thread once, then twice, then four times.
        for avoided in (1, 2, 4):
            for _ in range(avoided):
                assert at_once(short.fetch(COUNT_TO, [1])) is None
            assert await short.fetch(COUNT_TO, [LONG]) is None
        assert await short.fetch("SELECT 1", ()) == [(1,)]

    async def test_one_that_is_short_again_is_avoided_less(self, own: sqlite3.Connection) -> None:
        short = ShortReads(own, 0.5)
        known = short._learn(COUNT_TO)
        for _ in range(5):
            known.was_long()
        assert known.left == 16
        for _ in range(16):
            assert await short.fetch(COUNT_TO, [1]) is None
        assert await short.fetch(COUNT_TO, [1]) == [(1,)]
        known.was_long()
        assert known.left == 16
        known.left = 0
        for _ in range(10):
            assert await short.fetch(COUNT_TO, [1]) == [(1,)]
        known.was_long()
        assert known.left == 1

    async def test_all_rows_are_never_counted_there(self, own: sqlite3.Connection) -> None:
        # One step of SQLite's machine, in which it does not look at the time.
        short = ShortReads(own, LONGEST)
        own.execute("CREATE TABLE things (id INTEGER PRIMARY KEY)")
        for sql in ("SELECT count(*) FROM things", "select COUNT (*), 1 from things"):
            for _ in range(3):
                assert await short.fetch(sql, ()) is None
        assert await short.fetch("SELECT id AS discount FROM things", ()) == []

    async def test_what_is_remembered_has_an_end(self, own: sqlite3.Connection) -> None:
        short = ShortReads(own, 0.5)
        for n in range(2500):
            assert await short.fetch(f"SELECT {n}", ()) == [(n,)]
        assert len(short._known) <= 1000

    async def test_statements_in_its_thread_are_not_given_up(self, own: sqlite3.Connection) -> None:
        ShortReads(own, LONGEST)
        assert own.execute(COUNT_TO, [LONG]).fetchall() == [(LONG,)]


class TestSaid:
    async def test_without_it_each_runs_in_a_thread(self, tmp_path: Path) -> None:
        url = urlsplit(f"sqlite:///{tmp_path}/app.db?longest_inline=0")
        async with (
            SQLiteDriver.from_url(url) as driver,
            driver.connection(write=False) as reader,
        ):
            task = asyncio.ensure_future(reader.fetch("SELECT 1", ()))
            await asyncio.sleep(0)
            assert not task.done()
            assert await task == [(1,)]

    @pytest.mark.parametrize("text", ["-1", "nan", "inf", "1.5"])
    def test_what_makes_no_sense_is_refused(self, text: str) -> None:
        with pytest.raises(ConfigError, match=r"longest_inline=.*(zero or more|how many seconds)"):
            Database.from_url(f"sqlite:///app.db?longest_inline={text}")


async def test_many_tasks_and_threads_use_the_readers_and_nothing_is_mixed_up(
    driver: SQLiteDriver,
) -> None:
    """Short and long, cancelled and not, over four connections: each hears what it asked for."""
    before = threading.active_count()

    async def ask(n: int) -> None:
        async with driver.connection(write=False) as reader:
            if n % 7 == 0:
                assert await reader.fetch(COUNT_TO, [50_000 + n]) == [(50_000 + n,)]
            elif n % 11 == 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.005):
                        await reader.fetch(COUNT_TO, [10**12])
            else:
                rows = await reader.fetch("SELECT id, name FROM things WHERE id = ?", [n])
                assert rows == [(n, f"thing {n}")]

    await asyncio.gather(*(ask(n) for n in range(120)))
    assert threading.active_count() <= before + 3
