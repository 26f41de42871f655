"""Behind PgBouncer, which lends a server for one transaction."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from oxidite.db import Col, Database, LockTimeoutError, Message, Model, Outbox, Relay, col

from .conftest import PostgreSQL, free_port, owned_folder, user


class Item(Model, table="items"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col()


@pytest.fixture
def pooler(server: PostgreSQL) -> Iterator[int]:
    program = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
    if program is None:
        pytest.skip("no pgbouncer is installed")
    folder, port = owned_folder("pooler"), free_port()
    (folder / "users").write_text('"postgres" ""\n')
    (folder / "ini").write_text(
        f"""
[databases]
postgres = host=127.0.0.1 port={server.port} dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 3
max_client_conn = 100
"""
    )
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [program, str(folder / "ini")], stdout=log, stderr=log, user=user(), cwd=folder
        )
    try:
        for _ in range(100):
            if "process up" in (folder / "log").read_text():
                break
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


async def test_it_works_as_it_does_without(pooler: int) -> None:
    url = f"postgresql://postgres@127.0.0.1:{pooler}/postgres?pooler=transaction&pool_size=12"
    async with Database.from_url(url) as db:
        await db.push(Item)

        async def work(number: int) -> None:
            async with db.transaction():
                item = await Item.create(name=f"item {number}")
                item.name += "!"
                await item.save()
            assert (await Item.get(item.id)).name == f"item {number}!"
            assert await Item.where(Item.name == f"item {number}!").count() == 1

        # More than the pooler has servers, so each statement may come to another one.
        await asyncio.gather(*(work(number) for number in range(60)))
        assert await Item.count() == 60
        assert len(await asyncio.gather(*(Item.get(n + 1) for n in range(60)))) == 60

        got: list[object] = []

        async def handler(message: Message) -> None:
            got.append(message.payload)

        async with Outbox(db) as outbox:
            await outbox.add("topic", 1, key="k", dedup="d")
            await Relay(outbox, {"topic": handler}).deliver()
        assert got == [1]

        async with db.lock("import"):
            with pytest.raises(LockTimeoutError):
                async with db.lock("import", timeout=0.1):
                    pass
        async with db.lock("import", timeout=5):
            pass
