"""Answers kept in a cache, to be given again to a request that is sent again.

A key is taken by a claim of the store, which one attempt has at a time among all processes; its answer is
filled in under that claim, so an attempt that was given up fills in nothing. What was asked is noted beside.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec import Struct

from oxidite.cache.cache import Cache
from oxidite.cache.core import Core, Found, Writing
from oxidite.cache.keys import stored_key
from oxidite.cache.l1 import MISSING
from oxidite.cache.values import encoded, typed
from oxidite.errors import BackendError
from oxidite.middleware.replies import Attempt, Reply

__all__ = ["CacheReplies"]

T = TypeVar("T")

_LETTING_GO = 5.0  # seconds for which a key stays taken while it is being given back


class _Asked(Struct, frozen=True):
    """What the one asked who has the key."""

    fingerprint: str


class CacheReplies:
    """Answers in a cache, for all processes that share its store: ``idempotency(store=CacheReplies(cache))``.

    Unlike values, which a cache may do without, a store that fails raises: not knowing is no reason to do
    something twice. A store that makes room may forget an answer before its time, so give it room; and
    ``cache.clear()`` forgets them all.
    """

    def __init__(self, cache: Cache) -> None:
        self._core: Core = cache._core  # noqa: SLF001 - of this package, and of no use outside
        self._prefix = cache.namespace("replies")._prefix  # noqa: SLF001 - as above

    async def begin(
        self, key: str, fingerprint: str, owner: str, *, lease: float
    ) -> Attempt | None:
        """Take a key; return what is known of it if it was taken before.

        Raises:
            BackendError: the store failed, or what it has cannot be read.
        """
        core, full = self._core, self._prefix + key
        try:
            claimed, found = await core.claim(full, owner, lease, ())
            if claimed.value is None and claimed.granted:
                await self._note(full, fingerprint, lease)
                return None
            if claimed.value is not None:
                kept = self._kept(full, found)
            else:
                asked = await self._asked(full)
                # Taken a moment ago, and it is not noted yet what for: the same, as far as is known.
                kept = Attempt(fingerprint if asked is None else asked)
            if claimed.granted:
                await self._call(lambda: core.backend.release(stored_key(full), owner))
        except BaseException:  # a cancellation too: it may have been granted
            core.release(full, owner)
            raise
        return kept

    async def finish(self, key: str, owner: str, reply: Reply, *, ttl: float) -> None:
        """Keep the answer, if ``owner`` still has the key.

        Raises:
            BackendError: the store failed.
        """
        core, full = self._core, self._prefix + key
        asked = await self._asked(full)
        if asked is None:
            return  # its lease has ended
        attempt = Attempt(asked, reply)
        writing = Writing(full, encoded(full, attempt), ttl, 0.0)
        item = core.item(full, core.envelope(writing, (), 0))
        await self._call(lambda: core.backend.fill(item, owner))

    async def release(self, key: str, owner: str) -> None:
        """Let go of a key.

        Raises:
            BackendError: the store failed.
        """
        core, full = self._core, self._prefix + key

        async def work() -> None:
            stored = stored_key(full)
            # What was asked is somebody else's by now, unless this owner still has the key.
            if await core.backend.renew(stored, owner, _LETTING_GO):
                await core.backend.delete_many([stored_key(_beside(full))])
                await core.backend.release(stored, owner)

        await self._call(work)

    def _kept(self, full: str, found: Found | None) -> Attempt:
        kept = MISSING if found is None else self._core.read(full, found.entry, typed(Attempt))
        if not isinstance(kept, Attempt):
            raise BackendError("What is kept of this key cannot be read.")
        return kept

    async def _note(self, full: str, fingerprint: str, lease: float) -> None:
        core, beside = self._core, _beside(full)
        writing = Writing(beside, encoded(beside, _Asked(fingerprint)), lease, 0.0)
        item = core.item(beside, core.envelope(writing, (), 0))
        await self._call(lambda: core.backend.set_many([item]))

    async def _asked(self, full: str) -> str | None:
        core, beside = self._core, _beside(full)
        stored = stored_key(beside)

        async def work() -> str | None:
            (found,) = await core.judged([beside], await core.backend.get_many([stored]))
            asked = MISSING if found is None else core.read(beside, found.entry, typed(_Asked))
            return asked.fingerprint if isinstance(asked, _Asked) else None

        return await self._call(work)

    async def _call(self, work: Callable[[], Awaitable[T]]) -> T:
        return await self._core.guard.call(work)


def _beside(key: str) -> str:
    return f"{key}:asked"
