"""Reading from a real replica: while it answers and is not behind, and elsewhere when it is not."""

from __future__ import annotations

import asyncio
import contextvars
import shutil
import signal
from collections.abc import Iterator

import asyncpg
import pytest

from oxidite.db import Col, Database, Model, col

from .conftest import PostgreSQL, owned_folder


class Item(Model, table="items"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col()


@pytest.fixture
def replica(server: PostgreSQL) -> Iterator[PostgreSQL]:
    folder = owned_folder("replica")
    made = PostgreSQL(folder)
    source = ("-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres")
    made.run("pg_basebackup", "-D", str(made.data), *source, "-R", "-X", "stream", "-c", "fast")
    made.start()
    try:
        yield made
    finally:
        made.stop(signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)


async def reads_from(db: Database) -> int:
    """Return the port of the server that is read from, as a task of its own would."""

    async def ask() -> int:
        async with db.connection(write=False) as connection:
            ((found,),) = await connection.fetch("SELECT inet_server_port()", ())
        return int(found)

    return await asyncio.create_task(ask(), context=contextvars.Context())


async def until(db: Database, port: int) -> None:
    async with asyncio.timeout(10):
        while await reads_from(db) != port:  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.05)


async def on(server: PostgreSQL, sql: str) -> None:
    connection = await asyncpg.connect(server.url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def test_reads_go_to_the_replica_and_come_back_when_it_will_not_do(
    server: PostgreSQL, replica: PostgreSQL
) -> None:
    async with Database.from_url(
        server.url, replicas=[replica.url], sticky=0.5, max_lag=1, pool_min=1
    ) as db:
        await db.push(Item)
        # Who has written reads where he wrote, and in a transaction too.
        await Item.create(name="mine")
        assert await Item.count() == 1
        await until(db, replica.port)
        async with db.transaction():
            async with db.connection() as connection:
                ((port,),) = await connection.fetch("SELECT inet_server_port()", ())
            assert port == server.port
        with db.primary():
            async with db.connection(write=False) as connection:
                ((port,),) = await connection.fetch("SELECT inet_server_port()", ())
            assert port == server.port

        async def only_read() -> int:
            async with db.transaction(read_only=True), db.connection() as connection:
                ((found,),) = await connection.fetch("SELECT inet_server_port()", ())
            return int(found)

        fresh = contextvars.Context()
        assert await asyncio.create_task(only_read(), context=fresh) == replica.port

        # One that is behind is not read from.
        await on(replica, "SELECT pg_wal_replay_pause()")
        await on(server, "INSERT INTO items (name) VALUES ('more')")
        await until(db, server.port)
        await on(replica, "SELECT pg_wal_replay_resume()")
        await until(db, replica.port)

        # One that is gone neither; whoever reads just then does not notice.
        replica.stop(signal.SIGQUIT)

        async def count() -> int:
            return await Item.count()

        for _ in range(5):
            found = await asyncio.create_task(count(), context=contextvars.Context())
            assert found == 2
        assert await reads_from(db) == server.port
        replica.start()
        await until(db, replica.port)

        # Nor does who reads by SQL.
        replica.stop(signal.SIGQUIT)
        asked = db.sql("SELECT name FROM items ORDER BY id").all()
        found_names = await asyncio.create_task(asked, context=contextvars.Context())
        assert found_names == [("mine",), ("more",)]


async def test_a_replica_that_is_not_there_at_the_start(server: PostgreSQL) -> None:
    nobody = "postgresql://postgres@127.0.0.1:1/postgres"
    async with Database.from_url(server.url, replicas=[nobody]) as db:
        await db.push(Item)
        assert await Item.count() == 0
        assert await reads_from(db) == server.port
