"""A pool of connections to one database.

The connection that came back last goes out first, so that those that are not needed grow old and are
closed. One lives at most ``lifetime`` seconds, give or take a fifth, so that a whole pool does not end
at once. Who waits is served in order, and no longer than ``timeout``. One that has done nothing for a
while is asked whether it lives before it is used; so is every idle one after a connection was lost.

Times are of the real world: a test that travels must not end a healthy connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from oxidite.clock import perf
from oxidite.concurrency import current_task
from oxidite.db.connections.holders import holder
from oxidite.db.connections.options import PoolOptions
from oxidite.db.connections.pooled import Kept, Pooled, PoolStats
from oxidite.db.errors import PoolTimeoutError
from oxidite.errors import BackendUnavailableError, OxiditeError
from oxidite.instrument import event

__all__ = ["Lease", "Pool"]

_logger = logging.getLogger("oxidite.db")
_PING = 2.0
"""Seconds that an idle connection has to say that it lives."""
_TURN = 1.0
"""Seconds between two looks at what is idle, and at what is out for too long."""


C = TypeVar("C", bound=Pooled)


class Lease(Generic[C]):
    """A connection to be taken and given back: ``async with pool.connection() as connection``."""

    __slots__ = ("_kept", "_pool")

    def __init__(self, pool: Pool[C]) -> None:
        self._pool = pool
        self._kept: Kept[C] | None = None

    async def __aenter__(self) -> C:
        # PERF: what is free is taken without another coroutine; benchmark `db get`.
        kept = self._pool._free() or await self._pool._taken()  # noqa: SLF001 - its other half
        self._kept = kept
        return kept.connection

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            self._pool._give_back(kept)  # noqa: SLF001 - its other half


class Pool(Generic[C]):
    """Opens connections when they are needed, ``size`` at most, and keeps them."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[C]],
        *,
        size: int = 10,
        min_size: int = 1,
        timeout: float = 10.0,
        lifetime: float = 3600.0,
        idle: float = 600.0,
        check: float = 30.0,
        leak: float = 30.0,
        closing: float = 10.0,
        name: str = "",
    ) -> None:
        self._connect = connect
        self.size = size
        self.min_size: int = min(min_size, size)
        self.timeout = timeout
        self.lifetime = lifetime
        self.idle = idle
        self.check = check
        self.leak = leak
        self.closing = closing
        self.name = name
        self._reset()

    @classmethod
    def of(cls, connect: Callable[[], Awaitable[C]], options: PoolOptions, *, name: str) -> Self:
        """Make one as the options of a URL say."""
        return cls(
            connect,
            size=options.pool_size,
            min_size=options.pool_min,
            timeout=options.pool_timeout,
            lifetime=options.pool_lifetime,
            idle=options.pool_idle,
            check=options.pool_check,
            leak=options.pool_leak,
            closing=options.pool_close,
            name=name,
        )

    def _reset(self) -> None:
        self._idle: list[Kept[C]] = []
        self._out: set[Kept[C]] = set()
        self._open = 0
        self._waiting: deque[asyncio.Future[Kept[C] | None]] = deque()
        self._suspect = 0.0
        self._is_closed = False
        self._opened = self._closed = self._waits = self._timeouts = 0
        self._wait_time = 0.0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._end = asyncio.Event()

    @property
    def in_use(self) -> int:
        """How many connections are out."""
        return len(self._out)

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._waiting)

    @property
    def stats(self) -> PoolStats:
        """How it is now, and what it did so far."""
        return PoolStats(
            size=self.size,
            open=self._open,
            idle=len(self._idle),
            in_use=self.in_use,
            waiting=self.waiting,
            opened=self._opened,
            closed=self._closed,
            waits=self._waits,
            wait_time=self._wait_time,
            timeouts=self._timeouts,
        )

    async def open(self) -> None:
        """Open the connections that are always there: that there is no database is told now."""
        self._reset()
        try:
            await self._warm(max(1, self.min_size))
        except BaseException:
            await self.close()
            raise
        self._keeper = asyncio.create_task(self._keep(), name="oxidite.db.connections.pool")

    def connection(self) -> Lease[C]:
        """Take a connection, and give it back.

        Raises:
            PoolTimeoutError: none came back in time.
        """
        return Lease(self)

    async def close(self) -> None:
        """Close the connections; those in use get ``closing`` seconds to come back."""
        self._is_closed = True
        self._end.set()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait((self._keeper,))
            self._keeper = None
        while self._waiting:
            _resolve(self._waiting.popleft(), None)
        if self._out:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.closing):
                    while self._out:
                        await self._returned()
        for kept in self._out:
            _logger.warning(
                "a database connection was still in use when the pool was closed, by %s",
                holder(kept.task),
            )
            self._later(kept.connection.close())
        while self._idle:
            self._drop(self._idle.pop())
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _returned(self) -> None:
        """Wait until one more connection is back."""
        waiter: asyncio.Future[Kept[C] | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await waiter

    # Taking and giving back.

    def _free(self) -> Kept[C] | None:
        """Return a connection that can be used as it is, ``None`` if there is none."""
        if not self._idle or self._is_closed:
            return None
        kept = self._idle[-1]
        time = perf()
        if (
            kept.connection.is_broken
            or time >= kept.until
            or time - kept.rested >= self.check
            or kept.rested <= self._suspect
        ):
            return None
        self._idle.pop()
        return self._lend(kept, time)

    def _lend(self, kept: Kept[C], time: float) -> Kept[C]:
        kept.since = time
        kept.task = current_task(asyncio.get_running_loop())
        self._out.add(kept)
        return kept

    async def _taken(self) -> Kept[C]:
        """Return a connection: an idle one that lives, a new one, or the next that comes back."""
        until = perf() + self.timeout
        while True:
            if self._is_closed:
                raise BackendUnavailableError("The database is closed, or about to be.")
            if self._idle:
                kept = self._idle.pop()
                if await self._lives(kept):
                    return self._lend(kept, perf())
            elif self._open < self.size:
                return self._lend(await self._new(), perf())
            else:
                given = await self._wait(until)
                if given is not None:
                    return given

    async def _lives(self, kept: Kept[C]) -> bool:
        """Tell whether an idle connection can be used; one that cannot is closed."""
        connection, time = kept.connection, perf()
        if connection.is_broken or time >= kept.until:
            self._drop(kept)
            return False
        if time - kept.rested < self.check and kept.rested > self._suspect:
            return True
        try:
            async with asyncio.timeout(_PING):
                await connection.ping()
        except Exception:  # noqa: BLE001 - whatever it is, this one is not used
            self._suspect = perf()
            self._drop(kept)
            return False
        except BaseException:
            self._drop(kept)
            raise
        return True

    def _give_back(self, kept: Kept[C]) -> None:
        self._out.discard(kept)
        kept.task = None
        kept.is_reported = False
        if kept.connection.is_broken:
            # What ended this one may have ended the others.
            self._suspect = perf()
            self._drop(kept)
            return
        if self._is_closed:
            self._drop(kept)
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                # Its holder is known when it wakes; until then nobody else can have it.
                self._out.add(kept)
                kept.since = perf()
                waiter.set_result(kept)
                return
        kept.rested = perf()
        self._idle.append(kept)

    async def _new(self) -> Kept[C]:
        self._open += 1
        # A task of its own: who is cancelled goes away, and the connection is there for the next.
        task = asyncio.get_running_loop().create_task(self._connected())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._adopt)
            raise

    async def _connected(self) -> Kept[C]:
        try:
            made = await self._connect()
        except BaseException:
            self._left()
            raise
        self._opened += 1
        event("db.connection.opened", database=self.name, open=self._open)
        return Kept(made, perf() + self.lifetime * random.uniform(0.8, 1.2))

    def _adopt(self, task: asyncio.Task[Kept[C]]) -> None:
        """Keep a connection that nobody waits for any more."""
        if not task.cancelled() and task.exception() is None:
            self._out.add(task.result())
            self._give_back(task.result())

    async def _wait(self, until: float) -> Kept[C] | None:
        waiter: asyncio.Future[Kept[C] | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._waits += 1
        began = perf()
        try:
            async with asyncio.timeout(max(0.0, until - began)):
                kept = await waiter
        except BaseException as exc:
            self._gave_up(waiter)
            if not isinstance(exc, TimeoutError):
                raise
            self._timeouts += 1
            event("db.pool.timeout", database=self.name, size=self.size, waiting=self.waiting)
            raise PoolTimeoutError(
                f"All {self.size} database connections were in use for {self.timeout:g} s. Keep "
                "transactions short, or let the pool have more: pool_size=."
            ) from None
        finally:
            waited = perf() - began
            self._wait_time += waited
            event("db.pool.waited", database=self.name, seconds=waited)
        if kept is not None:
            kept.task = current_task(asyncio.get_running_loop())
        return kept

    def _gave_up(self, waiter: asyncio.Future[Kept[C] | None]) -> None:
        """Hand on what a waiter got in the moment in which it stopped waiting."""
        if waiter.done() and not waiter.cancelled():
            kept = waiter.result()
            if kept is not None:
                self._give_back(kept)
            else:
                self._wake()
            return
        with contextlib.suppress(ValueError):
            self._waiting.remove(waiter)

    # Closing.

    def _drop(self, kept: Kept[C]) -> None:
        """Close a connection, while nobody waits for that."""
        self._later(kept.connection.close())
        self._closed += 1
        self._left()
        event("db.connection.closed", database=self.name, open=self._open)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _left(self) -> None:
        """One less is open, so one that waits may open one."""
        self._open -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            if _resolve(self._waiting.popleft(), None):
                return

    # Keeping.

    async def _keep(self) -> None:
        """Close what is old, keep what must be there, report what is out for too long."""
        is_down = False
        while not self._end.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TURN):
                    await self._end.wait()
            if self._end.is_set():
                return
            self._report()
            self._retire()
            try:
                await self._warm(self.min_size)
                is_down = False
            except OxiditeError as exc:
                if not is_down:
                    _logger.warning("no connection to the database can be opened: %s", exc)
                is_down = True

    def _retire(self) -> None:
        time = perf()
        # The oldest stand first: what came back last goes out first.
        for kept in list(self._idle):
            old = time - kept.rested >= self.idle and self._open > self.min_size
            if kept.connection.is_broken or time >= kept.until or old:
                self._idle.remove(kept)
                self._drop(kept)

    async def _warm(self, size: int) -> None:
        while self._open < size and not self._is_closed:
            kept = await self._new()
            self._out.add(kept)
            self._give_back(kept)

    def _report(self) -> None:
        if not self.leak:
            return
        time = perf()
        for kept in self._out:
            held = time - kept.since
            if held >= self.leak and not kept.is_reported:
                kept.is_reported = True
                place = holder(kept.task)
                _logger.warning("a database connection is held for %.0f s by %s", held, place)
                event("db.connection.held", database=self.name, seconds=held, by=place)


def _resolve(waiter: asyncio.Future[Any], value: object) -> bool:
    if waiter.done():
        return False
    waiter.set_result(value)
    return True
