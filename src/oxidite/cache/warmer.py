"""What fills a cache when the application has started."""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Self

from oxidite.cache.cache import Cache
from oxidite.cache.warming import check_names
from oxidite.lifespan import Lifespan

__all__ = ["Warmer"]

_logger = logging.getLogger("oxidite.cache")


class Warmer:
    """A resource that fills a cache when the application has started: ``resources=[db, cache, Warmer(cache)]``.

    It runs the functions that are marked with ``Cache.warm``, those of ``names`` or all, behind: nobody
    waits for it, and one that fails is logged. Of several processes that start at once each value is made
    by one, as always; what is fresh already is not made again.
    """

    def __init__(self, cache: Cache, *names: str) -> None:
        self._cache = cache
        self._names = names
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to fill, where no application is."""
        self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.end()

    async def begin(self, resources: Lifespan) -> None:
        """Begin to fill, with all resources open.

        Raises:
            ConfigError: there is no function of such a name.
        """
        self._begin()

    def _begin(self) -> None:
        check_names(self._cache.warmers, self._names)
        self._task = asyncio.create_task(self._run(), name="cache warmer")

    async def end(self) -> None:
        """Stop, wherever it is."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None

    async def _run(self) -> None:
        async for done in self._cache.run_warmers(*self._names):
            if done.error is not None:
                _logger.error("%s did not fill the cache", done.name, exc_info=done.error)
            else:
                _logger.info("%s stored %d values in the cache", done.name, done.written)
