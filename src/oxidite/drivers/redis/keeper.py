"""Keeps one connection open, for as long as it is wanted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import Protocol

from oxidite.drivers.redis.options import RedisOptions
from oxidite.drivers.redis.wire import Wire, WireOwner, connect
from oxidite.errors import BackendError, BackendUnavailableError, ConfigError

__all__ = ["Keeper", "KeptOwner"]

_logger = logging.getLogger("oxidite.redis")

_FIRST_WAIT = 0.05
_LONGEST_WAIT = 2.0
_STEADY = 1.0  # seconds after which a connection counts as one that works
_CLOSING = 1.0  # seconds that closing may take


class KeptOwner(WireOwner, Protocol):
    """Who a connection is kept for."""

    def up(self, wire: Wire) -> None:
        """Hear that there is a connection."""
        ...

    def down(self, wire: Wire, error: Exception) -> None:
        """Hear that the connection broke; another is being made."""
        ...

    def refused(self, error: Exception) -> None:
        """Hear that no connection could be made; it will be tried again."""
        ...


class Keeper:
    """Connects, and connects again, with pauses that grow and differ from process to process."""

    def __init__(self, options: RedisOptions, owner: KeptOwner) -> None:
        self._options = options
        self._owner = owner
        self._task: asyncio.Task[None] | None = None
        self._tried: asyncio.Future[Exception | None] | None = None
        self._wire: Wire | None = None

    async def start(self) -> None:
        """Connect; a server that is away is waited for behind the scenes.

        Raises:
            ConfigError: the server does not let us in, or is not one that we can use.
        """
        loop = asyncio.get_running_loop()
        self._tried = loop.create_future()
        self._task = loop.create_task(self._keep(), name=f"redis {self._options.name}")
        try:
            error = await self._tried
        except BaseException:
            await self.stop()
            raise
        if isinstance(error, ConfigError):
            await self.stop()
            raise error

    async def stop(self) -> None:
        """Close, and connect no more."""
        task, self._task = self._task, None
        while task is not None and not task.done():
            # Again, if it was lost: what connects waits with time-outs, which may end at the same moment.
            task.cancel()
            await asyncio.wait((task,), timeout=_CLOSING)
        if self._wire is not None:
            self._wire.abort(BackendUnavailableError("The connection to Redis was closed."))
            await asyncio.wait((self._wire.gone,), timeout=_CLOSING)
            self._wire = None

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                if await self._once():
                    failures = 0
                    continue  # at once: most often the server was restarted
            except (BackendError, ConfigError) as exc:
                self._refuse(exc, failures)
            except Exception as exc:  # who waits for a connection must hear of it
                _logger.exception("a connection to Redis failed for a reason that was not expected")
                if self._wire is not None:
                    self._wire.abort(exc)
                self._refuse(exc, failures)
            failures += 1
            await _pause(min(_FIRST_WAIT * 2 ** min(failures - 1, 10), _LONGEST_WAIT))

    async def _once(self) -> bool:
        """Connect, wait until the connection breaks, and return whether it had worked for a while."""
        loop = asyncio.get_running_loop()
        self._wire = wire = await connect(self._options, self._owner)
        began = loop.time()
        self._owner.up(wire)
        self._first(None)
        error = await asyncio.shield(wire.gone)
        self._owner.down(wire, error)
        return loop.time() - began > _STEADY

    def _refuse(self, error: Exception, failures: int) -> None:
        if failures == 0:  # once, not with each attempt
            _logger.warning("%s Trying again until it can be.", error)
        self._owner.refused(error)
        self._first(error)

    def _first(self, error: Exception | None) -> None:
        if self._tried is not None and not self._tried.done():
            self._tried.set_result(error)


async def _pause(seconds: float) -> None:
    # Real time, not that of a test which travels: the network does not travel with it.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds * random.uniform(0.5, 1.0)):
            await asyncio.Event().wait()
