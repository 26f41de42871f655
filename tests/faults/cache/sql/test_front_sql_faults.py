"""An application whose cache is in a database that crashes, says nothing, is locked, full, or deleted."""

from __future__ import annotations

import asyncio
import shutil
import signal
from pathlib import Path

from tests.faults.cache.shops import Shop, fares_well, opened
from tests.faults.db.conftest import PostgreSQL, Proxy

from oxidite.cache import L1
from oxidite.cache.backends.sql import SQLBackend

from .test_sql_faults import locked


async def test_a_database_server_that_crashes(server: PostgreSQL) -> None:
    async with opened(server.url, l1=L1()) as (shop, client):
        await fares_well(shop.ask(client))
        await asyncio.to_thread(server.stop, signal.SIGQUIT)
        await fares_well(shop.ask(client))
        await asyncio.to_thread(server.start)
        await shop.until_healed(client)
        await fares_well(shop.ask(client))


async def test_a_database_server_of_which_nothing_comes(proxy: Proxy) -> None:
    async with opened(proxy.url, l1=None) as (shop, client):
        await fares_well(shop.ask(client, 200))
        proxy.pause()
        await fares_well(shop.ask(client))
        proxy.resume()
        await shop.until_healed(client)
        await fares_well(shop.ask(client, 200))


async def test_a_file_in_which_another_process_writes_and_does_not_end(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    async with opened(f"sqlite:///{path}?busy_timeout=0.2", l1=None) as (shop, client):
        await fares_well(shop.ask(client))
        with locked(path):
            await fares_well(shop.ask(client))
        await shop.until_healed(client)
        await fares_well(shop.ask(client))


async def test_a_disk_that_is_full(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/cache.db", l1=None) as (shop, client):
        await fares_well(shop.ask(client, 200))
        pages = await _told(shop, "PRAGMA page_count")
        await _told(shop, f"PRAGMA max_page_count={pages}")
        await shop.cache.set("large", b"x" * 1_000_000)
        assert shop.cache.counts.errors == 1
        await fares_well(shop.ask(client))
        await _told(shop, "PRAGMA max_page_count=100000")
        await shop.until_healed(client)
        await fares_well(shop.ask(client, 200))


async def test_a_file_that_takes_no_changes(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/cache.db", l1=None) as (shop, client):
        await fares_well(shop.ask(client, 200))
        await _told(shop, "PRAGMA query_only=ON")
        await fares_well(shop.ask(client))
        assert shop.cache.counts.errors > 0
        await _told(shop, "PRAGMA query_only=OFF")
        await shop.until_healed(client)
        await fares_well(shop.ask(client, 200))


async def test_a_file_that_somebody_deletes(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/cache.db", l1=None) as (shop, client):
        await fares_well(shop.ask(client, 200))
        await asyncio.to_thread(shutil.rmtree, tmp_path)
        await fares_well(shop.ask(client))


async def _told(shop: Shop, pragma: str) -> object:
    backend = shop.cache.backend
    assert isinstance(backend, SQLBackend)
    async with backend._store.connection(write=True) as connection:
        rows = await connection.fetch(pragma, ())
    return rows[0][0] if rows else None
