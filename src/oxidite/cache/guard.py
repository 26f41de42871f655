"""Keeps a store that fails from making everything slow, and what it was not told from being forgotten.

After some failures in a row the store is not asked for a while; then one call tries, and if it succeeds
all do. What was to be deleted or invalidated meanwhile is remembered, and told to the store before anything
else is: a value that should be gone is never read from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from oxidite import clock
from oxidite.cache.base import CacheBackend
from oxidite.errors import BackendError, BackendTimeoutError, BackendUnavailableError
from oxidite.instrument import event

__all__ = ["Guard", "Owed", "StoreTimeoutError"]

T = TypeVar("T")

_logger = logging.getLogger("oxidite.cache")

_FAILURES = 5  # in a row, until the store is left alone
_SHORTEST_REST = 1.0
_LONGEST_REST = 30.0
_MOST_OWED = 10_000
_BATCH = 1000
_LOG_EVERY = 10.0


class StoreTimeoutError(BackendUnavailableError, BackendTimeoutError):
    """The store of the cache did not answer in time."""

    code = "backend_timeout"


class Owed:
    """What a store has yet to be told. What is too much to remember is all that begins with ``prefix``."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.keys: dict[str, None] = {}
        self.hard: dict[str, None] = {}
        self.soft: dict[str, None] = {}
        self.prefixes: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self.keys or self.hard or self.soft or self.prefixes)

    def add(
        self,
        *,
        keys: Iterable[str] = (),
        hard: Iterable[str] = (),
        soft: Iterable[str] = (),
        prefixes: Iterable[str] = (),
    ) -> None:
        """Remember what is to be deleted or invalidated."""
        for ours, theirs in (
            (self.keys, keys),
            (self.hard, hard),
            (self.soft, soft),
            (self.prefixes, prefixes),
        ):
            ours.update(dict.fromkeys(theirs))
            if len(ours) > _MOST_OWED:
                self.clear()
                self.prefixes[self._prefix] = None
                return

    def clear(self) -> None:
        """Owe nothing."""
        for each in (self.keys, self.hard, self.soft, self.prefixes):
            each.clear()

    async def pay(self, backend: CacheBackend) -> None:
        """Tell the store; what it has heard is owed no more, also if it fails before the end."""
        while self.prefixes:
            with _taken(self.prefixes, 1) as prefixes:
                await backend.clear(prefixes[0])
        for tags, is_soft in ((self.hard, False), (self.soft, True)):
            while tags:
                with _taken(tags, _BATCH) as told:
                    await backend.invalidate(told, soft=is_soft)
        while self.keys:
            with _taken(self.keys, _BATCH) as keys:
                await backend.delete_many(keys)


@contextlib.contextmanager
def _taken(names: dict[str, None], count: int) -> Iterator[list[str]]:
    """Take some out before they are told: one that is owed anew meanwhile is to be told again."""
    taken = list(islice(names, count))
    for each in taken:
        del names[each]
    try:
        yield taken
    except BaseException:
        names.update(dict.fromkeys(taken))
        raise


class Guard:
    """Calls a store. One in this process needs no guarding and is called as it is."""

    def __init__(
        self,
        backend: CacheBackend,
        *,
        timeout: float,
        prefix: str,
        healed: Callable[[], None],
    ) -> None:
        self.backend: CacheBackend = backend
        self.owed: Owed = Owed(prefix)
        self._timeout = timeout
        self._healed = healed
        self._failures = 0
        self._rest = 0.0
        self._asks_at: float | None = None
        self._is_trying = False
        self._paying = asyncio.Lock()
        self._logged_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the store is not asked at present, because it failed too often."""
        return self._asks_at is not None

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return what ``work`` returns, which calls the store.

        Raises:
            BackendError: the store failed, did not answer in time, or is not asked at present.
        """
        if not self.backend.is_shared:
            return await work()
        if self._asks_at is None:
            return await self._call(work)
        if self._is_trying or clock.monotonic() < self._asks_at:
            raise BackendUnavailableError(
                "The store of the cache failed several times in a row and is not asked for a while."
            )
        self._is_trying = True
        try:
            return await self._call(work)
        finally:
            self._is_trying = False

    async def _call(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            if self.owed:
                async with self._paying:
                    async with asyncio.timeout(self._timeout):
                        await self.owed.pay(self.backend)
            async with asyncio.timeout(self._timeout):
                result = await work()
        except TimeoutError as exc:
            self._failed()
            raise StoreTimeoutError(
                f"The store of the cache did not answer within {self._timeout:g} s."
            ) from exc
        except (BackendUnavailableError, BackendTimeoutError):
            self._failed()
            raise
        self._succeeded()
        return result

    def _failed(self) -> None:
        self._failures += 1
        if self._failures < _FAILURES and self._asks_at is None:
            return
        is_new = self._asks_at is None
        self._rest = min(max(self._rest * 2, _SHORTEST_REST), _LONGEST_REST)
        # Not all processes at the same moment.
        self._asks_at = clock.monotonic() + self._rest * (0.5 + random.random())
        if is_new:
            event("cache.breaker", state="open", failures=self._failures)

    def _succeeded(self) -> None:
        self._failures = 0
        if self._asks_at is not None:
            self._asks_at, self._rest = None, 0.0
            event("cache.breaker", state="closed")
            _logger.warning("The store of the cache answers again.")
            self._healed()

    def log(self, error: BackendError) -> None:
        """Log a failure that nobody sees otherwise; not each, when there are many."""
        now = clock.monotonic()
        if self._logged_at is None or now - self._logged_at >= _LOG_EVERY:
            self._logged_at = now
            _logger.warning("The cache does without its store: %s", error)
