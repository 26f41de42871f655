"""A value whose options are decided while it is made."""

from __future__ import annotations

import math
from collections.abc import Iterable
from types import TracebackType
from typing import Generic, Self, TypeVar, cast

from oxidite import clock
from oxidite.cache.claims import Claim
from oxidite.cache.core import Core, Writing
from oxidite.cache.freshness import Freshness, Options, Seconds, freshness
from oxidite.cache.keys import stored_key
from oxidite.cache.l1 import MISSING
from oxidite.cache.recording import depend_on
from oxidite.cache.tags import stored_tags
from oxidite.cache.values import Typed, encoded
from oxidite.cache.writes import write
from oxidite.concurrency import sees_alone

__all__ = ["CacheEntry"]

T = TypeVar("T")


class CacheEntry(Generic[T]):
    """What is kept under a key, in a block that may make it.

    ``found`` tells whether it was there and fresh; then it is ``value``. If it was not, this task is the
    one that makes it: set ``value``, and before the block ends ``ttl``, ``grace`` and ``tags`` if they are
    to be others. What is set is kept; if nothing is, or the block raises, nothing is.
    """

    key: str
    found: bool
    ttl: Seconds | None
    grace: Seconds
    tags: Iterable[str]

    def _begin(self, core: Core, key: str, typed: Typed[object], fresh: Freshness) -> None:
        self.key = key
        self.found = False
        self.ttl = fresh.ttl
        self.grace = fresh.grace
        self.tags = ()
        self._core = core
        self._typed = typed
        self._fresh = fresh
        self._value: T | None = None
        self._is_set = False
        self._mark = 0
        self._started = 0.0
        self._claim = Claim(core, key, typed, ())

    @property
    def value(self) -> T | None:
        """What is kept, or what was set."""
        return self._value

    @value.setter
    def value(self, value: T) -> None:
        self._value = value
        self._is_set = True

    async def __aenter__(self) -> Self:
        core = self._core
        self._mark = core.near.mark()
        entry = core.near.get(self.key)
        if entry is None:
            found = await core.look(self.key)
            entry = found.entry if found is not None and found.is_fresh else None
        if entry is None or core.read(self.key, entry, self._typed) is MISSING:
            core.counts.misses += 1
            entry = await self._claim.take(-math.inf, None)
        else:
            core.counts.hits += 1
        if entry is not None:
            self.found = True
            depend_on(core, entry)
            # Of the type that was asked for; the cache keeps all kinds of values.
            self._value = cast("T", entry.read(self._typed))
            return self
        await self._claim.__aenter__()
        self._started = clock.perf()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            # Of what is not committed nobody is to be told; perhaps it never is.
            if self._is_set and kind is None and not sees_alone():
                await self._keep()
        finally:
            await self._claim.__aexit__(kind, exc, tb)

    async def _keep(self) -> None:
        core = self._core
        payload = encoded(self.key, self._value)
        options: Options = {"ttl": self.ttl, "grace": self.grace}
        fresh = freshness(self._fresh, options)
        tags = stored_tags(core.prefix, self.tags)
        writing = Writing(self.key, payload, fresh.life(self._value or 0), fresh.grace)
        if self.found:  # it was there, and is replaced: nobody was kept from making it meanwhile
            await write(core, [writing], tags)
            return
        cost = clock.perf() - self._started
        envelope = core.envelope(writing, tags, self._claim.as_of, cost=cost, calm=fresh.calm)
        if await self._claim.fill(envelope):
            core.near.put(self.key, core.entry(envelope), self._mark)
        core.wake(stored_key(self.key))
