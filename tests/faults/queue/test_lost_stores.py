"""Stores that are restarted, cut off and silent, while real workers run what is pushed."""

from __future__ import annotations

import asyncio
import random
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import pytest
from tests.faults.db.conftest import PostgreSQL
from tests.faults.proxy import Proxy
from tests.faults.queue import worker_app as app
from tests.faults.queue.conftest import LEASE, LIMIT, Workplace, workplace
from tests.faults.queue.ledger import begun, everything_ended, push_until, refusals, tally
from tests.faults.queue.sql.conftest import server
from tests.faults.queue.stands import FEW, SERVERS, stand
from tests.mariadb_server import MariaDBServer, mariadb_server
from tests.redis_server import RedisServer, redis_server

from oxidite import clock
from oxidite.queue import Queue

__all__ = ["server"]


@pytest.fixture(params=SERVERS)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def through(url: str, proxy: Proxy) -> str:
    """Return the URL of a store by way of a proxy."""
    return re.sub(r":\d+/", f":{proxy.port}/", url, count=1)


@asynccontextmanager
async def reached_through(kind: str, folder: Path) -> AsyncIterator[tuple[Workplace, Proxy]]:
    """A store that the test reaches directly, and its workers may reach by a proxy."""
    async with stand(kind, folder) as url, workplace(folder, url) as place:
        port = urlsplit(url).port
        assert port is not None
        async with Proxy(port) as proxy:
            yield place, proxy


async def test_a_worker_whose_network_breaks_again_and_again_loses_nothing(
    kind: str, tmp_path: Path
) -> None:
    dice = random.Random(11)
    async with reached_through(kind, tmp_path) as (place, proxy):
        await place.work(url=through(place.url, proxy))
        over = asyncio.Event()
        pushing = asyncio.ensure_future(push_until(place, over))
        for _ in range(10 * FEW):
            await asyncio.sleep(dice.random() / 3)
            proxy.cut()
        over.set()
        handles = await pushing
        await everything_ended(place, handles)
        (await tally(place, "cut", kind, handles, tried=10 * FEW)).settle()


async def test_a_worker_that_the_network_leaves_alone_is_replaced_and_refused(
    kind: str, tmp_path: Path
) -> None:
    """Nothing gets through, and nobody is told: as with a machine whose cable was pulled."""
    async with reached_through(kind, tmp_path) as (place, proxy):
        # Nothing is asked of the store in the midst of the silence that would be half done.
        cut_off = await place.work(
            "--concurrency", "1", "--prefetch", "0", url=through(place.url, proxy)
        )
        handles = []
        slowest = 0.0
        for number in range(1, FEW + 1):
            handles.append(handle := await place.queue.enqueue(app.awaits_word, number))
            await place.until(lambda: len(begun(place)) == len(handles))
            other = await place.work()
            proxy.pause()
            silent = clock.perf()
            assert await handle.result(LIMIT + 10) == number
            slowest = max(slowest, begun(place)[handle.id][2] - silent)
            place.say(f"go{number}")
            proxy.resume()
            await place.until(lambda: refusals(place) == len(handles))
            other.send_signal(signal.SIGTERM)
            assert await other.wait() == 0
        assert cut_off.returncode is None
        record = await tally(place, "silent", kind, handles, tried=FEW, worst=slowest, bound=LIMIT)
        record.settle()


@pytest.mark.parametrize(
    "kind",
    [each for each in SERVERS if each.values != ("redis",)],
)
async def test_a_beat_that_is_cut_in_the_middle_holds_up_nobody(kind: str, tmp_path: Path) -> None:
    """The server does not notice for a long time, and would keep locks that long."""
    async with reached_through(kind, tmp_path) as (place, proxy):
        url = through(place.url, proxy)
        async with Queue.from_url(url, tasks=["tests.faults.queue.worker_app"]) as far:
            await far.store.enter("cut off", b"{}", 0.2)
            proxy.stops_at = b"SELECT name FROM ox_job_queues"
            beat = asyncio.ensure_future(far.store.beat("cut off", 0.2))
            await proxy.stopped.wait()
            await place.until(lambda: _is_lost(place, "cut off"))
            async with asyncio.timeout(10):
                await place.queue.store.rescue(3)
            proxy.resume()
            assert not (await beat).lost
            await place.queue.store.rescue(3)
            assert await place.queue.workers() == []


async def _is_lost(place: Workplace, name: str) -> bool:
    (found,) = [each for each in await place.queue.workers() if each.name == name]
    return found.lease_until <= await place.queue.store.now()


class Server(Protocol):
    """What may be killed and started again."""

    url: str

    def start(self) -> None: ...

    def kill(self) -> None: ...


class _PostgreSQL:
    def __init__(self, server: PostgreSQL) -> None:
        self.url = server.url
        self._server = server

    def start(self) -> None:
        self._server.start()

    def kill(self) -> None:
        self._server.stop(signal.SIGQUIT)


class _MariaDB:
    def __init__(self, server: MariaDBServer) -> None:
        self.url = server.url
        self._server = server

    def start(self) -> None:
        self._server.start()

    def kill(self) -> None:
        self._server.end(signal.SIGKILL)


@pytest.fixture
def durable(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of the test's own, that acknowledges nothing before it is in its log."""
    if kind == "postgresql":
        yield _PostgreSQL(request.getfixturevalue("server"))
        return
    if kind == "mariadb":
        with mariadb_server() as installed:
            installed.start()
            yield _MariaDB(installed)
        return
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder, "--appendonly", "yes", "--appendfsync", "always") as made:
        yield _Redis(made)


class _Redis:
    def __init__(self, server: RedisServer) -> None:
        self.url = server.url
        self._server = server

    def start(self) -> None:
        self._server.start()

    def kill(self) -> None:
        self._server.kill()


@pytest.mark.parametrize("away", ["shortly", "longer than a lease"])
async def test_a_store_that_is_killed_under_load_loses_and_doubles_nothing(
    kind: str, away: str, durable: Server, tmp_path: Path
) -> None:
    seconds = 0.2 if away == "shortly" else LEASE + 1
    async with workplace(tmp_path, durable.url) as place:
        await place.work_many(2)
        over = asyncio.Event()
        pushing = asyncio.ensure_future(push_until(place, over))
        for _ in range(FEW):
            await asyncio.sleep(1.0)
            durable.kill()
            await asyncio.sleep(seconds)
            await asyncio.to_thread(durable.start)
            ran = len(begun(place))
            await place.until(lambda: len(begun(place)) > ran + 20)  # noqa: B023 - called here
        over.set()
        handles = await pushing
        await everything_ended(place, handles)
        (await tally(place, "restart", kind, handles, tried=FEW)).settle()
