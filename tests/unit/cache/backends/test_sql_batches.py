"""What several ask of SQLite at once goes to its thread together, and nobody suffers from the others."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from oxidite.cache import Item
from oxidite.cache.backends import backends
from oxidite.cache.backends.sql import SQLBackend
from oxidite.cache.backends.sql.batches import Batches
from oxidite.db.connections.steps import Steps, fetched
from oxidite.errors import BackendError, BackendUnavailableError


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[SQLBackend]:
    made = backends.create(f"sqlite:///{tmp_path}/cache.db?busy_timeout=0.2")
    assert isinstance(made, SQLBackend)
    async with made:
        yield made


class Hops:
    """Counts how often something goes to the thread, and lets it wait there."""

    def __init__(self) -> None:
        self.count = 0
        self.fails: Exception | None = None

    async def run(self, make: object) -> object:
        self.count += 1
        await asyncio.sleep(0)
        steps: Steps[object] = make()  # type: ignore[operator]  # as it is called by Batches
        try:
            ask = next(steps)
            while True:
                if self.fails is not None and "bad" in ask.sql:
                    raise self.fails
                ask = steps.send([(ask.sql,)])
        except StopIteration as done:
            return done.value


def asking(sql: str) -> Steps[str]:
    rows = yield from fetched(sql, ())
    return str(rows[0][0])


async def test_a_hundred_at_once_are_two_hops_and_one_alone_is_one() -> None:
    hops = Hops()
    batches = Batches(hops.run, most=1, writes=False)
    assert await batches.do(lambda: asking("alone"), 5.0) == "alone"
    assert hops.count == 1
    names = [str(number) for number in range(100)]
    found = await asyncio.gather(*(batches.do(partial(asking, name), 5.0) for name in names))
    assert found == names
    assert hops.count == 3


async def test_one_that_fails_fails_alone() -> None:
    hops = Hops()
    hops.fails = ValueError("broken")
    batches = Batches(hops.run, most=1, writes=True)
    found = await asyncio.gather(
        *(batches.do(partial(asking, name), 5.0) for name in ["a", "bad", "b"]),
        return_exceptions=True,
    )
    assert found[0] == "a"
    assert isinstance(found[1], ValueError)
    assert found[2] == "b"


async def test_who_is_cancelled_while_waiting_is_not_asked_for() -> None:
    hops = Hops()
    batches = Batches(hops.run, most=1, writes=False)
    tasks = [asyncio.create_task(batches.do(lambda: asking("x"), 5.0)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    assert await tasks[2] == "x"
    await asyncio.wait(tasks)
    assert tasks[1].cancelled()
    assert hops.count == 2
    tasks = [asyncio.create_task(batches.do(lambda: asking("y"), 5.0)) for _ in range(2)]
    await asyncio.sleep(0)
    tasks[0].cancel()  # the one that is away lets the next one go all the same
    assert await tasks[1] == "y"


async def test_a_number_that_is_none_spoils_nothing_that_is_written_with_it(
    backend: SQLBackend,
) -> None:
    await backend.set_many([Item("text", b"abc")])
    found = await asyncio.gather(
        *(backend.set_many([Item(f"key:{n}", b"v")]) for n in range(20)),
        backend.incr("text", 1, None),
        *(backend.incr("number", 1, None) for _ in range(20)),
        return_exceptions=True,
    )
    assert isinstance(found[20], BackendError)
    assert [each for each in found if isinstance(each, BaseException)] == [found[20]]
    assert sorted(found[21:]) == list(range(1, 21))  # type: ignore[type-var]  # checked above
    assert await backend.get_many([f"key:{n}" for n in range(20)]) == [b"v"] * 20
    assert await backend.get_many(["text"]) == [b"abc"]


async def test_of_many_claims_at_once_one_is_granted(backend: SQLBackend) -> None:
    claims = await asyncio.gather(
        *(backend.claim("key", f"token-{n}", 5.0, ["tag"]) for n in range(50))
    )
    assert sum(claimed.granted for claimed in claims) == 1


async def test_a_file_that_another_process_writes_to_is_not_waited_for_by_each(
    backend: SQLBackend, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "cache.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = asyncio.get_running_loop().time()
    found = await asyncio.gather(
        *(backend.set_many([Item(f"key:{n}", b"v")]) for n in range(30)), return_exceptions=True
    )
    assert all(isinstance(each, BackendUnavailableError) for each in found)
    assert asyncio.get_running_loop().time() - began < 2.0  # two waits, and not thirty
    other.execute("ROLLBACK")
    other.close()
    await backend.set_many([Item("after", b"v")])
    assert await backend.get_many(["after"]) == [b"v"]
