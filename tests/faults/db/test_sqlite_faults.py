"""SQLite files that are locked, full, read-only or left by a process that was killed."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from oxidite.db import (
    Col,
    ConflictingTransactionsError,
    Database,
    DiskFullError,
    LockTimeoutError,
    Model,
    ReadOnlyError,
    col,
)
from oxidite.errors import BackendUnavailableError


class Item(Model, table="items"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col()


async def test_a_file_that_another_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    async with Database.from_url(f"sqlite:///{path}?busy_timeout=0.05") as db:
        await db.push(Item)
        other = sqlite3.connect(path, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(ConflictingTransactionsError, match="another process"):
                await Item.create(name="Tea")
            assert await Item.count() == 0  # who reads does not mind
            other.execute("COMMIT")
        finally:
            other.close()
        await Item.create(name="Tea")
        assert await Item.count() == 1


async def test_a_new_file_that_another_process_begins_to_write(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("CREATE TABLE theirs (id INTEGER)")
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO theirs VALUES (1)")
        asyncio.get_running_loop().call_later(0.2, other.execute, "COMMIT")
        async with Database.from_url(f"sqlite:///{path}") as db:
            await db.push(Item)
            await Item.create(name="Tea")
    finally:
        other.close()


async def test_a_new_file_that_another_process_writes_for_too_long(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConflictingTransactionsError, match="another process"):
            async with Database.from_url(f"sqlite:///{path}?busy_timeout=0.1"):
                pass
    finally:
        other.close()


async def test_a_wait_for_another_process_can_be_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    async with Database.from_url(f"sqlite:///{path}?busy_timeout=3") as db:
        await db.push(Item)
        other = sqlite3.connect(path, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05), db.transaction():
                    pass
            other.execute("COMMIT")
        finally:
            other.close()
        async with db.transaction():
            await Item.create(name="Tea")
        assert await Item.count() == 1


async def test_a_disk_that_is_full(tmp_path: Path) -> None:
    async with Database.from_url(f"sqlite:///{tmp_path / 'app.db'}") as db:
        await db.push(Item)
        await Item.create(name="first")
        async with db.connection() as connection:
            await connection.fetch("PRAGMA max_page_count=20", ())

        @db.transaction()
        async def fill() -> None:
            for _ in range(1000):
                await Item.create(name="x" * 4000)

        with pytest.raises(DiskFullError):
            await fill()
        assert await Item.count() == 1
        async with db.connection() as connection:
            await connection.fetch("PRAGMA max_page_count=100000", ())
        await Item.create(name="second")
        assert await Item.count() == 2


async def test_a_process_that_may_write_no_more(tmp_path: Path) -> None:
    """What the file system refuses in the midst of a transaction is undone."""
    program = f"""
import asyncio, resource, signal
from oxidite.db import Col, Database, Model, col
from oxidite.errors import OxiditeError

class Item(Model, table="items"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col()

async def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    async with Database.from_url("sqlite:///{tmp_path / "app.db"}") as db:
        await db.push(Item)
        await Item.create(name="first")
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            async with db.transaction():
                for _ in range(1000):
                    await Item.create(name="x" * 4000)
        except OxiditeError as exc:
            print(type(exc).__name__, await Item.count())
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        await Item.create(name="second")
        print(await Item.count())

asyncio.run(main())
"""
    ran = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, timeout=60, text=True
    )
    assert ran.stdout in ("DiskFullError 1\n2\n", "BackendUnavailableError 1\n2\n"), ran.stderr


async def test_a_file_that_may_not_be_written(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    async with Database.from_url(f"sqlite:///{path}") as db:
        await db.push(Item)
    async with Database.from_url(f"sqlite:///{path}?mode=ro"):
        with pytest.raises(ReadOnlyError):
            await Item.create(name="Tea")
        assert await Item.count() == 0


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailableError, match="Does the folder exist"):
        async with Database.from_url(f"sqlite:///{tmp_path / 'no' / 'app.db'}"):
            pass


async def test_a_lock_ends_with_the_process_that_was_killed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    program = f"""
import asyncio
from oxidite.db import Database

async def main():
    async with Database.from_url("{url}") as db, db.lock("import"):
        print("locked", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"locked\n"
    async with Database.from_url(url) as db:
        with pytest.raises(LockTimeoutError):
            async with db.lock("import", timeout=0.05):
                pass
        process.kill()
        await process.wait()
        async with db.lock("import", timeout=5):
            pass


async def test_a_process_that_is_killed_leaves_no_half(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    program = f"""
import asyncio
from oxidite.db import Col, Database, Model, col

class Item(Model, table="items"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col()

async def main():
    async with Database.from_url("{url}") as db:
        await db.push(Item)
        async with db.transaction():
            await Item.create(name="whole")
        async with db.transaction():
            await Item.create(name="half")
            print("begun", flush=True)
            await asyncio.sleep(60)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"begun\n"
    process.kill()
    await process.wait()
    async with Database.from_url(url):
        assert [item.name for item in await Item.all()] == ["whole"]
        await Item.create(name="more")
        assert await Item.count() == 2
