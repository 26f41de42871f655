"""A store of jobs whose database is killed, cut off, silent, locked or full, and a worker that is killed.

What was pushed is counted, and what ran: nothing is lost, and nothing that was completed runs again.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from tests.faults.db.conftest import ROUNDS, PostgreSQL, Proxy
from tests.faults.queue.record import Record

from oxidite import clock
from oxidite.db.drivers import drivers
from oxidite.errors import BackendError, BackendTimeoutError, BackendUnavailableError
from oxidite.queue.base import Filter, JobState, JobStore, NewJob, Outcome
from oxidite.queue.stores import stores
from oxidite.queue.stores.sql import SQLStore
from oxidite.testing.contracts.queue import claim, ended, job

T = TypeVar("T")


async def stubbornly(ask: Callable[[], Awaitable[T]], failed: Counter[str]) -> T:
    """Ask again until it works, as a worker does."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await ask()
            except BackendError as exc:
                failed[type(exc).__name__] += 1
                await asyncio.sleep(0.02)


class Ledger:
    """Pushes jobs and runs them, and counts both, whatever the store does meanwhile."""

    def __init__(self, store: JobStore) -> None:
        self.store = store
        self.pushed: set[UUID] = set()
        self.runs: Counter[UUID] = Counter()
        self.failed: Counter[str] = Counter()
        self.stops_pushing = False
        self.everything_is_pushed = False
        self._more: int | None = None
        self._settled = asyncio.Event()

    async def push(self) -> None:
        while not self.stops_pushing:
            jobs: list[NewJob] = [job() for _ in range(5)]
            for each in await stubbornly(partial(self.store.push, jobs), self.failed):
                self.pushed.add(each.id)
            if self._more is not None:
                self._more -= 1
                if self._more <= 0:
                    self._settled.set()
            await asyncio.sleep(0.005)

    async def work(self, name: str) -> None:
        await stubbornly(lambda: self.store.enter(name, b"", 600.0), self.failed)
        outcomes: tuple[Outcome, ...] = ()
        while True:
            found = await stubbornly(
                partial(claim, self.store, 3, worker=name, outcomes=outcomes),
                self.failed,
            )
            self.runs.update(each.id for each in found.jobs)
            outcomes = tuple(ended(each) for each in found.jobs)
            if not outcomes and self.everything_is_pushed:
                return
            await asyncio.sleep(0.002)

    async def during(self, faults: Awaitable[None]) -> None:
        pushing = asyncio.ensure_future(self.push())
        working = [asyncio.ensure_future(self.work(f"w{number}")) for number in range(3)]
        await faults
        # Until what was away is back.
        self._more = 50
        await asyncio.wait_for(self._settled.wait(), 60)
        self.stops_pushing = True
        await pushing
        self.everything_is_pushed = True
        await asyncio.gather(*working)

    async def check(self) -> int:
        """Return how many there were."""
        assert self.failed, "nothing has failed, so nothing was tried"
        assert self.runs.keys() == self.pushed
        assert set(self.runs.values()) == {1}
        counts = await self.store.counts(Filter())
        assert {each.state: each.count for each in counts} == {JobState.COMPLETED: len(self.pushed)}
        return len(self.pushed)


# PostgreSQL


async def test_a_server_that_is_killed_and_comes_back_loses_and_doubles_nothing(
    server: PostgreSQL,
) -> None:
    async def faults() -> None:
        for _ in range(2 * ROUNDS):
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.stop, signal.SIGQUIT)
            await asyncio.sleep(0.2)
            await asyncio.to_thread(server.start)

    async with stores.create(server.url) as store:
        ledger = Ledger(store)
        await ledger.during(faults())
        jobs = await ledger.check()
    Record(fault="restart", store="postgresql", tried=2 * ROUNDS, jobs=jobs).settle()


async def test_connections_that_are_cut_lose_and_double_nothing(proxy: Proxy) -> None:
    async def faults() -> None:
        for _ in range(20 * ROUNDS):
            await asyncio.sleep(0.05)
            proxy.cut()

    async with stores.create(proxy.url) as store:
        ledger = Ledger(store)
        await ledger.during(faults())
        jobs = await ledger.check()
    Record(fault="cut", store="postgresql", tried=20 * ROUNDS, jobs=jobs).settle()


async def test_a_server_that_says_nothing_is_given_up_in_time(proxy: Proxy) -> None:
    driver = drivers.create(proxy.url)
    async with SQLStore(driver, timeout=0.5) as store:
        new = job()
        await store.push([new])
        await store.enter("w", b"", 600.0)
        proxy.pause()
        for ask in (
            lambda: claim(store),
            lambda: store.push([job()]),
            lambda: store.beat("w", 600.0),
        ):
            began = clock.perf()
            with pytest.raises(BackendTimeoutError):
                await ask()
            assert clock.perf() - began < 3.0
        proxy.resume()
        found = await stubbornly(lambda: claim(store), Counter())
        assert new.id in {each.id for each in found.jobs}


async def test_who_waits_is_woken_again_after_the_server_was_away(server: PostgreSQL) -> None:
    async with stores.create(server.url) as store:
        server.stop(signal.SIGQUIT)
        with pytest.raises(BackendUnavailableError):
            await store.push([job()])
        server.start()
        async with stores.create(server.url) as other:
            async with asyncio.timeout(20):
                while True:
                    waiting = asyncio.ensure_future(store.wait(["q"], 600.0))
                    await asyncio.wait((waiting,), timeout=0.1)
                    await other.push([job()])
                    if (await asyncio.wait((waiting,), timeout=0.5))[
                        0
                    ] and waiting.exception() is None:
                        break
                    waiting.cancel()
            await store.enter("w", b"", 30.0)
            assert (await claim(store)).jobs


async def test_a_store_whose_server_is_not_there_does_not_open(server: PostgreSQL) -> None:
    server.stop()
    with pytest.raises(BackendUnavailableError, match="cannot be reached"):
        async with stores.create(server.url):
            pass


# SQLite


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLStore]:
    url = urlsplit(f"sqlite:///{path}?busy_timeout=0.3")
    async with SQLStore.from_url(url) as made:
        yield made


async def test_a_file_that_others_keep_locked_for_seconds_loses_nothing(
    path: Path, store: SQLStore
) -> None:
    async def faults() -> None:
        for _ in range(2 * ROUNDS):
            await asyncio.sleep(0.1)
            await asyncio.to_thread(_write, path, 1.5)

    ledger = Ledger(store)
    await ledger.during(faults())
    await ledger.check()
    assert set(ledger.failed) == {"BackendUnavailableError"}


def _write(path: Path, seconds: float) -> None:
    """Write, as another process, and do not come to an end for a while."""
    own = sqlite3.connect(path, isolation_level=None, timeout=10)
    try:
        own.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
    finally:
        own.close()


async def test_a_full_disk_is_told_and_nothing_is_half_done(store: SQLStore) -> None:
    await store.push([job("before") for _ in range(5)])
    await store.enter("w", b"", 600.0)
    running = (await claim(store, 3)).jobs
    await _at_most(store, 3)
    with pytest.raises(BackendError, match="no room"):
        await store.push([job(args=b"x" * 10_000) for _ in range(100)])
    large = tuple(ended(each, result=b"x" * 100_000) for each in running)
    with pytest.raises(BackendError, match="no room"):
        await claim(store, 5, outcomes=large)
    counts = {each.state: each.count for each in await store.counts(Filter())}
    assert counts == {JobState.WAITING: 2, JobState.RUNNING: 3}

    # What was not done is done when there is room, and nothing twice.
    await _at_most(store, 100_000)
    found = await claim(store, 5, outcomes=large)
    assert (len(found.jobs), found.refused) == (2, [])
    await claim(store, 5, outcomes=tuple(map(ended, found.jobs)))
    jobs = [each async for each in store.find(Filter())]
    lost = 5 - sum(each.state is JobState.COMPLETED for each in jobs)
    Record(fault="full", store="sqlite", tried=1, jobs=5, lost=lost).settle()


async def _at_most(store: SQLStore, more: int) -> None:
    async with store._home.connection(write=True) as connection:
        rows = await connection.fetch("PRAGMA page_count", ())
        await connection.fetch(f"PRAGMA max_page_count={rows[0][0] + more}", ())


_WORKS = """
import asyncio, sys
from oxidite.queue.base import Outcome
from oxidite.queue.stores import stores

async def main():
    async with stores.create(sys.argv[1]) as store:
        await store.enter("killed", b"", 0.5)
        print("ready", flush=True)
        done = ()
        while True:
            await store.beat("killed", 0.5)
            claim = await store.exchange("killed", done, ["q"], 5)
            done = tuple(Outcome(id=j.id, attempt=j.attempt, kind="completed") for j in claim.jobs)
            for each in claim.jobs:
                print(each.id, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_the_jobs_of_a_worker_that_is_killed_run_again(
    kind: str, path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{path}"
    if kind == "postgresql":
        url = request.getfixturevalue("server").url
    async with stores.create(url) as store:
        for _ in range(ROUNDS):
            jobs = [job() for _ in range(6000)]  # more than it can do until it is killed
            await store.push(jobs)
            began = await asyncio.to_thread(_kill_one_that_works, url)
            completed = frozenset((JobState.COMPLETED,))
            before = {each.id async for each in store.find(Filter(states=completed))}
            assert began
            await store.enter("w", b"", 600.0)
            await asyncio.sleep(0.6)  # its lease, in real time: it is the server's
            assert await store.rescue(3)
            runs: set[UUID] = set()
            while found := (await claim(store, 100)).jobs:
                assert all(each.id not in before for each in found)
                runs.update(each.id for each in found)
                assert (await claim(store, 0, outcomes=tuple(map(ended, found)))).refused == []
            # What it had begun and not completed has run here, and the rest, too.
            assert runs == {each.id for each in jobs} - before
            await store.delete(Filter())


def _kill_one_that_works(url: str) -> set[UUID]:
    """Return what it had begun."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WORKS, url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.kill()
    lines, _ = process.communicate()
    return {UUID(line) for line in lines.splitlines()[:-1]}
