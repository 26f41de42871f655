"""The right to make a value, which one process has at a time."""

from __future__ import annotations

import asyncio
import random
import secrets
from types import TracebackType
from typing import Self

from oxidite.cache.core import Core
from oxidite.cache.envelope import Envelope
from oxidite.cache.keys import stored_key
from oxidite.cache.l1 import Entry
from oxidite.cache.values import Typed
from oxidite.errors import BackendError
from oxidite.instrument import event

__all__ = ["LEASE", "Claim"]

LEASE = 5.0
"""Seconds after which another process makes the value, if the one that has begun was killed."""

_SOONEST, _LATEST = 0.01, 0.25  # seconds between two looks for what another process makes


class Claim:
    """A claim of a key, renewed in the block, and ended with it if no value was kept.

    ``as_of`` is the number of the last invalidation, from before the value is made. If the store fails
    there is no claim, and everybody makes the value for himself.
    """

    def __init__(self, core: Core, key: str, typed: Typed[object], tags: tuple[str, ...]) -> None:
        self.as_of: int = 0
        self._core = core
        self._key = key
        self._typed = typed
        self._tags = tags
        self._token = secrets.token_hex(8)
        self._is_held = False
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, newer_than: float, stale: Entry | None) -> Entry | None:
        """Claim the key, waiting for others; return a value instead that another has made meanwhile.

        It counts if it was made after ``newer_than``. With something ``stale`` nobody is waited for, and
        that is returned if another has the claim.
        """
        core = self._core
        pause = _SOONEST
        while True:
            try:
                claimed, there = await core.claim(self._key, self._token, LEASE, self._tags)
            except BackendError as exc:
                core.failed(exc)
                return None
            except asyncio.CancelledError:  # it may have been granted
                core.release(self._key, self._token)
                raise
            found = core.readable(self._key, there, self._typed)
            self._is_held = claimed.granted
            if found is not None and found.is_fresh and found.envelope.made > newer_than:
                self._release()
                return found.entry
            if claimed.granted:
                self.as_of = claimed.as_of
                return None
            if stale is not None:
                return stale
            core.counts.waits += 1
            event("cache.wait", key=self._key)
            await core.waiting(stored_key(self._key), pause * (0.5 + random.random()))
            pause = min(pause * 1.5, _LATEST)

    async def fill(self, envelope: Envelope) -> bool:
        """Keep a value; return whether it may be remembered here, too.

        It may not if the key was changed while the value was made; nor if it has tags, which another
        process may have invalidated meanwhile: who reads it from the store sees that.
        """
        if not self._is_held:
            return True  # the store fails; what this process deletes it knows itself
        core = self._core
        item = core.item(self._key, envelope)
        filled = await core.attempt(lambda: core.backend.fill(item, self._token), None)
        if filled is None:  # nothing was kept, and nobody needs to wait for it
            self._release()
        self._is_held = False
        if filled is False:
            core.counts.refused += 1
            event("cache.fill_refused", key=self._key)
        if filled:
            core.told_written([item])
        core.wake(item.key)
        if filled and item.tags and core.backend.is_shared:
            return False
        return filled is not False

    async def __aenter__(self) -> Self:
        if self._is_held:
            self._next()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._release()

    def _release(self) -> None:
        if self._is_held:
            self._is_held = False
            self._core.release(self._key, self._token)

    def _next(self) -> None:
        # Real time, as what it tells is that this process lives.
        self._timer = asyncio.get_running_loop().call_later(LEASE / 3, self._renew)

    def _renew(self) -> None:
        self._core.background.spawn(self._renewed(), name=f"renew {self._key}")
        self._next()

    async def _renewed(self) -> None:
        core = self._core
        key = stored_key(self._key)
        await core.attempt(lambda: core.backend.renew(key, self._token, LEASE), False)
