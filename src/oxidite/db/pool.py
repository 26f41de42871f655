"""A pool of connections to one database.

The connection that came back last goes out first, so that those that are not needed grow old and are
closed. One lives at most ``lifetime`` seconds, give or take a fifth, so that a whole pool does not end
at once. Who waits is served in order, and no longer than ``timeout``.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from oxidite.clock import perf
from oxidite.db.errors import PoolTimeoutError

__all__ = ["Pool", "Pooled"]


class Pooled(Protocol):
    """What a pool needs of a connection."""

    @property
    def is_broken(self) -> bool:
        """Whether it must not be used again."""
        ...

    async def close(self) -> None:
        """Close it; never raises."""
        ...


C = TypeVar("C", bound=Pooled)


class Pool(Generic[C]):
    """Opens connections when they are needed, ``size`` at most, and keeps them."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[C]],
        *,
        size: int = 10,
        timeout: float = 10.0,
        lifetime: float = 3600.0,
    ) -> None:
        self._connect = connect
        self.size = size
        self.timeout = timeout
        self.lifetime = lifetime
        self._idle: list[tuple[C, float]] = []
        self._open = 0
        self._waiting: deque[asyncio.Future[tuple[C, float] | None]] = deque()
        self._is_closed = False

    @property
    def in_use(self) -> int:
        """How many connections are out."""
        return self._open - len(self._idle)

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._waiting)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[C]:
        """Take a connection, and give it back.

        Raises:
            PoolTimeoutError: none came back in time.
        """
        taken, until = await self.take()
        try:
            yield taken
        finally:
            await self.give_back(taken, until)

    async def take(self) -> tuple[C, float]:
        """Take a connection; returns it with the time at which its life ends."""
        while True:
            if self._idle:
                taken, until = self._idle.pop()
                if perf() < until:
                    return taken, until
                await self._drop(taken)
            elif self._open < self.size:
                return await self._new()
            else:
                given = await self._wait()
                if given is not None:
                    return given

    async def give_back(self, taken: C, until: float) -> None:
        """Give a connection back."""
        if taken.is_broken or self._is_closed:
            await asyncio.shield(self._drop(taken))
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result((taken, until))
                return
        self._idle.append((taken, until))

    async def close(self) -> None:
        """Close what is idle now, and the others when they come back."""
        self._is_closed = True
        while self._idle:
            await self._drop(self._idle.pop()[0])

    async def _new(self) -> tuple[C, float]:
        self._open += 1
        try:
            made = await self._connect()
        except BaseException:
            self._left()
            raise
        return made, perf() + self.lifetime * random.uniform(0.8, 1.2)

    async def _wait(self) -> tuple[C, float] | None:
        waiter: asyncio.Future[tuple[C, float] | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self.timeout):
                return await waiter
        except TimeoutError:
            raise PoolTimeoutError(
                f"All {self.size} database connections were in use for {self.timeout:g} s. Keep "
                "transactions short, or let the pool have more: pool_size=."
            ) from None
        finally:
            if waiter.done() and not waiter.cancelled():
                pass
            else:
                with contextlib.suppress(ValueError):
                    self._waiting.remove(waiter)

    async def _drop(self, connection: C) -> None:
        try:
            await connection.close()
        finally:
            self._left()

    def _left(self) -> None:
        """One less is open, so one that waits may open one."""
        self._open -= 1
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
