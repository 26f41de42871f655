"""Stores whose disk is full: what is pushed is refused whole, what was acknowledged stays, and runs with room again."""

from __future__ import annotations

import asyncio
import resource
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.db.conftest import PostgreSQL
from tests.faults.queue.record import Record
from tests.faults.queue.sql.conftest import server
from tests.mariadb_server import mariadb_server
from tests.redis_server import redis_server

from oxidite.errors import BackendError
from oxidite.queue.base import Claim, Filter, JobState, JobStore, Outcome
from oxidite.queue.stores import stores
from oxidite.testing.contracts.queue import claim, ended, job

__all__ = ["server"]

_MB = 1 << 20
pytestmark = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs limits of Linux")


async def fill(store: JobStore, kind: str, make_room: Callable[[], None]) -> None:
    """Push until there is no room, make some, and see that everything acknowledged is there, and runs once."""
    await store.enter("w", b"", 600.0)
    await store.push([job() for _ in range(10)])
    running = (await claim(store, 5)).jobs
    pushed = {each.id async for each in store.find(Filter())}
    refused = 0
    for _ in range(200):
        new = [job(args=secrets.token_bytes(100_000)) for _ in range(10)]
        try:
            await store.push(new)
        except BackendError:
            refused += 1
            break
        pushed |= {each.id for each in new}
    assert refused, "it was never full"
    # It can still be read, if not by everybody.
    counts = {each.state: each.count for each in await store.counts(Filter())}
    assert counts[JobState.RUNNING] == 5
    make_room()
    ran = [each.id for each in running]
    outcomes = tuple(map(ended, running))
    while found := (await _stubbornly(store, outcomes)).jobs:
        ran += [each.id for each in found]
        outcomes = tuple(map(ended, found))
    assert len(ran) == len(set(ran))
    jobs = [each async for each in store.find(Filter())]
    # A push that failed may still have been done, as a whole.
    assert {each.id for each in jobs} >= pushed
    Record(
        fault="full",
        store=kind,
        tried=1,
        jobs=len(pushed),
        lost=len(pushed - {each.id for each in jobs if each.state is JobState.COMPLETED}),
        doubled=len(ran) - len(set(ran)),
    ).settle()


async def _stubbornly(store: JobStore, outcomes: tuple[Outcome, ...]) -> Claim:
    """Ask again until it works: Redis notices within a second that there is room."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await claim(store, 20, outcomes=outcomes)
            except BackendError:
                await asyncio.sleep(0.1)


async def test_postgresql_without_room(server: PostgreSQL) -> None:
    def restart(largest: int | None = None) -> None:
        server.stop()
        server.start(largest=largest)

    restart(17 * _MB)  # segments of its log have 16 MB each
    async with stores.create(server.url) as store:
        await fill(store, "postgresql", restart)


async def test_mariadb_without_room() -> None:
    with mariadb_server() as server:

        def restart(largest: int | None = None) -> None:
            server.end()
            server.start(largest=largest)

        server.start()
        async with stores.create(server.url):  # the tables are there
            pass
        restart(24 * _MB)
        async with stores.create(server.url) as store:
            await fill(store, "mariadb", restart)


async def test_redis_without_room(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--appendonly", "yes", "--appendfsync", "everysec") as server:

        def limit(size: int) -> None:
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        async with stores.create(server.url) as store:
            limit(3 * _MB)
            await fill(store, "redis", lambda: limit(resource.RLIM_INFINITY))
