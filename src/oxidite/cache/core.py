"""What the caches of one store share: reading it, writing to it, and hearing what others changed."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from oxidite import clock
from oxidite.cache.backends import backends
from oxidite.cache.base import CacheBackend, Claimed, Epochs, Item
from oxidite.cache.counts import Counts
from oxidite.cache.envelope import Envelope, UnreadableError, Wrapping
from oxidite.cache.flights import Flights, Shared
from oxidite.cache.guard import Guard, Owed
from oxidite.cache.keys import stored_key, stored_prefix
from oxidite.cache.l1 import L1, MISSING, Entry, Near
from oxidite.cache.memo import current_memo
from oxidite.cache.values import Typed
from oxidite.concurrency import BackgroundTasks
from oxidite.encoding import DecodeError, MismatchError
from oxidite.errors import BackendError, ConfigError
from oxidite.instrument import event, is_listening
from oxidite.lifespan import opened_before

__all__ = ["Core", "Found", "Writing", "address_of"]

T = TypeVar("T")

_MOST_SHAPES = 1000
_DIGITS = re.compile(r"[0-9]+")
_logger = logging.getLogger("oxidite.cache")


class Found(NamedTuple):
    """A value of the store that may be used, at least while there is no better one."""

    envelope: Envelope
    is_fresh: bool
    entry: Entry

    @property
    def is_number(self) -> bool:
        """Whether it is one that ``incr`` keeps."""
        return self.envelope.made == 0.0


class Writing(NamedTuple):
    """A value to keep under a key, and how long."""

    key: str
    payload: bytes
    ttl: float | None
    grace: float


class Core:
    """One store, and what this process remembers of it. It is told of changes as a ``Listener``.

    Keys are those of the application, with their prefix; what goes to the store are their stored forms.
    """

    def __init__(
        self,
        source: CacheBackend | str,
        *,
        prefix: str,
        l1: L1 | None,
        wrapping: Wrapping,
        timeout: float,
        raises: bool,
    ) -> None:
        self.prefix: str = prefix
        self.raises: bool = raises
        self.counts: Counts = Counts()
        self.near: Near = Near(l1)
        self.flights: Flights = Flights()
        self.background: BackgroundTasks = BackgroundTasks()
        self.names: dict[str, object] = {}
        self.warmers: dict[str, Callable[[], Awaitable[object]]] = {}
        self.address: str = address_of(source)
        self._source = source
        self.wrapping: Wrapping = wrapping
        self._timeout = timeout
        self._guard: Guard | None = None
        self._looks: Shared[Found | None] = Shared()
        self._stack = AsyncExitStack()
        self._opened = 0
        self._while_open: dict[str, Callable[[], AbstractContextManager[None]]] = {}
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._shapes: set[str] = set()
        if (
            isinstance(source, str)
            and urlsplit(source if ":" in source else f"{source}:").scheme != "db"
        ):
            # What is wrong with a URL is told at once. Only `db` means something opened before.
            self._source = backends.create(source)

    @property
    def backend(self) -> CacheBackend:
        """The store.

        Raises:
            ConfigError: the cache is not open.
        """
        return self.guard.backend

    @property
    def guard(self) -> Guard:
        """What calls the store."""
        if self._guard is None:
            raise ConfigError(
                "The cache is not open. Put it into resources=[…], or use `async with`."
            )
        return self._guard

    async def open(self) -> None:
        """Open the store. Who opens it again uses what is open."""
        self._opened += 1
        if self._opened > 1:
            return
        try:
            source = self._source
            if isinstance(source, str):
                source = backends.create(source, resources=opened_before())
            source.listen(self)
            guard = Guard(
                source, timeout=self._timeout, prefix=stored_prefix(self.prefix), healed=self.lost
            )
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(source)
                stack.push_async_callback(guard.close)
                # Twice: what is given up then ends its claims behind, too.
                await stack.enter_async_context(self.background)
                stack.push_async_callback(self.flights.close)
                await stack.enter_async_context(self.background)
                for each in self._while_open.values():
                    stack.enter_context(each())
                self._stack = stack.pop_all()
        except BaseException:
            self._opened -= 1
            raise
        self._guard = guard

    def while_open(self, name: str, block: Callable[[], AbstractContextManager[None]]) -> None:
        """Be in a block whenever this is open, from now on; once for each name."""
        if name not in self._while_open:
            self._while_open[name] = block
            if self._guard is not None:
                self._stack.enter_context(block())

    async def close(self) -> None:
        """Close the store, when each who opened it has."""
        self._opened -= 1
        if self._opened == 0:
            await self._stack.aclose()
            self._guard = None
            self.near.change_all()

    # What other processes changed.

    def keys_changed(self, keys: Sequence[str]) -> None:
        """Forget keys."""
        for stored in keys:
            self.near.change_stored(stored)
            self._forget(stored)
            self.wake(stored)

    def tags_changed(self, epochs: Mapping[str, Epochs]) -> None:
        """Forget what has one of the tags."""
        self.near.change_tags(epochs)
        self.flights.forget_tagged()
        self._looks.forget_all()

    def cleared(self, prefix: str) -> None:
        """Forget what begins so."""
        self.near.change_all(prefix)
        self.flights.forget_all()
        self._looks.forget_all()

    def lost(self) -> None:
        """Forget everything."""
        self.cleared("")
        if self._guard is not None:
            self._guard.hurry()

    def _forget(self, stored: str) -> None:
        self.flights.forget(stored)
        self._looks.forget(stored)

    def change(self, key: str) -> int:
        """Forget a key whose value this process changes; return the mark of that."""
        memo = current_memo()
        if memo is not None:
            memo.forget(self, key)
        self._forget(stored_key(key))
        return self.near.change(key)

    def change_many(self, *, tags: Sequence[str] = (), prefix: str | None = None) -> None:
        """Forget what has a tag, or begins with a prefix, as it is stored."""
        memo = current_memo()
        if memo is not None:
            memo.forget_all()
        if tags:
            self.tags_changed(dict.fromkeys(tags, Epochs(0, 0)))
        if prefix is not None:
            self.cleared(prefix)

    # Waiting for what another makes.

    async def waiting(self, stored: str, seconds: float) -> None:
        """Wait until something is heard of a key, for so long at most."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(stored, []).append(future)
        try:
            await asyncio.wait((future,), timeout=seconds)
        finally:
            waiting = self._waiting[stored]
            waiting.remove(future)
            if not waiting:
                del self._waiting[stored]

    def wake(self, stored: str) -> None:
        """Let those look who wait for a key."""
        for future in self._waiting.get(stored, ()):
            if not future.done():
                future.set_result(None)

    # Reading.

    async def attempt(
        self,
        work: Callable[[], Awaitable[T]],
        default: T,
        *,
        owe: Callable[[Owed], None] | None = None,
        is_long: bool = False,
    ) -> T:
        """Call the store; if it fails, do without it, unless errors are asked for.

        ``owe`` notes what the store may not have heard then, and is told when it answers again.
        ``is_long`` is for what looks through all that the store holds.
        """
        guard = self.guard
        try:
            return await guard.call(work, is_long=is_long)
        except BaseException as exc:  # a cancellation too: what was sent may have arrived or not
            if owe is not None and guard.backend.is_shared:
                owe(guard.owed)
            if not isinstance(exc, BackendError):
                raise
            self.failed(exc)
            return default

    def failed(self, error: BackendError) -> None:
        """Count and log that the store failed; raise that if errors are asked for."""
        self.counts.errors += 1
        event("cache.error", error=error)
        if self.raises:
            raise error
        self.guard.log(error)

    async def look(self, key: str) -> Found | None:
        """Read a value, together with those who do at this moment, and remember it here if it is fresh."""
        return await self._looks.ask(stored_key(key), lambda: self._look(key))

    async def _look(self, key: str) -> Found | None:
        (found,) = await self.look_many([key])
        return found

    async def look_many(self, keys: Sequence[str]) -> list[Found | None]:
        """Read several values."""
        if not keys:
            return []
        mark = self.near.mark()
        stored = [stored_key(key) for key in keys]
        none: list[Found | None] = [None] * len(keys)

        async def work() -> list[Found | None]:
            values = await self.backend.get_many(stored)
            return await self.judged(keys, values)

        found = await self.attempt(work, none)
        for key, each in zip(keys, found, strict=True):
            # A number changes too often, and others change it, to be remembered here.
            if each is not None and each.is_fresh and not each.is_number:
                self.near.put(key, each.entry, mark)
        return found

    async def judged(
        self, keys: Sequence[str], values: Sequence[bytes | None]
    ) -> list[Found | None]:
        """Return what values of the store are worth, by their times and their tags."""
        now = self.backend.now()
        envelopes = [
            None if value is None else self._unwrapped(key, value, now)
            for key, value in zip(keys, values, strict=True)
        ]
        tags = list(dict.fromkeys(tag for each in envelopes if each for tag in each.tags))
        epochs = dict(zip(tags, await self.backend.epochs(tags), strict=True)) if tags else {}
        return [None if each is None else self._found(each, epochs, now) for each in envelopes]

    def _unwrapped(self, key: str, value: bytes, now: float) -> Envelope | None:
        try:
            envelope = self.wrapping.unwrap(stored_key(key), value)
        except UnreadableError as exc:
            self.undecodable(key, exc)
            return None
        return envelope if now < envelope.stale else None

    def _found(
        self, envelope: Envelope, epochs: Mapping[str, Epochs | None], now: float
    ) -> Found | None:
        is_fresh = now < envelope.fresh
        for tag in envelope.tags:
            epoch = epochs[tag]
            if epoch is None or epoch.hard > envelope.as_of:
                return None
            is_fresh = is_fresh and epoch.soft <= envelope.as_of
        return Found(envelope, is_fresh, self.entry(envelope))

    async def are_current(self, older: Sequence[tuple[int, tuple[str, ...]]]) -> bool:
        """Tell whether no tag was invalidated after the number that it is given with."""
        tags = list(dict.fromkeys(tag for _, each in older for tag in each))
        if not tags:
            return True
        none: list[Epochs | None] = [None] * len(tags)
        epochs = dict(
            zip(tags, await self.attempt(lambda: self.backend.epochs(tags), none), strict=True)
        )
        return all(
            (epoch := epochs[tag]) is not None and max(epoch.hard, epoch.soft) <= as_of
            for as_of, each in older
            for tag in each
        )

    def entry(self, envelope: Envelope) -> Entry:
        """Return an envelope as it is remembered here."""
        now = clock.monotonic()
        shift = now - self.backend.now()
        until = min(envelope.fresh + shift, now + self.near.ttl)
        return Entry(envelope, calm=min(until, envelope.calm + shift), until=until)

    def read(self, key: str, entry: Entry, typed: Typed[object]) -> object:
        """Return the value of an entry; ``MISSING`` if it is not of that type."""
        try:
            return entry.read(typed)
        except (DecodeError, MismatchError) as exc:
            self.undecodable(key, exc)
            self.near.change(key)
            return MISSING

    def readable(self, key: str, found: Found | None, typed: Typed[object]) -> Found | None:
        """Return what was found, if it is of that type."""
        if found is None or self.read(key, found.entry, typed) is MISSING:
            return None
        return found

    def undecodable(self, key: str, error: Exception) -> None:
        """Count a value that cannot be read, and log it, the first time of keys that look like this one."""
        self.counts.undecodable += 1
        shape = _DIGITS.sub("*", stored_key(key))
        event("cache.undecodable", key=shape)
        if shape not in self._shapes and len(self._shapes) < _MOST_SHAPES:
            self._shapes.add(shape)
            _logger.warning("A value of the cache under %s cannot be read: %s", shape, error)

    # Writing.

    async def claim(
        self, key: str, token: str, lease: float, tags: Sequence[str]
    ) -> tuple[Claimed, Found | None]:
        """Claim the making of a value, and return what is there.

        Raises:
            BackendError: the store failed.
        """

        async def work() -> tuple[Claimed, Found | None]:
            claimed = await self.backend.claim(stored_key(key), token, lease, tags)
            (found,) = await self.judged([key], [claimed.value])
            return claimed, found

        return await self.guard.call(work)

    def release(self, key: str, token: str) -> None:
        """End a claim without a value, behind: nobody needs to wait for that."""
        backend = self.backend

        async def work() -> None:
            await self.attempt(lambda: backend.release(stored_key(key), token), None)
            self.wake(stored_key(key))

        self.background.spawn(work(), name=f"release {key}")

    def envelope(
        self,
        writing: Writing,
        tags: tuple[str, ...],
        as_of: int,
        *,
        cost: float = 0.0,
        calm: Callable[[float, float, float], float] | None = None,
    ) -> Envelope:
        """Return what is kept of a value from now on."""
        now = self.backend.now()
        fresh = math.inf if writing.ttl is None else now + writing.ttl
        until = fresh if calm is None else calm(now, fresh, cost)
        return Envelope(
            writing.payload, as_of, now, until, fresh, fresh + writing.grace, cost, tags
        )

    def item(self, key: str, envelope: Envelope) -> Item:
        """Return an envelope as what the store keeps."""
        stored = stored_key(key)
        ttl = (
            None if envelope.stale == math.inf else max(envelope.stale - self.backend.now(), 0.001)
        )
        return Item(stored, self.wrapping.wrap(stored, envelope), ttl, envelope.tags)

    def written(self, key: str, envelope: Envelope, mark: int, *, is_kept: bool) -> None:
        """Remember what was written here after ``mark``; whether the store has it, too."""
        entry = self.entry(envelope)
        memo = current_memo()
        if memo is not None:
            memo.put(self, key, entry)
        # Another process may have invalidated a tag meanwhile: who reads it from the store sees that.
        is_sure = not (is_kept and envelope.tags and self.backend.is_shared)
        if not (is_sure and self.near.put(key, entry, mark)):
            self.near.change(key)  # of two writes at the same time it is not known which one stayed
        self.wake(stored_key(key))

    def told_written(self, items: Sequence[Item]) -> None:
        """Count what the store was given, and tell who listens."""
        counts, is_heard = self.counts, is_listening()
        for item in items:
            counts.written += 1
            counts.written_bytes += len(item.value)
            if is_heard:
                event("cache.write", key=item.key, size=len(item.value), tags=item.tags)

    def told_hit(self, entry: Entry, tier: str) -> None:
        """Tell who listens that a value was there."""
        if is_listening():
            event("cache.hit", tier=tier, age=self.backend.now() - entry.made)


def address_of(source: CacheBackend | str) -> str:
    """Return where values are, without what may be secret: neither who asks nor any option."""
    if not isinstance(source, str):
        return type(source).__name__
    if ":" not in source:
        return source
    parts = urlsplit(source)
    # A password that was not escaped may have an @ or a slash in it, and is then in the path, too.
    path = "" if "@" in parts.path else parts.path
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"
