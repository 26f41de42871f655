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
from oxidite.concurrency import context_behind
from oxidite.errors import BackendError, BackendTimeoutError, BackendUnavailableError
from oxidite.instrument import event

__all__ = ["Guard", "Owed", "StoreTimeoutError"]

T = TypeVar("T")

_logger = logging.getLogger("oxidite.cache")

_FAILURES = 5  # in a row, until the store is left alone
_SHORTEST_REST = 1.0
_LONGEST_REST = 30.0
_MOST_OWED = 10_000
_BATCH = 100  # told at once: what a store under load does within half a second, too
_LONGEST = 600.0  # seconds for what looks through all that a store holds
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

    async def pay(self, backend: CacheBackend, each: float) -> None:
        """Tell the store; what it has heard is owed no more, also if it fails before the end.

        Raises:
            TimeoutError: a call took longer than ``each`` seconds; clearing takes as long as it takes.
        """
        while self.prefixes:
            with _taken(self.prefixes, 1) as prefixes:
                async with asyncio.timeout(_LONGEST):
                    await backend.clear(prefixes[0])
        for tags, is_soft in ((self.hard, False), (self.soft, True)):
            while tags:
                with _taken(tags, _BATCH) as told:
                    async with asyncio.timeout(each):
                        await backend.invalidate(told, soft=is_soft)
        while self.keys:
            with _taken(self.keys, _BATCH) as keys:
                async with asyncio.timeout(each):
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


def _seen(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()  # whoever still waits raises it


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
        self._paying: asyncio.Task[None] | None = None
        self._logged_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the store is not asked at present, because it failed too often."""
        return self._asks_at is not None

    async def close(self) -> None:
        """Stop telling what is owed."""
        if self._paying is not None:
            self._paying.cancel()
            await asyncio.wait((self._paying,))

    async def call(self, work: Callable[[], Awaitable[T]], *, is_long: bool = False) -> T:
        """Return what ``work`` returns, which calls the store.

        ``is_long``: it looks through all that there is, and takes as long as that takes.

        Raises:
            BackendError: the store failed, did not answer in time, or is not asked at present.
        """
        if not self.backend.is_shared:
            return await work()
        if self._asks_at is None:
            return await self._call(work, is_long)
        if self._is_trying or clock.monotonic() < self._asks_at:
            raise BackendUnavailableError(
                "The store of the cache failed several times in a row and is not asked for a while."
            )
        self._is_trying = True
        try:
            return await self._call(work, is_long, is_try=True)
        finally:
            self._is_trying = False

    def hurry(self) -> None:
        """Let the next call try: something was heard of the store."""
        if self._asks_at is not None:
            self._asks_at = clock.monotonic()

    async def _call(
        self, work: Callable[[], Awaitable[T]], is_long: bool, *, is_try: bool = False
    ) -> T:
        try:
            if self.owed or self._paying is not None:
                await self._settled()
            if is_long:  # a store that is away is noticed as soon as by others
                async with asyncio.timeout(self._timeout):
                    await self.backend.get_many(["%"])
            async with asyncio.timeout(_LONGEST if is_long else self._timeout):
                result = await work()
        except TimeoutError as exc:
            self._failed(is_try)
            raise StoreTimeoutError(
                f"The store of the cache did not answer within {self._timeout:g} s."
            ) from exc
        except (BackendUnavailableError, BackendTimeoutError):
            self._failed(is_try)
            raise
        self._succeeded()
        return result

    async def _settled(self) -> None:
        """Wait until the store has been told what is owed, also what another has begun to tell.

        Who cannot wait longer leaves, and the telling goes on: there may be much to be cleared.
        """
        async with asyncio.timeout(self._timeout):
            while self.owed or self._paying is not None:
                if self._paying is None:
                    self._paying = asyncio.create_task(
                        self._pay(), name="cache owed", context=context_behind()
                    )
                    self._paying.add_done_callback(_seen)
                paying = self._paying
                await asyncio.wait((paying,))
                if paying.cancelled():
                    raise BackendUnavailableError("The cache was closed.")
                paying.result()

    async def _pay(self) -> None:
        try:
            await self.owed.pay(self.backend, self._timeout)
        finally:
            self._paying = None

    def _failed(self, is_try: bool) -> None:
        self._failures += 1
        # Who was on the way when the others failed says nothing new.
        if not is_try and (self._asks_at is not None or self._failures < _FAILURES):
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
