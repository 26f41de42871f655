"""Fair queues in every store, and what a claim from one asks of a database."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.unit.cache.backends.places import KINDS, place
from tests.unit.queue.places import EVERYWHERE, own_store

from oxidite.db import Database
from oxidite.db.connections.steps import Steps
from oxidite.queue.base import Filter, JobStore, Limits
from oxidite.queue.sealing import Sealing
from oxidite.queue.stores import stores
from oxidite.queue.stores.sealed import SealedStore
from oxidite.queue.stores.sql import SQLStore
from oxidite.testing.contracts import FairQueueContract
from oxidite.testing.contracts.queue import claim, job

PLACES = [*EVERYWHERE, "sqlite://", pytest.param("mariadb", marks=pytest.mark.service("mariadb"))]


@asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncIterator[JobStore]:
    if kind == "sqlite://":
        async with stores.create(kind) as store:
            yield store
        return
    async with own_store(kind, folder) as store, store:
        yield store


class TestFair(FairQueueContract):
    @pytest.fixture(params=PLACES)
    async def store(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ) -> AsyncIterator[JobStore]:
        async with opened(request.param, tmp_path) as store:
            yield store


class TestSealedFair(FairQueueContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[JobStore]:
        sealing = Sealing(["a secret of 16 bytes or more"])
        async with SealedStore(stores.create("memory://"), sealing) as store:
            yield store


# What a claim asks of a database


@asynccontextmanager
async def beside(kind: str, folder: Path) -> AsyncIterator[tuple[Database, SQLStore]]:
    async with (
        place(kind, folder) as url,
        Database.from_url(url) as db,
        SQLStore(db) as store,
    ):
        await store.limit("q", Limits(fair=True))
        await store.enter("w", b"", 600.0)
        yield db, store


PLANS = {
    "sqlite": ("EXPLAIN QUERY PLAN ", 3),
    "postgresql": ("EXPLAIN ", 0),
    "mariadb": ("EXPLAIN ", 5),
}
"""How a database says how it would find something, and where in a row that is."""


@pytest.mark.parametrize("kind", KINDS)
async def test_a_claim_looks_at_nothing_but_the_first_of_each_group(
    kind: str, tmp_path: Path
) -> None:
    """Before the database has counted what waits, as after a million jobs that came at once."""
    explain, column = PLANS[kind]
    async with beside(kind, tmp_path) as (_, store):
        await store.push([job(group="a") for _ in range(500)])
        await store.push([job(group="b"), job()])
        asked: list[tuple[str, Sequence[object]]] = []
        async with store._home.connection(write=True) as connection:
            for steps in (
                store._steps._ring("q", "a", 10),
                store._steps._lines("q", ["", "a", "b"], 10),
            ):
                await connection.follow(_heard(steps, asked))
            for sql, values in asked:
                plan = await connection.fetch(f"{explain}{sql}", values)
                said = " ".join(str(row[column]) for row in plan)
                assert "ox_jobs_turns" in said, f"{sql}: {said}"
                for word in ("ox_jobs_ready", "Seq Scan", "SCAN ox_jobs", "TEMP B-TREE"):
                    assert word not in said, f"{sql}: {said}"
    assert len(asked) >= 4


def _heard(steps: Steps[object], asked: list[tuple[str, Sequence[object]]]) -> Steps[object]:
    """Note what is asked on the way."""
    answer: object = None
    with contextlib.suppress(StopIteration):
        while True:
            ask = steps.send(answer)
            asked.append((ask.sql, ask.values))
            answer = yield ask
    return None


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_claim_asks_for_does_not_grow_with_what_waits(
    kind: str, tmp_path: Path
) -> None:
    async with beside(kind, tmp_path) as (_, store):
        asked: list[tuple[str, Sequence[object]]] = []

        async def claimed() -> int:
            asked.clear()
            steps = store._steps.exchange("w", (), ["q"], 10)
            async with store._home.connection(write=True) as connection:
                await connection.follow(_heard(steps, asked))
            return len(asked)

        await store.push([job(group="a") for _ in range(20)])
        await claimed()  # the first one of all has no turn to go on from
        few = await claimed()
        await store.push([job(group="a") for _ in range(2000)])
        assert await claimed() == few


@pytest.mark.parametrize("kind", KINDS[1:])
async def test_jobs_that_a_transaction_holds_do_not_hold_up_other_groups(
    kind: str, tmp_path: Path
) -> None:
    """Who cancels in a transaction that takes long."""
    async with beside(kind, tmp_path) as (db, store):
        held = [job("a", group="a"), job("b", group="b")]
        await store.push([*held, job("c", group="c"), job("a too", group="a")])
        async with db.transaction():
            await store.cancel(Filter(ids=tuple(each.id for each in held)))
            free = contextvars.Context()
            claims = asyncio.create_task(_claimed_by_one(store), context=free)
            assert await asyncio.wait_for(claims, 10) == ["a too", "c"]


async def _claimed_by_one(store: JobStore) -> list[str]:
    return [job.task for _ in range(2) for job in (await claim(store, 1)).jobs]


@pytest.mark.parametrize("kind", KINDS[1:])
async def test_a_push_in_a_transaction_holds_up_no_other_of_its_group(
    kind: str, tmp_path: Path
) -> None:
    """SQLite is left out, as it has one writer at a time."""
    async with beside(kind, tmp_path) as (db, store):
        async with db.transaction():
            await store.push([job("open", group="a")])
            other = store.push([job("other", group="a"), job("b", group="b")])
            await asyncio.wait_for(asyncio.create_task(other, context=contextvars.Context()), 10)
            claims = asyncio.create_task(_claimed_by_one(store), context=contextvars.Context())
            assert await asyncio.wait_for(claims, 10) == ["other", "b"]
        assert [each.task for each in (await claim(store)).jobs] == ["open"]


_MARIADB = pytest.mark.service("mariadb")


@pytest.mark.parametrize(
    ("kind", "undone"),
    [
        ("sqlite", "both"),
        pytest.param("postgresql", "both", marks=pytest.mark.service("postgres")),
        pytest.param("mariadb", "both", marks=_MARIADB),
        pytest.param("mariadb", "the index", marks=_MARIADB),
        pytest.param("mariadb", "nothing", marks=_MARIADB),
    ],
)
async def test_tables_of_before_become_those_of_fair_queues(
    kind: str, undone: str, tmp_path: Path
) -> None:
    """Also where a process was killed between two of the changes, which MariaDB does not undo."""
    async with place(kind, tmp_path) as url:
        async with Database.from_url(url) as db, SQLStore(db) as store:
            await store.push([job("waits", group="a")])
            on = " ON ox_jobs" if kind == "mariadb" else ""
            async with db.driver.connection(write=True) as connection:
                if undone in ("both", "the index"):
                    await connection.run(f"DROP INDEX ox_jobs_turns{on}", ())
                if undone == "both":
                    await connection.run("ALTER TABLE ox_job_queues DROP COLUMN turn", ())
                sql = "UPDATE ox_schema SET version = 2 WHERE name = 'queue'"
                await connection.run(sql, ())
        async with Database.from_url(url) as db, SQLStore(db) as store:
            await store.limit("q", Limits(fair=True))
            await store.enter("w", b"", 600.0)
            assert [each.task for each in (await claim(store)).jobs] == ["waits"]
