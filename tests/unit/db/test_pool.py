"""The pool, with connections that are only counted: what it opens, keeps, hands on and closes."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from oxidite.clock import perf
from oxidite.db import PoolTimeoutError
from oxidite.db.connections.pool import Pool
from oxidite.errors import BackendUnavailableError
from oxidite.instrument import listen


class Server:
    """Makes connections."""

    def __init__(self) -> None:
        self.made: list[Connection] = []
        self.is_down = False

    async def connect(self) -> Connection:
        await asyncio.sleep(0)
        if self.is_down:
            raise BackendUnavailableError("down")
        made = Connection(self)
        self.made.append(made)
        return made

    @property
    def open(self) -> int:
        return sum(not each.is_closed for each in self.made)


class Connection:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.is_broken = False
        self.is_closed = False
        self.is_dead = False
        self.pings = 0

    async def ping(self) -> None:
        self.pings += 1
        if self.is_dead:
            raise BackendUnavailableError("dead")

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.is_closed = True


@pytest.fixture
def server() -> Server:
    return Server()


def pool_of(server: Server, **options: Any) -> Pool[Connection]:
    return Pool(server.connect, **{"timeout": 5.0, "closing": 1.0, **options})


async def test_it_opens_what_is_needed_and_keeps_it(server: Server) -> None:
    pool = pool_of(server, size=3, min_size=2)
    await pool.open()
    assert len(server.made) == 2
    async with pool.connection() as one, pool.connection() as two, pool.connection() as three:
        assert len({id(each) for each in (one, two, three)}) == 3
        assert pool.in_use == 3
    assert pool.stats.idle == 3
    async with pool.connection() as again:
        assert again is one  # it came back last
    await pool.close()
    assert server.open == 0


async def test_who_waits_is_served_in_order(server: Server) -> None:
    pool = pool_of(server, size=1)
    await pool.open()
    order: list[int] = []

    async def use(number: int) -> None:
        async with pool.connection():
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(use(number) for number in range(5)))
    assert order == [0, 1, 2, 3, 4]
    assert pool.stats.waits == 4
    assert pool.stats.wait_time > 0
    await pool.close()


async def test_nobody_waits_for_ever(server: Server) -> None:
    pool = pool_of(server, size=1, timeout=0.01)
    await pool.open()
    async with pool.connection():
        with pytest.raises(PoolTimeoutError, match="pool_size=") as caught:
            async with pool.connection():
                pass
    assert caught.value.headers == {"retry-after": "1"}
    assert (pool.stats.timeouts, pool.waiting, pool.in_use) == (1, 0, 0)
    async with pool.connection():
        pass
    await pool.close()


async def test_a_cancelled_wait_loses_no_connection(server: Server) -> None:
    pool = pool_of(server, size=1)
    await pool.open()

    async def use() -> None:
        async with pool.connection():
            pass

    async with pool.connection():
        waiting = [asyncio.create_task(use()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.sleep(0)
    # Cancelled in the moment in which it is given the connection.
    waiting[0].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert [each.cancelled() for each in waiting] == [True, True, False]
    assert (pool.in_use, pool.waiting) == (0, 0)
    await pool.close()
    assert server.open == 0


async def test_a_broken_one_is_closed_and_the_others_are_asked(server: Server) -> None:
    pool = pool_of(server, size=3, min_size=3)
    await pool.open()
    server.made[0].is_dead = True
    async with pool.connection() as broken:
        broken.is_broken = True
    async with pool.connection() as one, pool.connection() as two:
        assert not one.is_dead
        assert not two.is_dead
    await pool.close()
    assert broken.is_closed
    assert server.made[0].is_closed
    assert server.made[0].pings == 1
    assert pool.stats.opened == 4


async def test_one_that_did_nothing_for_long_is_asked_first(server: Server) -> None:
    pool = pool_of(server, size=1, check=0.0)
    await pool.open()
    async with pool.connection() as one:
        assert one.pings == 1
    one.is_dead = True
    async with pool.connection() as other:
        assert other is not one
    await pool.close()


async def test_one_that_is_too_old_is_replaced(server: Server) -> None:
    pool = pool_of(server, size=1, lifetime=0.0)
    await pool.open()
    async with pool.connection() as one:
        pass
    async with pool.connection() as other:
        assert other is not one
    await pool.close()
    assert server.open == 0


async def test_not_all_end_at_the_same_time(server: Server) -> None:
    pool, began = pool_of(server, size=50, min_size=50, lifetime=1000.0), perf()
    await pool.open()
    ends = sorted(kept.until - began for kept in pool._idle)
    assert 800 <= ends[0] < 950
    assert 1050 < ends[-1] <= 1201
    assert len(set(ends)) == 50
    await pool.close()


async def test_what_is_not_needed_is_closed_but_for_the_least(server: Server) -> None:
    pool = pool_of(server, size=4, min_size=1, idle=0.0)
    await pool.open()
    async with pool.connection(), pool.connection(), pool.connection():
        pass
    assert pool.stats.open == 3
    pool._retire()
    assert pool.stats.open == 1
    await pool.close()


async def test_a_server_that_is_down_is_told_at_the_start(server: Server) -> None:
    server.is_down = True
    pool = pool_of(server, size=2)
    with pytest.raises(BackendUnavailableError):
        await pool.open()
    assert pool.in_use == 0
    server.is_down = False
    await pool.open()
    async with pool.connection():
        pass
    await pool.close()


async def test_who_waits_may_open_one_when_one_is_lost(server: Server) -> None:
    pool = pool_of(server, size=1)
    await pool.open()

    async def use() -> Connection:
        async with pool.connection() as one:
            return one

    async with pool.connection() as lost:
        waiting = asyncio.create_task(use())
        await asyncio.sleep(0)
        lost.is_broken = True
    assert await waiting is not lost
    await pool.close()


async def test_closing_waits_for_those_in_use(server: Server) -> None:
    pool = pool_of(server, size=1, closing=5.0)
    await pool.open()
    end = asyncio.Event()

    async def use() -> None:
        async with pool.connection():
            await end.wait()

    task = asyncio.create_task(use())
    await asyncio.sleep(0)
    closing = asyncio.create_task(pool.close())
    await asyncio.sleep(0)
    assert server.open == 1
    with pytest.raises(BackendUnavailableError, match="closed"):
        async with pool.connection():
            pass
    end.set()
    await task
    await closing
    assert server.open == 0


async def test_closing_does_not_wait_for_ever(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    pool = pool_of(server, size=1, closing=0.01)
    await pool.open()

    async def forgets() -> None:
        async with pool.connection():
            await asyncio.Event().wait()

    task = asyncio.create_task(forgets())
    await asyncio.sleep(0)
    await pool.close()
    assert server.open == 0
    assert "forgets() at" in caplog.text
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_who_holds_one_for_long_is_named(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    pool = pool_of(server, size=1, leak=0.001)
    await pool.open()
    events: list[str] = []

    class Ear:
        def span_started(self, span: object) -> None: ...
        def span_ended(self, span: object, error: object) -> None: ...
        def event(self, name: str, attributes: object) -> None:
            events.append(name)

    async def inner() -> None:
        await asyncio.Event().wait()

    async def handler() -> None:
        async with pool.connection():
            await inner()

    task = asyncio.create_task(handler())
    await asyncio.sleep(0.01)
    with caplog.at_level(logging.WARNING, "oxidite.db"), listen(Ear()):
        pool._report()
        pool._report()
    assert caplog.text.count("is held for") == 1
    assert "handler() at" in caplog.text
    assert "waits in" in caplog.text
    assert "inner() at" in caplog.text
    assert f"{__file__}:" in caplog.text
    assert events == ["db.connection.held"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert pool.in_use == 0
    await pool.close()


async def test_random_cancellations_lose_nothing(server: Server) -> None:
    import random

    pool = pool_of(server, size=3)
    await pool.open()
    dice = random.Random(7)

    async def use() -> None:
        async with pool.connection() as one:
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
            one.is_broken = dice.random() < 0.1

    tasks: set[asyncio.Task[None]] = set()
    for _ in range(2000):
        tasks.add(asyncio.create_task(use()))
        await asyncio.sleep(0)
        if dice.random() < 0.4:
            dice.choice(sorted(tasks, key=id)).cancel()
        tasks = {each for each in tasks if not each.done()}
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (pool.in_use, pool.waiting) == (0, 0)
    assert pool.stats.open <= 3
    await pool.close()
    assert server.open == 0
