"""Answers that are kept, to be given again to a request that is sent again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from msgspec import Struct

from oxidite import clock
from oxidite.errors import ConfigError

__all__ = ["Attempt", "MemoryReplies", "Reply", "ReplyStore"]

_OVERHEAD = 500  # bytes that an answer takes beside its body, about


class Reply(Struct, frozen=True):
    """An answer: enough to give it again."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Attempt(Struct, frozen=True):
    """What is known of a key: what was asked with it, and what was answered; ``None`` not yet."""

    fingerprint: str
    reply: Reply | None = None


class ReplyStore(Protocol):
    """Keeps answers by key, for one process or for many. Each method is atomic.

    ``owner`` is another text for each attempt: one that was given up, and comes back, changes nothing.
    """

    async def begin(
        self, key: str, fingerprint: str, owner: str, *, lease: float
    ) -> Attempt | None:
        """Take ``key`` for ``lease`` seconds; return what is known of it if it was taken before."""
        ...

    async def finish(self, key: str, owner: str, reply: Reply, *, ttl: float) -> None:
        """Keep the answer for ``ttl`` seconds, if ``owner`` still has the key."""
        ...

    async def release(self, key: str, owner: str) -> None:
        """Let go of the key, as if it had never been taken."""
        ...


class _Running(Struct):
    fingerprint: str
    owner: str
    ends: float


class _Kept(Struct):
    attempt: Attempt
    ends: float
    size: int


class MemoryReplies:
    """Answers of this process: several workers each have their own, and they end with it.

    At most ``max_keys`` are kept, and ``max_bytes`` of bodies; the oldest make room. Requests that are
    being answered are kept beside.
    """

    def __init__(self, *, max_keys: int = 10_000, max_bytes: int = 64 * 1024 * 1024) -> None:
        if max_keys < 1 or max_bytes < 1:
            raise ConfigError("A store of replies needs room: max_keys= and max_bytes= from 1.")
        self._max_keys = max_keys
        self._max_bytes = max_bytes
        self._running: dict[str, _Running] = {}
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return len(self._running) + len(self._kept)

    async def begin(
        self, key: str, fingerprint: str, owner: str, *, lease: float
    ) -> Attempt | None:
        """Take a key; return what is known of it if it was taken before."""
        now = clock.monotonic()
        self._sweep(now)
        kept = self._kept.get(key)
        if kept is not None and kept.ends > now:
            return kept.attempt
        running = self._running.get(key)
        if running is not None and running.ends > now:
            return Attempt(running.fingerprint)
        self._running[key] = _Running(fingerprint, owner, now + lease)
        return None

    async def finish(self, key: str, owner: str, reply: Reply, *, ttl: float) -> None:
        """Keep the answer."""
        running = self._running.get(key)
        if running is None or running.owner != owner:
            return
        del self._running[key]
        self._drop(key)
        size = len(reply.body) + _OVERHEAD
        attempt = Attempt(running.fingerprint, reply)
        self._kept[key] = _Kept(attempt, clock.monotonic() + ttl, size)
        self._size += size
        while len(self._kept) > self._max_keys or self._size > self._max_bytes:
            self._drop(next(iter(self._kept)))

    async def release(self, key: str, owner: str) -> None:
        """Let go of a key."""
        running = self._running.get(key)
        if running is not None and running.owner == owner:
            del self._running[key]

    def _sweep(self, now: float) -> None:
        while self._kept:
            oldest = next(iter(self._kept))
            if self._kept[oldest].ends > now:
                return
            self._drop(oldest)

    def _drop(self, key: str) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._size -= kept.size
