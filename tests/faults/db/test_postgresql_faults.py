"""PostgreSQL stops, starts, loses connections and fills up; the application goes on."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import asyncpg
import pytest

from oxidite.db import Col, Database, DiskFullError, Model, PoolTimeoutError, TransactionError, col
from oxidite.errors import BackendTimeoutError, BackendUnavailableError

from .conftest import ROUNDS, PostgreSQL, Proxy, owned_folder


class Item(Model, table="items"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col()


async def pid(db: Database) -> int:
    async with db.connection() as connection:
        ((found,),) = await connection.fetch("SELECT pg_backend_pid()", ())
    return int(found)


async def on_the_side(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def test_a_server_that_is_restarted_costs_no_statement(server: PostgreSQL) -> None:
    async with Database.from_url(server.url, pool_min=5) as db:
        await db.push(Item)
        await Item.create(name="before")
        server.stop()
        with pytest.raises(BackendUnavailableError):
            await Item.count()
        server.start()
        # Nothing is restarted here, and no connection of before is tried.
        assert await asyncio.gather(*(Item.count() for _ in range(10))) == [1] * 10
        assert all(pool.in_use == 0 for pool in db.stats.pools.values())


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGQUIT])
async def test_a_transaction_that_loses_its_server_is_undone(
    server: PostgreSQL, sent: signal.Signals
) -> None:
    async with Database.from_url(server.url) as db:
        await db.push(Item)

        @db.transaction()
        async def work() -> None:
            await Item.create(name="half")
            server.stop(sent)
            await Item.create(name="other half")

        with pytest.raises(BackendUnavailableError):
            await work()
        server.start()
        assert await Item.count() == 0


async def test_a_connection_that_is_ended_by_the_server(server: PostgreSQL) -> None:
    async with Database.from_url(server.url) as db:
        await db.push(Item)

        @db.transaction()
        async def work() -> None:
            await Item.create(name="half")
            await on_the_side(server.url, f"SELECT pg_terminate_backend({await pid(db)})")
            await Item.create(name="other half")

        with pytest.raises(BackendUnavailableError):
            await work()
        assert await Item.count() == 0
        assert db.stats.pools["connections"].in_use == 0


async def test_a_commit_that_never_arrives_raises(server: PostgreSQL, proxy: Proxy) -> None:
    async with Database.from_url(proxy.url) as db:
        await db.push(Item)
        ran: list[str] = []

        @db.transaction()
        async def work() -> None:
            await Item.create(name="half")
            proxy.cut()

        with pytest.raises(BackendUnavailableError):
            await work()
        assert ran == []
        assert await Item.count() == 0


async def test_a_connection_that_is_cut_in_the_midst_of_a_statement(
    server: PostgreSQL, proxy: Proxy
) -> None:
    async with Database.from_url(proxy.url, pool_min=4) as db:
        await db.push(Item)

        async def slow() -> None:
            async with db.connection() as connection:
                await connection.fetch("SELECT pg_sleep(30)", ())

        tasks = [asyncio.create_task(slow()) for _ in range(4)]
        await asyncio.sleep(0.2)
        proxy.cut()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(each) for each in found} == {BackendUnavailableError}
        assert await Item.count() == 0
        assert db.stats.pools["connections"].in_use == 0


async def test_a_network_that_loses_everything_holds_nobody_for_ever(
    server: PostgreSQL, proxy: Proxy
) -> None:
    url = f"{proxy.url}&connect_timeout=0.3"
    async with Database.from_url(url, pool_size=2, pool_timeout=0.5, pool_check=0) as db:
        await db.push(Item)
        proxy.pause()
        began = perf_counter()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await Item.count()

        async def write() -> None:
            async with db.transaction():
                await Item.create(name="half")

        with pytest.raises((TimeoutError, BackendUnavailableError, PoolTimeoutError)):
            async with asyncio.timeout(0.3):
                await write()
        with pytest.raises((BackendUnavailableError, PoolTimeoutError)):
            await Item.count()
        assert perf_counter() - began < 12
        proxy.resume()
        async with asyncio.timeout(10):
            assert await Item.count() == 0
        assert db.stats.pools["connections"].in_use == 0


async def test_more_connections_than_the_server_has(server: PostgreSQL) -> None:
    async with Database.from_url(server.url, pool_size=40, pool_timeout=5) as db:
        await db.push(Item)

        async def hold() -> int:
            async with db.transaction():
                await asyncio.sleep(0.2)
                return await Item.count()

        found = await asyncio.gather(*(hold() for _ in range(40)), return_exceptions=True)
        failed = [each for each in found if each != 0]
        assert {type(each) for each in failed} == {BackendUnavailableError}
        assert await Item.count() == 0


async def test_a_statement_that_the_server_ends(server: PostgreSQL) -> None:
    async with Database.from_url(f"{server.url}?statement_timeout=100") as db:
        with pytest.raises(BackendTimeoutError, match="statement timeout"):
            async with db.connection() as connection:
                await connection.fetch("SELECT pg_sleep(5)", ())
        assert await pid(db) > 0


async def test_after_a_failed_statement_the_transaction_says_so(server: PostgreSQL) -> None:
    async with Database.from_url(server.url) as db:
        await db.push(Item)

        @db.transaction()
        async def work() -> None:
            async with db.connection() as connection:
                with pytest.raises(Exception, match="division by zero"):
                    await connection.fetch("SELECT 1/0", ())
            await Item.count()

        with pytest.raises(TransactionError, match="savepoint"):
            await work()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    if os.getuid() != 0:
        pytest.skip("only root may mount a disk")
    folder = owned_folder("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    made = subprocess.run(mount, check=False, capture_output=True, timeout=10)
    if made.returncode:
        shutil.rmtree(folder)
        pytest.skip(f"no disk can be mounted here: {made.stderr.decode()}")
    shutil.chown(folder, "postgres", "postgres")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=10)
        shutil.rmtree(folder, ignore_errors=True)


async def test_a_disk_that_is_full(server: PostgreSQL, small_disk: Path) -> None:
    await on_the_side(server.url, f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    try:
        async with Database.from_url(f"{server.url}?options=-c default_tablespace=small") as db:
            await db.push(Item)
            await Item.create(name="first")

            @db.transaction()
            async def fill() -> None:
                for _ in range(1000):
                    await Item.create(name=os.urandom(4000).hex())

            with pytest.raises(DiskFullError):
                await fill()
            assert await Item.count() == 1
            more = ["mount", "-o", "remount,size=8m", str(small_disk)]
            subprocess.run(more, check=True, timeout=10)  # noqa: ASYNC221 - of a moment
            await Item.create(name="second")
            assert await Item.count() == 2
    finally:
        await on_the_side(server.url, "DROP TABLE items")
        await on_the_side(server.url, "DROP TABLESPACE small")


async def test_whatever_happens_no_half_of_a_pair_is_kept(server: PostgreSQL, proxy: Proxy) -> None:
    """Pairs are written while connections are cut and tasks are cancelled."""
    dice = random.Random(11)
    sure = 0
    async with Database.from_url(proxy.url, pool_size=4, pool_timeout=2) as db:
        await db.push(Item)

        async def pair(number: int) -> bool:
            async with db.transaction():
                await Item.create(name=f"pair {number}")
                await asyncio.sleep(0)
                await Item.create(name=f"pair {number}")
            return True

        for turn in range(30 * ROUNDS):
            tasks = [asyncio.create_task(pair(turn * 10 + n)) for n in range(6)]
            await asyncio.sleep(dice.random() / 50)
            if dice.random() < 0.3:
                proxy.cut()
            dice.choice(tasks).cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            sure += found.count(True)
            wrong = [
                each
                for each in found
                if each is not True
                and not isinstance(
                    each, asyncio.CancelledError | BackendUnavailableError | PoolTimeoutError
                )
            ]
            assert wrong == []
        rows = await Item.query().all()
        names = [row.name for row in rows]
        assert {names.count(name) for name in names} <= {2}
        assert len(set(names)) >= sure  # a commit may have arrived whose answer did not
        assert sure > 0
        stats = db.stats.pools["connections"]
        assert (stats.in_use, stats.waiting) == (0, 0)
        assert stats.open <= 4
        async with db.connection() as connection:
            stray = await connection.fetch(
                "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'", ()
            )
        assert stray[0][0] == 0
