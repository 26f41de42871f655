"""A cache whose database is killed, silent, cut off, locked, full, read-only or broken.

It says so by a ``BackendError`` and soon, and works again when the database does, with no restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.faults.db.conftest import PostgreSQL, Proxy
from tests.unit.cache.backends.places import opened
from tests.unit.cache.backends.test_sql_bus import Ear

from oxidite import clock
from oxidite.cache import Item
from oxidite.cache.backends.sql import SQLBackend
from oxidite.errors import BackendError, BackendTimeoutError, BackendUnavailableError
from oxidite.rates import Claim, Rule


async def value_of(backend: SQLBackend, key: str) -> bytes | None:
    return (await backend.get_many([key]))[0]


async def until_it_works(backend: SQLBackend) -> None:
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(BackendError):
                await backend.set_many([Item("again", b"1")])
                return


@contextlib.asynccontextmanager
async def listening(url: str, ear: Ear) -> AsyncIterator[SQLBackend]:
    async with opened(url) as backend:
        backend.listen(ear)
        await ear.until(lambda ear: ear.losses)
        yield backend


# PostgreSQL


async def test_after_a_crash_of_the_server_nothing_old_looks_new(server: PostgreSQL) -> None:
    ear = Ear()
    async with listening(server.url, ear) as backend:
        await backend.set_many([Item("key", b"1", tags=("tag",))])
        await backend.invalidate(["tag"], soft=False)
        (epochs,) = await backend.epochs(["tag"])
        assert epochs is not None
        number = await backend.acquire("lock", "me", 1, 600.0)
        assert number is not None

        server.stop(signal.SIGQUIT)
        await ear.until(lambda ear: ear.losses >= 2)
        with pytest.raises(BackendUnavailableError):
            await backend.get_many(["key"])
        server.start()
        await until_it_works(backend)

        # What may be lost is lost: the values. An invalidation is not, nor is a lock.
        assert await value_of(backend, "key") is None
        claimed = await backend.claim("key", "token", 60.0, ["tag"])
        assert claimed.granted
        assert claimed.as_of >= epochs.hard
        assert await backend.acquire("lock", "other", 1, 60.0) is None
        assert await backend.leave("lock", "me")
        later = await backend.acquire("lock", "other", 1, 60.0)
        assert later is not None
        assert later > number
        await backend.invalidate(["tag"], soft=False)
        (again,) = await backend.epochs(["tag"])
        assert again is not None
        assert again.hard > epochs.hard

        # And what others change is heard again.
        losses = ear.losses
        await ear.until(lambda ear: ear.losses > losses or ear.losses >= 3)
        async with opened(server.url) as other:
            await other.set_many([Item("heard", b"1")])
            await ear.until(lambda ear: "heard" in ear.keys)


async def test_a_server_that_says_nothing_is_given_up_in_time_and_comes_back(
    proxy: Proxy,
) -> None:
    ear = Ear()
    async with listening(f"{proxy.url}&timeout=0.5", ear) as backend:
        await backend.set_many([Item("key", b"1")])
        proxy.pause()
        for call in (
            backend.get_many(["key"]),
            backend.set_many([Item("key", b"2")]),
            backend.claim("key", "token", 60.0, []),
            backend.rates.acquire([Claim("a", Rule(1, 60.0))]),
        ):
            began = clock.perf()
            with pytest.raises(BackendTimeoutError):
                await call
            assert clock.perf() - began < 2.0
        # Who listens is told soon that it hears nothing.
        await ear.until(lambda ear: ear.losses >= 2, within=10.0)
        proxy.resume()
        await until_it_works(backend)
        assert await value_of(backend, "again") == b"1"


async def test_connections_that_are_cut_cost_one_call_at_most(proxy: Proxy) -> None:
    async with opened(proxy.url) as backend:
        for number in range(5):
            await asyncio.gather(*(backend.set_many([Item(f"key:{n}", b"1")]) for n in range(5)))
            proxy.cut()
            await until_it_works(backend)
            assert await value_of(backend, "again") == b"1", number


async def test_a_cache_whose_server_is_not_there_does_not_open(server: PostgreSQL) -> None:
    server.stop()

    with pytest.raises(BackendUnavailableError, match="cannot be reached"):
        async with opened(server.url):
            pass


# SQLite


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture
async def backend(path: Path) -> AsyncIterator[SQLBackend]:
    async with opened(f"sqlite:///{path}?busy_timeout=0.2") as made:
        yield made


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Have another process write, and not come to an end."""
    own = sqlite3.connect(path, isolation_level=None)
    try:
        own.execute("BEGIN IMMEDIATE")
        yield
    finally:
        own.close()


async def test_a_locked_file_is_told_in_time_and_can_still_be_read(
    path: Path, backend: SQLBackend
) -> None:
    await backend.set_many([Item("key", b"1")])
    with locked(path):
        began = clock.perf()
        with pytest.raises(BackendUnavailableError, match="locked"):
            await backend.set_many([Item("key", b"2")])
        assert clock.perf() - began < 1.5
        assert await value_of(backend, "key") == b"1"
    await backend.set_many([Item("key", b"3")])

    assert await value_of(backend, "key") == b"3"


async def test_a_full_disk_is_told_and_nothing_is_half_written(backend: SQLBackend) -> None:
    await backend.set_many([Item("key", b"1")])
    async with backend._store.connection(write=True) as connection:
        rows = await connection.fetch("PRAGMA page_count", ())
        await connection.fetch(f"PRAGMA max_page_count={rows[0][0] + 5}", ())
    with pytest.raises(BackendError, match="no room"):
        await backend.set_many([Item("a", b"1"), Item("b", b"x" * 1_000_000)])
    assert await backend.get_many(["key", "a", "b"]) == [b"1", None, None]

    # What makes room can be done.
    await backend.delete_many(["key"])
    await backend.set_many([Item("small", b"1")])
    async with backend._store.connection(write=True) as connection:
        await connection.fetch("PRAGMA max_page_count=100000", ())
    await backend.set_many([Item("b", b"x" * 1_000_000)])
    assert await value_of(backend, "small") == b"1"


async def test_a_file_that_takes_no_changes_is_told_and_can_be_read(backend: SQLBackend) -> None:
    await backend.set_many([Item("key", b"1")])
    async with backend._store.connection(write=True) as connection:
        await connection.fetch("PRAGMA query_only=ON", ())
    with pytest.raises(BackendError, match="takes no changes"):
        await backend.set_many([Item("key", b"2")])
    assert await value_of(backend, "key") == b"1"
    async with backend._store.connection(write=True) as connection:
        await connection.fetch("PRAGMA query_only=OFF", ())
    await backend.set_many([Item("key", b"3")])

    assert await value_of(backend, "key") == b"3"


async def test_a_file_that_is_no_database_is_told(path: Path) -> None:
    await asyncio.to_thread(path.write_bytes, b"this is no database" * 1000)

    with pytest.raises(BackendError, match="not a database"):
        async with opened(f"sqlite:///{path}"):
            pass


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailableError, match="folder"):
        async with opened(f"sqlite:///{tmp_path / 'no' / 'cache.db'}"):
            pass


_WRITES = """
import asyncio, sys
from oxidite.cache import Item
from oxidite.cache.backends import backends

async def main():
    async with backends.create(sys.argv[1]) as backend:
        await backend.claim("claimed", "killed", 0.5, [])
        print("ready", flush=True)
        while True:
            await backend.set_many([Item(f"key:{n}", b"x" * 10_000) for n in range(50)])

asyncio.run(main())
"""


async def test_a_process_that_is_killed_in_the_midst_of_writing_stops_nobody(
    path: Path, backend: SQLBackend
) -> None:
    await asyncio.to_thread(_kill_one_that_writes, path)
    await backend.set_many([Item("key", b"1")])
    found = await backend.get_many([f"key:{n}" for n in range(50)])
    # All or none of those of one call.
    assert len(set(found)) == 1
    async with asyncio.timeout(5):
        while not (await backend.claim("claimed", "other", 60.0, [])).granted:
            pass


def _kill_one_that_writes(path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITES, f"sqlite:///{path}"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.kill()
    process.communicate()
