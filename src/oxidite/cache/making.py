"""Making a value that is not there: once in this process, and once among all that share the store."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import cast

from oxidite import clock
from oxidite.cache.claims import Claim
from oxidite.cache.core import Core, Writing
from oxidite.cache.envelope import MOST_TAGS
from oxidite.cache.flights import Flight
from oxidite.cache.freshness import Freshness
from oxidite.cache.keys import stored_key
from oxidite.cache.l1 import MISSING, Entry
from oxidite.cache.memo import current_memo
from oxidite.cache.recording import Recorder, depend_on, recording
from oxidite.cache.values import Typed, encoded
from oxidite.cache.writes import delete
from oxidite.concurrency import call, sees_alone
from oxidite.errors import BackendTimeoutError
from oxidite.instrument import event, span

__all__ = ["Factory", "Making"]

_logger = logging.getLogger("oxidite.cache")

_CALM = 1.0  # seconds for which a stale value is served when making a new one has failed

Factory = Callable[[], Awaitable[object] | object]
Record = Callable[[Core], AbstractContextManager[Recorder]]


class Making:
    """A value that is wanted, and how to make it."""

    def __init__(
        self,
        core: Core,
        key: str,
        typed: Typed[object],
        factory: Factory,
        fresh: Freshness,
        tags: tuple[str, ...],
        record: Record | None = None,
    ) -> None:
        self._core = core
        self._key = key
        self._typed = typed
        self._factory = factory
        self._fresh = fresh
        self._tags = tags
        self._record = record

    async def value(self) -> object:
        """Return the value that is kept, or make it."""
        core = self._core
        memo = current_memo()
        if memo is not None and (known := memo.get(core, self._key)) is not None:
            value = core.read(self._key, known, self._typed)
            if value is not MISSING:
                core.counts.hits += 1
                depend_on(core, known)
                return value
        entry, value = await self._wanted()
        if memo is not None:
            memo.put(core, self._key, entry)
        if entry is not None:
            depend_on(core, entry)
        return value

    async def refresh(self) -> object:
        """Make the value anew, whatever is kept, and return it."""
        if sees_alone():
            await delete(self._core, [self._key])
            return await call(self._factory)
        self._core.change(self._key)
        entry = await self._landed(self._start(None, math.inf), None)
        depend_on(self._core, entry)
        return self._read(entry)

    # What there is

    async def _wanted(self) -> tuple[Entry | None, object]:
        core = self._core
        entry = core.near.get(self._key)
        value = MISSING if entry is None else core.read(self._key, entry, self._typed)
        if entry is not None and value is not MISSING:
            core.counts.hits += 1
            core.told_hit(entry, "l1")
            self._refresh_if_due(entry)
            return entry, value
        found = core.readable(self._key, await core.look(self._key), self._typed)
        if found is not None and found.is_fresh:
            core.counts.shared_hits += 1
            core.told_hit(found.entry, "store")
            self._refresh_if_due(found.entry)
            return found.entry, self._read(found.entry)
        if sees_alone():
            # What this caller sees, others do not: it is neither kept nor shared.
            return None, await call(self._factory)
        entry = await self._made(None if found is None else found.entry)
        return entry, self._read(entry)

    async def _made(self, stale: Entry | None) -> Entry:
        core = self._core
        if stale is None:
            core.counts.misses += 1
            event("cache.miss", key=self._key)
        flight = core.flights.get(stored_key(self._key))
        if flight is None:
            flight = self._start(stale, -math.inf)
        else:
            core.counts.joined += 1
            event("cache.join", key=self._key)
        if stale is not None and self._fresh.soft_timeout == 0:
            flight.keep(core.background)
            self._tell_stale("revalidating")
            return stale
        return await self._landed(flight, stale)

    async def _landed(self, flight: Flight, stale: Entry | None) -> Entry:
        """Wait for what is made; for so long as there is patience, if there is something stale."""
        patience = None if stale is None else self._fresh.soft_timeout
        entry = await flight.wait(patience)
        if entry is None and stale is not None:
            flight.keep(self._core.background)
            self._tell_stale("slow")
            return stale
        return cast("Entry", entry)  # without patience it is waited for

    def _read(self, entry: Entry) -> object:
        value = self._core.read(self._key, entry, self._typed)
        if value is MISSING:
            raise TypeError(
                f"What is kept of {self._key!r} is not of type {self._typed.annotation!r}. Values of "
                "different types need different keys."
            )
        return value

    def _refresh_if_due(self, entry: Entry) -> None:
        if clock.monotonic() < entry.calm:
            return
        core = self._core
        now = core.backend.now()
        if core.flights.get(stored_key(self._key)) is not None:
            return
        if self._fresh.is_due(now, entry.made, entry.fresh, entry.cost):
            core.counts.early += 1
            event("cache.early", key=self._key)
            self._start(entry, entry.made).keep(core.background)

    # Making

    def _start(self, stale: Entry | None, newer_than: float) -> Flight:
        return self._core.flights.start(
            stored_key(self._key),
            lambda: self._make(stale, newer_than),
            has_tags=bool(self._tags) or self._record is not None,
            behind=stale is not None,
        )

    async def _make(self, stale: Entry | None, newer_than: float) -> Entry:
        """Make the value, or find one made after ``newer_than``, in the time of the store."""
        mark = self._core.near.mark()
        limit = asyncio.timeout(self._fresh.timeout)
        try:
            async with limit:
                return await self._claim_and_fill(stale, newer_than, mark)
        except Exception as exc:
            error: Exception = exc
            if isinstance(exc, TimeoutError) and limit.expired():
                error = BackendTimeoutError(
                    f"The value of {self._key!r} was not made within {self._fresh.timeout:g} s."
                )
            if stale is not None and self._core.backend.now() < stale.stale:
                return self._spared(stale, error, mark)
            if error is exc:
                raise
            raise error from None

    async def _claim_and_fill(self, stale: Entry | None, newer_than: float, mark: int) -> Entry:
        claim = Claim(self._core, self._key, self._typed, self._tags)
        found = await claim.take(newer_than, stale)
        if found is not None:
            if found is stale:
                self._tell_stale("claimed")
            return found
        async with claim:
            return await self._filled(claim, mark)

    async def _filled(self, claim: Claim, mark: int) -> Entry:
        core = self._core
        started = clock.perf()
        # What is made here for itself is no part of what is made around it, but by its tags.
        noting = self._record(core) if self._record is not None else recording(None)
        with span("cache.make", key=self._key), noting as recorder:
            value = await call(self._factory)
        cost = clock.perf() - started
        core.counts.made += 1
        payload = encoded(self._key, value, self._typed)
        writing = Writing(self._key, payload, self._fresh.life(value), self._fresh.grace)
        tags = self._tags if recorder is None else recorder.tags(self._tags)
        envelope = core.envelope(writing, tags, claim.as_of, cost=cost, calm=self._fresh.calm)
        entry = core.entry(envelope)
        if not self._fresh.keeps(value) or not await self._may_keep(recorder, tags, claim):
            return entry
        if await claim.fill(envelope):
            core.near.put(self._key, entry, mark)
        return entry

    async def _may_keep(
        self, recorder: Recorder | None, tags: tuple[str, ...], claim: Claim
    ) -> bool:
        if recorder is None:
            return True
        if len(tags) > MOST_TAGS:
            # Still returned: how many there are may depend on the data.
            _logger.warning(
                "The value of %s is not kept: it depends on %d tags, and a value has at most %d.",
                self._key,
                len(tags),
                MOST_TAGS,
            )
            return False
        return await self._core.are_current(recorder.older_than(claim.as_of))

    def _spared(self, stale: Entry, error: Exception, mark: int) -> Entry:
        """Serve what is stale, as making a new one failed; and do not fail again at once."""
        _logger.warning(
            "Serving a stale value of %s: %s: %s", self._key, type(error).__name__, error
        )
        self._tell_stale("error")
        stale.calm = stale.until = clock.monotonic() + _CALM
        self._core.near.put(self._key, stale, mark)
        return stale

    def _tell_stale(self, reason: str) -> None:
        self._core.counts.stale += 1
        event("cache.stale", key=self._key, reason=reason)
